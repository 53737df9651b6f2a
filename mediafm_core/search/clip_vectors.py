"""Vectors of clips in portions, streamed from the shards' files or held in memory.

Vectors have unit length or are zero. They are scaled once when they are read, not by each search.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from mediafm_core.disk.sealed_parquet import decoding, open_parquet
from mediafm_core.errors import StoreError
from mediafm_core.runtime.prefetch import prefetch
from mediafm_core.search.clip_numbers import Clips, ShardOfClips
from mediafm_core.vectors import to_numpy, unit_length, vector_type

HeldPrecision = Literal["float32", "float16"]

# Bytes of a portion in float32. Portions are large because threads synchronise at the end of each,
# which is slow on a busy machine.
_PORTION_BYTES = 256 << 20
_MOST = 32768  # rows of a portion, which bounds its matrix of cosines
_SMALLEST = 64  # rows of a portion, for vectors of any width
_COLUMN = "embedding"


class Portion(NamedTuple):
    """Vectors of some clips.

    Attributes:
        rows: Numbers of the clips, int64 `[n]`.
        vectors: float32 or float16 `[n, h]` of unit length or zero; must not be written to.
    """

    rows: np.ndarray
    vectors: np.ndarray


class Vectors(Protocol):
    """Vectors of a catalogue's clips."""

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """Yield the vectors of the allowed clips, bool `[n]`, in the order of their numbers."""
        ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of clips by ascending numbers, float32 `[len(rows), h]`."""
        ...


class StreamedVectors:
    """Vectors read from the shards by each search. Memory holds two row groups at a time."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """See `Vectors.portions`; the next portion is prefetched while one is searched."""
        with closing(prefetch(self._read(allowed))) as portions:
            yield from portions

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See `Vectors.take`; reads only the row groups with these clips."""
        wanted = np.zeros(len(self._clips), dtype=bool)
        wanted[rows] = True
        parts = [portion.vectors for portion in self.portions(wanted)]
        return np.concatenate([np.empty((0, self._clips.dimension), np.float32), *parts])

    def _read(self, allowed: np.ndarray) -> Iterator[Portion]:
        for shard in self._clips.shards:
            if allowed[shard.numbers].any():
                yield from _portions_of(shard, allowed, vector_type(self._clips.dimension))


class HeldVectors:
    """Vectors in memory.

    Args:
        clips: Clips whose vectors are held.
        precision: float16 halves the memory, and changes cosines by about 1e-5.
    """

    def __init__(self, clips: Clips, precision: HeldPrecision = "float32") -> None:
        self.matrix = np.zeros((len(clips), clips.dimension), dtype=precision)
        for portion in StreamedVectors(clips).portions(clips.shown):
            self.matrix[portion.rows] = portion.vectors
        self._rows = min(_MOST, max(_SMALLEST, _PORTION_BYTES // (4 * clips.dimension)))

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """See `Vectors.portions`; yields views, or copies where clips in between are left out."""
        for start in range(0, len(self.matrix), self._rows):
            part = slice(start, start + self._rows)
            rows = start + np.flatnonzero(allowed[part])
            if len(rows):
                whole = len(rows) == len(allowed[part])
                yield Portion(rows, self.matrix[part if whole else rows])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See `Vectors.take`."""
        return self.matrix[rows].astype(np.float32)


def _portions_of(
    shard: ShardOfClips, allowed: np.ndarray, vector: pa.DataType
) -> Iterator[Portion]:

    def damaged(reason: str) -> StoreError:
        return StoreError(
            f"{shard.path} is damaged ({reason}): `mediafm verify --repair` writes it again."
        )

    with decoding(damaged), open_parquet(shard.path, memory_map=True) as file:
        first = shard.first
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            chosen = np.flatnonzero(allowed[first : first + count])
            if len(chosen):
                # A merged shard has variable-size lists, so the width is added by a cast.
                column = file.read_row_group(group, columns=[_COLUMN])[_COLUMN].cast(vector)
                vectors = to_numpy(column)
                if len(chosen) < count:
                    vectors = vectors[chosen]
                yield Portion(first + chosen, unit_length(vectors))
            first += count
