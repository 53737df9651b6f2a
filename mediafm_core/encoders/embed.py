"""From what the one decode left of a title to one vector per shot and modality.

Every function streams: it holds a batch of input and two arrays of `[shots, dimension]`. It
returns a table with one row per shot:

    title_id     string
    shot_index   int32
    present      bool: whether the shot has this modality
    embedding    FixedSizeList<float32>[dimension], of unit length, zeros where not present

A vector is a mean over the shot, taken in float64 and then scaled to unit length.
"""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.encoders.base import AudioEncoder, Progress, TextEncoder, VideoEncoder
from mediafm_core.errors import TitleError
from mediafm_core.vectors import to_arrow, unit_length

if TYPE_CHECKING:
    from soundfile import SoundFile

CODE_VERSION = "1"
"""Raised when the same input and encoder would give other vectors."""


def embed_video(
    encoder: VideoEncoder,
    keyframes: Iterable[pa.RecordBatch],
    shot_count: int,
    batch_size: int,
    progress: Progress | None = None,
) -> pa.Table:
    """The mean over a shot's keyframes of their vectors.

    Args:
        encoder: the video encoder.
        keyframes: `title_id, shot_index, position, ..., jpeg` in the order of shots.
        shot_count: shots of the title; a shot without keyframes is not present.
        batch_size: pictures for one call of the encoder.
        progress: told the share that is done.

    Raises:
        TitleError: there are no keyframes, they belong to other shots, or one is no picture.
    """
    means = _ShotMeans(shot_count, encoder.dimension)
    title_id = ""
    pictures: list[np.ndarray] = []
    shots: list[int] = []

    def flush() -> None:
        means.add(np.array(shots), encoder.encode(pictures))
        if progress:
            progress((shots[-1] + 1) / shot_count)
        pictures.clear()
        shots.clear()

    for row in _keyframe_rows(keyframes):
        title_id, shot, position, jpeg = row
        if not (shots[-1] if shots else means.last) <= shot < shot_count:
            raise TitleError(
                f"{title_id}: a keyframe of shot {shot} among {shot_count} shots is out of order: "
                "decode the title again."
            )
        pictures.append(_decode_jpeg(jpeg, f"{title_id}: keyframe {position} of shot {shot}"))
        shots.append(shot)
        if len(pictures) == batch_size:
            flush()
    if pictures:
        flush()
    if not title_id:
        raise TitleError("A title has no keyframes at all: decode it again.")
    return _table(
        pa.repeat(pa.scalar(title_id), shot_count),
        pa.array(np.arange(shot_count, dtype=np.int32)),
        *means.result(),
    )


def embed_audio(
    encoder: AudioEncoder,
    soundtrack: Path | None,
    shots: pa.Table,
    batch_size: int,
    progress: Progress | None = None,
) -> pa.Table:
    """The mean over the encoder's vectors whose centres lie in `[start_s, end_s)` of the shot.

    The sound is cut into a fixed grid of windows, whatever the shots are, so that every second of
    it is encoded once and with its surroundings. A shot too short to hold a centre takes the
    vector around its middle. A shot is present if it starts before the sound ends. Digital silence
    is present: that a scene is mute says something about it, unlike a missing soundtrack.

    Args:
        encoder: the audio encoder.
        soundtrack: mono file at the encoder's sample rate whose first sample is second 0 of the
            shots' clock; None where the title has no sound.
        shots: `title_id, shot_index, start_s, end_s, ...`.
        batch_size: windows for one call of the encoder.
        progress: told the share that is done.

    Raises:
        TitleError: the soundtrack cannot be read to its end, or its format is another one.
    """
    means = _ShotMeans(shots.num_rows, encoder.dimension)
    starts, ends = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    if soundtrack is not None:
        import soundfile

        try:
            with soundfile.SoundFile(soundtrack) as sound:
                _check_format(sound, encoder.sample_rate, soundtrack)
                _pool_sound(encoder, sound, starts, ends, batch_size, means, progress)
        except soundfile.LibsndfileError as error:
            raise TitleError(
                f"{soundtrack} cannot be read ({error.error_string}): decode the title again."
            ) from None
    return _table(shots["title_id"], shots["shot_index"], *means.result())


def embed_text(
    encoder: TextEncoder,
    timed_text: pa.Table,
    batch_size: int,
    progress: Progress | None = None,
) -> pa.Table:
    """The vector of each shot's text; a shot whose text is null or blank is not present.

    Args:
        encoder: the text encoder; a text that several shots have is sent to it once.
        timed_text: `title_id, shot_index, text`.
        batch_size: texts for one call of the encoder.
        progress: told the share that is done.
    """
    texts = pc.utf8_trim_whitespace(timed_text["text"].cast(pa.string()))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    codes = texts.combine_chunks().dictionary_encode()
    unique = codes.dictionary.to_pylist()
    vectors = np.zeros((len(unique), encoder.dimension), dtype=np.float32)
    for start in range(0, len(unique), batch_size):
        batch = unique[start : start + batch_size]
        vectors[start : start + len(batch)] = encoder.encode(batch)
        if progress:
            progress((start + len(batch)) / len(unique))
    present = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    per_shot = np.zeros((timed_text.num_rows, encoder.dimension), dtype=np.float32)
    per_shot[present] = vectors[codes.indices.drop_null().to_numpy()]
    return _table(timed_text["title_id"], timed_text["shot_index"], per_shot, present)


