"""Vectors of clips in portions, streamed from the shards' files or held in memory.

Vectors have unit length or are zero. They are scaled once when they are read, not by each search.
With `both`, a clip's contextual and fused vectors stand side by side, each scaled by itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Literal, NamedTuple, Protocol

import numpy as np

from mediafm_core.clips.vector_choice import VectorChoice, parts_of
from mediafm_core.disk.sealed_parquet import decoding, open_parquet
from mediafm_core.errors import StoreError
from mediafm_core.runtime.prefetch import prefetch
from mediafm_core.search.clip_numbers import Clips, ShardOfClips
from mediafm_core.store.features.feature_tables import FUSED
from mediafm_core.vectors import to_numpy, unit_length, vector_type

HeldPrecision = Literal["float32", "float16"]

# Bytes of a portion in float32. Portions are large because threads synchronise at the end of each,
# which is slow on a busy machine.
_PORTION_BYTES = 256 << 20
_MOST = 32768  # rows of a portion, which bounds its matrix of cosines
_SMALLEST = 64  # rows of a portion, for vectors of any width
_COLUMNS = {"context": "embedding", "fused": FUSED}


class Portion(NamedTuple):
    """Vectors of some clips.

    Attributes:
        rows: Numbers of the clips, int64 `[n]`.
        vectors: float32 or float16 `[n, h]`, `[n, f]` or `[n, h + f]`, of unit length or zero (each
            part by itself); must not be written to.
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
    """Vectors read from the shards by each search. Memory holds two row groups at a time.

    Args:
        clips: Clips to read.
        by: Vectors to read; fused ones only where the clips have them.
    """

    def __init__(self, clips: Clips, by: VectorChoice = "context") -> None:
        self._clips = clips
        self._widths = widths_of(clips, by)

    def portions(self, allowed: np.ndarray) -> Iterator[Portion]:
        """See `Vectors.portions`; the next portion is prefetched while one is searched."""
        with closing(prefetch(self._read(allowed))) as portions:
            yield from portions

    def take(self, rows: np.ndarray) -> np.ndarray:
        """See `Vectors.take`; reads only the row groups with these clips."""
        wanted = np.zeros(len(self._clips), dtype=bool)
        wanted[rows] = True
        parts = [portion.vectors for portion in self.portions(wanted)]
        return np.concatenate([np.empty((0, sum(self._widths.values())), np.float32), *parts])

    def _read(self, allowed: np.ndarray) -> Iterator[Portion]:
        for shard in self._clips.shards:
            if allowed[shard.numbers].any():
                yield from _portions_of(shard, allowed, self._widths)


class HeldVectors:
    """Vectors in memory.

    Args:
        clips: Clips whose vectors are held.
        precision: float16 halves the memory, and changes cosines by about 1e-5.
        by: Vectors to hold.
    """

    def __init__(
        self,
        clips: Clips,
        precision: HeldPrecision = "float32",
        by: VectorChoice = "context",
    ) -> None:
        width = sum(widths_of(clips, by).values())
        self.matrix = np.zeros((len(clips), width), dtype=precision)
        for portion in StreamedVectors(clips, by).portions(clips.shown):
            self.matrix[portion.rows] = portion.vectors
        self._rows = min(_MOST, max(_SMALLEST, _PORTION_BYTES // (4 * width)))

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


def widths_of(clips: Clips, by: VectorChoice) -> dict[str, int]:
    """Return the widths of the chosen vectors of clips by name, `context` before `fused`."""
    widths = {"context": clips.dimension, "fused": clips.fused}
    return {name: widths[name] for name in parts_of(by)}


def _portions_of(
    shard: ShardOfClips, allowed: np.ndarray, widths: Mapping[str, int]
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
                columns = {_COLUMNS[name]: width for name, width in widths.items()}
                read = file.read_row_group(group, columns=list(columns))
                parts = []
                for name, width in columns.items():
                    # A merged shard has variable-size lists, so the width is added by a cast.
                    vectors = to_numpy(read[name].cast(vector_type(width)))
                    parts.append(unit_length(vectors[chosen] if len(chosen) < count else vectors))
                joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
                yield Portion(first + chosen, joined)
            first += count
