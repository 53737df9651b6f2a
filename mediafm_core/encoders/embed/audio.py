"""One vector per shot from the title's sound."""

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mediafm_core.encoders.base import AudioEncoder, Progress
from mediafm_core.encoders.embed.embedding_table import (
    EarlierVectors,
    embeddings_table,
    input_digest,
)
from mediafm_core.encoders.embed.means import ShotMeans
from mediafm_core.errors import DamagedArtefactError
from mediafm_core.vectors import unit_length

if TYPE_CHECKING:
    from soundfile import SoundFile

_NO_LENGTH = 2**63 - 1  # libsndfile's value for a FLAC file without a length in its header


def embed_audio(
    encoder: AudioEncoder,
    soundtrack: Path | None,
    shots: pa.Table,
    batch_size: int,
    progress: Progress | None = None,
    earlier: pa.Table | None = None,
) -> pa.Table:
    """Average the encoder's vectors whose centres are in `[start_s, end_s)` of each shot.

    The sound is cut into a fixed grid of windows, whatever the shots are, so that every second of
    it is encoded once and in its context. A shot too short to hold a centre takes the vector at its
    middle. A shot is present if it starts before the sound ends. Digital silence
    is present: it is a property of the scene, unlike a missing soundtrack.

    A shot's vector depends on its position on the grid and on all the sound of the windows that it
    touches, since the encoder processes a window as a whole.

    Args:
        encoder: the audio encoder.
        soundtrack: mono file at the encoder's sample rate whose first sample is second 0 of the
            shots' clock; None where the title has no sound.
        shots: `title_id, shot_index, start_s, end_s, ...`.
        batch_size: windows for one call of the encoder.
        progress: called with the fraction that is done.
        earlier: a table of the same encoder and code: shots at the same position in the same
            sound take their vectors from it, and windows that no other shot touches are not
            encoded.

    Raises:
        DamagedArtefactError: the soundtrack cannot be read to its end, or its format is wrong.
    """
    means = ShotMeans(shots.num_rows, encoder.dimension)
    known = EarlierVectors(earlier)
    digests: list[bytes | None] = [None] * shots.num_rows
    if soundtrack is not None:
        import soundfile

        try:
            soundtrack.open(
                "rb"
            ).close()  # raises the error that libsndfile only calls "System error"
            with soundfile.SoundFile(soundtrack) as sound:
                _check_format(sound, encoder.sample_rate, soundtrack)
                grid = _Grid(sound, round(encoder.window_s * encoder.sample_rate), shots)
                digests = grid.digests()
                windows = grid.windows_of([digest not in known for digest in digests])
                _pool(encoder, grid, windows, batch_size, means, progress)
        except (soundfile.LibsndfileError, FileNotFoundError) as error:
            reason = getattr(error, "error_string", None) or getattr(error, "strerror", None)
            raise DamagedArtefactError(
                "soundtrack", f"{soundtrack} cannot be read ({reason}): decode the title again."
            ) from error
    sums, present = means.result()
    vectors = unit_length(sums)
    present |= known.fill(vectors, digests)
    return embeddings_table(shots["title_id"], shots["shot_index"], vectors, present, digests)