def embed_metadata(encoder: TextEncoder, synopsis: str, tags: Sequence[str]) -> np.ndarray:
    """The vector of what is known of the whole title: the model's `[GLOBAL]` input.

    Returns:
        float32 `[dimension]` of unit length; zeros if there is neither synopsis nor tag.
    """
    parts = [synopsis.strip(), ", ".join(tag.strip() for tag in tags if tag.strip())]
    text = "\n".join(part for part in parts if part)
    if not text:
        return np.zeros(encoder.dimension, dtype=np.float32)
    return unit_length(encoder.encode([text]))[0]


class _ShotMeans:
    """Running sums of vectors per shot; vectors come in the order of shots."""

    def __init__(self, shot_count: int, dimension: int) -> None:
        self._sums = np.zeros((shot_count, dimension), dtype=np.float64)
        self._counts = np.zeros(shot_count, dtype=np.int64)
        self._borrowed = np.zeros(shot_count, dtype=bool)
        self.last = 0

    def add(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors `[n, dimension]`; `shots` `[n]` is not decreasing."""
        if not len(shots):
            return
        first = np.flatnonzero(np.diff(shots, prepend=-1))
        runs = shots[first]
        self._drop_borrowed(runs)
        self._sums[runs] += np.add.reduceat(vectors, first, axis=0, dtype=np.float64)
        self._counts[runs] += np.diff(first, append=len(shots))
        self.last = int(shots[-1])

    def lend(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Give vectors `[n, dimension]` to those shots `[n]` that have none of their own so far."""
        empty = self._counts[shots] == 0
        self._sums[shots[empty]] = vectors[empty]
        self._borrowed[shots[empty]] = True

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums float64 `[shots, dimension]`, which point where the means do, and presence."""
        return self._sums, (self._counts > 0) | self._borrowed

    def _drop_borrowed(self, shots: np.ndarray) -> None:
        borrowed = shots[self._borrowed[shots]]
        self._sums[borrowed] = 0.0
        self._borrowed[borrowed] = False


def _pool_sound(
    encoder: AudioEncoder,
    sound: "SoundFile",
    starts: np.ndarray,
    ends: np.ndarray,
    batch_size: int,
    means: _ShotMeans,
    progress: Progress | None,
) -> None:
    rate, total = encoder.sample_rate, sound.frames
    window = round(encoder.window_s * rate)
    # A shot that outlasts the sound has its middle in the part that can be heard.
    middles = (starts + np.minimum(ends, total / rate)) / 2
    audible = np.flatnonzero(starts < total / rate)
    done = 0
    while done < total:
        windows = _read_windows(sound, window, batch_size)
        read = sum(map(len, windows))
        if read < min(total - done, window * batch_size):
            raise TitleError(
                f"{sound.name} ends after {(done + read) / rate:.1f} of {total / rate:.1f} s: "
                "decode the title again."
            )
        for samples, vectors in zip(windows, encoder.encode(windows), strict=True):
            begin, length = done / rate, len(samples) / rate
            centres = begin + (np.arange(len(vectors)) + 0.5) * (length / len(vectors))  # [frames]
            shot = np.searchsorted(starts, centres, side="right") - 1
            inside = (shot >= 0) & (centres < ends[shot])
            means.add(shot[inside], vectors[inside])
            here = audible[(middles[audible] >= begin) & (middles[audible] < begin + length)]
            frame = ((middles[here] - begin) / length * len(vectors)).astype(np.int64)
            means.lend(here, vectors[np.minimum(frame, len(vectors) - 1)])
            done += len(samples)
        if progress:
            progress(done / total)


def _read_windows(sound: "SoundFile", window: int, count: int) -> list[np.ndarray]:
    samples = sound.read(window * count, dtype="float32")
    pieces = math.ceil(len(samples) / window)
    return [samples[index * window : (index + 1) * window] for index in range(pieces)]


def _check_format(sound: "SoundFile", sample_rate: int, path: Path) -> None:
    if (sound.channels, sound.samplerate) != (1, sample_rate):
        raise TitleError(
            f"{path} has {sound.channels} channels at {sound.samplerate} Hz, not 1 at "
            f"{sample_rate}: decode the title again."
        )


def _keyframe_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, int, bytes]]:
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("title_id", "shot_index", "position"))
        # as_buffer: a picture is not copied out of the batch.
        jpegs = (value.as_buffer() for value in batch["jpeg"])
        yield from zip(*columns, jpegs, strict=True)


def _decode_jpeg(jpeg: pa.Buffer, name: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:  # PIL's error for what it cannot decode
        raise TitleError(f"{name} is no whole JPEG ({error}): decode the title again.") from None


def _table(
    title_id: pa.Array, shot_index: pa.Array, vectors: np.ndarray, present: np.ndarray
) -> pa.Table:
    return pa.table(
        {
            "title_id": title_id,
            "shot_index": shot_index,
            "present": pa.array(present),
            "embedding": to_arrow(unit_length(vectors)),
        }
    )
