"""Video vectors: one per shot from its keyframes."""

import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from mediafm_core.encoders.base import Progress, VideoEncoder
from mediafm_core.encoders.embed.embedding_table import (
    EarlierVectors,
    embeddings_table,
    input_digest,
)
from mediafm_core.encoders.embed.means import ShotMeans
from mediafm_core.errors import DamagedArtefactError
from mediafm_core.vectors import unit_length


def embed_video(
    encoder: VideoEncoder,
    keyframes: Iterable[pa.RecordBatch],
    shot_count: int,
    batch_size: int,
    progress: Progress | None = None,
    earlier: pa.Table | None = None,
) -> pa.Table:
    """Average the vectors of each shot's keyframes.

    Args:
        encoder: the video encoder.
        keyframes: `title_id, shot_index, position, ..., jpeg` in the order of shots.
        shot_count: shots of the title; a shot without keyframes is not present.
        batch_size: pictures for one call of the encoder.
        progress: called with the fraction that is done.
        earlier: a table of the same encoder and code: shots with the same keyframes take their
            vectors from it.

    Raises:
        DamagedArtefactError: there are no keyframes, they belong to other shots, or one is no
            picture.
    """
    means = ShotMeans(shot_count, encoder.dimension)
    known = EarlierVectors(earlier)
    digests: list[bytes | None] = [None] * shot_count
    title_id = ""
    pictures: list[np.ndarray] = []
    shots: list[int] = []

    def flush() -> None:
        means.add(np.array(shots), encoder.encode(pictures))
        if progress:
            progress((shots[-1] + 1) / shot_count)
        pictures.clear()
        shots.clear()

    for title_id, shot, jpegs in _keyframes_per_shot(keyframes, shot_count):
        digests[shot] = input_digest(*(jpeg for _, jpeg in jpegs))
        if digests[shot] in known:
            continue
        for position, jpeg in jpegs:
            pictures.append(_decode_jpeg(jpeg, f"{title_id}: keyframe {position} of shot {shot}"))
            shots.append(shot)
            if len(pictures) == batch_size:
                flush()
    if pictures:
        flush()
    if not title_id:
        raise DamagedArtefactError("keyframes", "A title has no keyframes at all: decode it again.")
    sums, present = means.result()
    vectors = unit_length(sums)
    present |= known.fill(vectors, digests)
    return embeddings_table(
        pa.repeat(pa.scalar(title_id), shot_count),
        pa.array(np.arange(shot_count, dtype=np.int32)),
        vectors,
        present,
        digests,
    )


def _keyframes_per_shot(
    batches: Iterable[pa.RecordBatch], shot_count: int
) -> Iterator[tuple[str, int, list[tuple[int, pa.Buffer]]]]:
    """Yield title, shot, and `(position, jpeg)` of each of the shot's keyframes."""
    last = -1
    for (title_id, shot), rows in groupby(_rows(batches), itemgetter(0, 1)):
        if not last < shot < shot_count:
            raise DamagedArtefactError(
                "keyframes",
                f"{title_id}: a keyframe of shot {shot} among {shot_count} shots is out of order: "
                "decode the title again.",
            )
        last = shot
        yield title_id, shot, [(position, jpeg) for _, _, position, jpeg in rows]


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, int, pa.Buffer]]:
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
    except OSError as error:  # PIL's error for a picture that it cannot decode
        raise DamagedArtefactError(
            "keyframes", f"{name} is no whole JPEG ({error}): decode the title again."
        ) from error