class _Grid:
    """Windows of a soundtrack, and those that each shot touches.

    Args:
        sound: an open file; `rate` samples a second.
        window: samples of a window; the last one is shorter unless the sound ends with it.
        shots: with `start_s` and `end_s`.

    Attributes:
        starts, ends: of the shots, seconds; a shot that outlasts the sound ends with it.
        audible: the shots that start before the sound ends.
    """

    def __init__(self, sound: "SoundFile", window: int, shots: pa.Table) -> None:
        self._sound = sound
        self._window = window
        self.rate = sound.samplerate
        self.starts = shots["start_s"].to_numpy()
        self.ends = np.minimum(shots["end_s"].to_numpy(), sound.frames / self.rate)
        self.audible = np.flatnonzero(self.starts < sound.frames / self.rate)
        self._count = math.ceil(sound.frames / window)
        first = np.floor(self.starts * self.rate / window).astype(np.int64)
        after = np.ceil(self.ends * self.rate / window).astype(np.int64)
        self._first = np.clip(first, 0, self._count - 1)
        self._after = np.clip(after, self._first + 1, self._count)

    def begin_s(self, window: int) -> float:
        """Return the start of a window, seconds."""
        return window * self._window / self.rate

    def digests(self) -> list[bytes | None]:
        """Return the digest of each shot's input; None after the end of the sound."""
        windows = [input_digest(samples.data) for samples in self.read(range(self._count))]
        digests: list[bytes | None] = [None] * len(self.starts)
        for shot in self.audible.tolist():
            touched = slice(self._first[shot], self._after[shot])
            place = struct.pack("<dd", self.starts[shot], self.ends[shot])
            digests[shot] = input_digest(place, *windows[touched])
        return digests

    def windows_of(self, chosen: Sequence[bool]) -> list[int]:
        """Return the windows that the chosen shots touch, in order."""
        shots = np.intersect1d(np.flatnonzero(chosen), self.audible)
        steps = np.zeros(self._count + 1, dtype=np.int64)
        np.add.at(steps, self._first[shots], 1)
        np.add.at(steps, self._after[shots], -1)
        return np.flatnonzero(np.cumsum(steps)[:-1]).tolist()

    def read(self, windows: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the samples of windows, float32.

        Raises:
            DamagedArtefactError: the sound is shorter than its header says.
        """
        sound = self._sound
        for window in windows:
            begin = window * self._window
            if sound.tell() != begin:
                sound.seek(begin)
            samples = sound.read(self._window, dtype="float32")
            if len(samples) < min(self._window, sound.frames - begin):
                raise DamagedArtefactError(
                    "soundtrack",
                    f"{sound.name} ends after {(begin + len(samples)) / self.rate:.1f} of "
                    f"{sound.frames / self.rate:.1f} s: decode the title again.",
                )
            yield samples


def _pool(
    encoder: AudioEncoder,
    grid: _Grid,
    windows: Sequence[int],
    batch_size: int,
    means: ShotMeans,
    progress: Progress | None,
) -> None:
    """Encode windows and add their vectors to the shots that they belong to."""
    starts, ends, audible = grid.starts, grid.ends, grid.audible
    middles = (starts + ends) / 2
    for done in range(0, len(windows), batch_size):
        batch = windows[done : done + batch_size]
        sound = list(grid.read(batch))
        for window, samples, vectors in zip(batch, sound, encoder.encode(sound), strict=True):
            begin, length = grid.begin_s(window), len(samples) / grid.rate
            centres = begin + (np.arange(len(vectors)) + 0.5) * (length / len(vectors))  # [frames]
            shot = np.searchsorted(starts, centres, side="right") - 1
            inside = (shot >= 0) & (centres < ends[shot])
            means.add(shot[inside], vectors[inside])
            here = audible[(middles[audible] >= begin) & (middles[audible] < begin + length)]
            frame = ((middles[here] - begin) / length * len(vectors)).astype(np.int64)
            means.add_fallback(here, vectors[np.minimum(frame, len(vectors) - 1)])
        if progress:
            progress((done + len(batch)) / len(windows))


def _check_format(sound: "SoundFile", sample_rate: int, path: Path) -> None:
    if (sound.channels, sound.samplerate) != (1, sample_rate):
        raise DamagedArtefactError(
            "soundtrack",
            f"{path} has {sound.channels} channels at {sound.samplerate} Hz, not 1 at "
            f"{sample_rate}: decode the title again.",
        )
    if sound.frames == _NO_LENGTH:
        raise DamagedArtefactError(
            "soundtrack",
            f"{path} has no length in its header, since its writer has not finished it: decode the "
            "title again.",
        )
