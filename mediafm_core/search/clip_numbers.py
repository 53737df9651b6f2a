"""Clips of a catalogue's snapshot by number, with the shards that hold their vectors.

A clip's number is its row in the shards' files, one shard after the other. Names, vectors and
conditions of a search refer to clips by number. Numbers are valid for one snapshot.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.disk.sealed_parquet import decoding, open_parquet
from mediafm_core.errors import StoreError
from mediafm_core.store.features.snapshot import shard_key, snapshot_in
from mediafm_core.store.features.verified_shards import damaged_shard
from mediafm_core.store.store import Store


@dataclass(frozen=True)
class ShardOfClips:
    """A file of clips, whose rows have the numbers from `first` to `first + rows - 1`."""

    name: str
    path: Path
    first: int
    rows: int

    @property
    def numbers(self) -> slice:
        """Numbers of its rows, for indexing."""
        return slice(self.first, self.first + self.rows)


@dataclass(frozen=True)
class Clips:
    """All clips of a snapshot.

    Attributes:
        model: Model version of their vectors.
        dimension: Width of their contextual vectors.
        shards: The files, in the order of the numbers.
        table: `title_id, clip_id, start_s, end_s, proposed`, a row per number.
        shown: bool `[n]`, False for rows of titles that were published again or removed.
        fused: Width of their fused vectors; 0 where not every title has them.
    """

    model: str
    dimension: int
    shards: tuple[ShardOfClips, ...]
    table: pa.Table
    shown: np.ndarray
    fused: int = 0

    def __len__(self) -> int:
        return len(self.shown)

    def title_groups(self, query: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return int64 `[pairs]`, equal for pairs of the same query and clips of the same title."""
        return (query << 32) | self._titles[row]

    @cached_property
    def order(self) -> np.ndarray:
        """int64 `[n]`, sort key by title and clip id, which breaks ties between clips."""
        return (self._titles << 32) | _ranks(self.table["clip_id"])

    @cached_property
    def _titles(self) -> np.ndarray:
        """int64 `[n]`, rank of each clip's title in alphabetical order."""
        return _ranks(self.table["title_id"])


def clips_in(connection: duckdb.DuckDBPyConnection, store: Store) -> Clips:
    """Read the clips of the snapshot behind a connection from `open_features`.

    Raises:
        StoreError: The snapshot was published by an earlier version of MediaFM, or a shard is
            damaged.
    """
    snapshot = snapshot_in(connection)
    if not snapshot.is_current:
        raise StoreError(
            f"{store.features} is of an earlier version, which cannot be searched: `mediafm run` "
            "rebuilds it."
        )
    keys = [shard_key(snapshot.model, "clips", shard.name) for shard in snapshot.shards]
    paths = store.files.paths(keys, immutable=True)
    shards, tables, first = [], [_COLUMNS.empty_table()], 0
    shown = [np.empty(0, dtype=bool)]
    for shard, key, path in zip(snapshot.shards, keys, paths, strict=True):
        with (
            decoding(partial(damaged_shard, store, key)),
            open_parquet(path, memory_map=True) as file,
        ):
            rows = file.read(_COLUMNS.names)
        shards.append(ShardOfClips(shard.name, path, first, rows.num_rows))
        tables.append(rows.select(_COLUMNS.names).cast(_COLUMNS))
        gone = pc.is_in(rows["title_id"], pa.array(sorted(shard.superseded), pa.string()))
        shown.append(~gone.to_numpy().astype(bool))
        first += rows.num_rows
    return Clips(
        snapshot.model,
        snapshot.dimension,
        tuple(shards),
        pa.concat_tables(tables).combine_chunks(),  # `take` is far faster on a single chunk
        np.concatenate(shown),
        snapshot.fused_dimension,
    )


_COLUMNS = pa.schema(
    [
        ("title_id", pa.string()),
        ("clip_id", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("proposed", pa.bool_()),
    ]
)


def _ranks(names: pa.ChunkedArray) -> np.ndarray:
    """Rank each name in the alphabetical order of distinct names, int64 `[n]`."""
    codes = names.combine_chunks().dictionary_encode()
    place = np.empty(len(codes.dictionary), dtype=np.int64)
    place[pc.sort_indices(codes.dictionary).to_numpy()] = np.arange(len(place))
    return place[codes.indices.to_numpy()]
