"""Vectors of clips in portions: from the shards' files, or held in memory between searches.

Both give vectors of unit length (or zero), scaled once when they are read and not by each search.
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

Precision = Literal["float32", "float16"]

# Of float32. Threads meet at the end of each portion, which on a busy machine costs a lot.
_PORTION_BYTES = 256 << 20
_MOST = 32768  # rows of a portion: a row of cosines goes with each
_SMALLEST = 64  # rows of a portion, however wide
_COLUMN = "embedding"


class Portion(NamedTuple):
    """Some clips' vectors.

    Attributes:
        rows: the clips' numbers, int64 `[n]`.
        vectors: float32 or float16 `[n, h]` of unit length or zero; not to be changed.
    """

    rows: np.ndarray
    vectors: np.ndarray


class Vectors(Protocol):
    """The vectors of a catalogue's clips."""

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """The vectors of the clips that are allowed, bool `[n]`, in the order of their numbers."""
        ...

    def take(self, rows: np.ndarray) -> np.ndarray:
        """float32 `[len(rows), h]`: the vectors of some clips, by ascending numbers."""
        ...


class StreamedVectors:
    """Vectors read from the shards for one search: memory for two row groups, however many."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """See `Vectors.portions`; the next portion is read while the one before is searched."""
        with closing(prefetch(self._read(allowed))) as portions:
            yield from portions

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See `Vectors.take`; reads the row groups that the clips are in."""
        wanted = np.zeros(len(self._clips), dtype=bool)
        wanted[rows] = True
        found = [portion.vectors for portion in self.portions(wanted)]
        return np.concatenate([np.empty((0, self._clips.dimension), np.float32), *found])

    def _read(self, allowed: np.ndarray) -> Iterator[Portion]:
        for shard in self._clips.shards:
            if allowed[shard.numbers].any():
                yield from _portions_of(shard, allowed, vector_type(self._clips.dimension))


class HeldVectors:
    """Vectors in memory.

    Args:
        clips: which ones.
        precision: float16 takes half the memory; cosines then differ by some 1e-5.
    """

    def __init__(self, clips: Clips, precision: Precision = "float32") -> None:
        self.matrix = np.zeros((len(clips), clips.dimension), dtype=precision)
        for portion in StreamedVectors(clips).portions(clips.shown):
            self.matrix[portion.rows] = portion.vectors
        self._rows = min(_MOST, max(_SMALLEST, _PORTION_BYTES // (4 * clips.dimension)))

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """See `Vectors.portions`: views, except where clips between are left out."""
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
                # A shard that was merged from others says only that vectors are lists.
                column = file.read_row_group(group, columns=[_COLUMN])[_COLUMN].cast(vector)
                vectors = to_numpy(column)
                if len(chosen) < count:
                    vectors = vectors[chosen]
                yield Portion(first + chosen, unit_length(vectors))
            first += count
