"""Layouts that keep a catalogue for readers, compared by `benchmarks.growing_catalogue`."""

import os
import shutil
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.store.features import publish
from mediafm_core.store.features.shards import ShardWriter
from mediafm_core.store.features.snapshot import Snapshot
from mediafm_core.store.features.snapshot_writer import SnapshotWriter, writing
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store

SHOTS, CLIPS, WIDTH = 50, 10, 256
SCENE_SHOTS = 9
TIERS = (512, 64, 8, 1)
TABLES = ("titles", "shots", "clips")  # vectors of clips lie beside them, that of a title too
ROWS_READ_TOGETHER = 2048


def random_titles(first: int, count: int) -> dict[str, pa.Table]:
    """Draw the tables of some titles, ordered by title, with the columns of the store's shards."""
    random = np.random.default_rng(first)
    names = np.array([f"title-{number:06d}" for number in range(first, first + count)])

    def vectors(rows: int) -> pa.Array:
        values = random.standard_normal((rows, WIDTH), dtype=np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), WIDTH)

    def several(each: int, seconds: float) -> tuple[np.ndarray, dict[str, object]]:
        index = np.tile(np.arange(each, dtype=np.int32), count)
        times = {"start_s": index * seconds, "end_s": (index + 1) * seconds}
        return index, {"title_id": np.repeat(names, each), **times}

    shot, shots = several(SHOTS, 6.0)
    clip, clips = several(CLIPS, 30.0)
    titles = {
        "title_id": names,
        **dict.fromkeys(("name", "kind", "language", "synopsis"), names),
        "tags": pa.array([["a tag"]] * count, pa.list_(pa.string())),
        "duration_s": np.full(count, SHOTS * 6.0),
        "shots": np.full(count, SHOTS, np.int32),
        "clips": np.full(count, CLIPS, np.int32),
        "data_version": names,
        "title_version": names,
        "embedding": vectors(count),
    }
    shots |= {
        "shot_index": shot,
        "start_frame": shot * np.int64(144),
        "end_frame": shot * np.int64(144) + 143,
        "text": pa.array(["what is said"] * len(shot)),
        **{f"has_{name}": np.ones(len(shot), bool) for name in ("video", "audio", "text")},
        "scene_index": shot // SCENE_SHOTS,
        "scene_probability": (shot % SCENE_SHOTS == 0).astype(np.float32),
        "embedding": vectors(len(shot)),
    }
    labels = pa.array([[("genre", "drama")]] * len(clip), pa.map_(pa.string(), pa.string()))
    clips |= {
        "clip_id": pa.array([f"clip-{index:03d}" for index in clip]),
        "proposed": np.ones(len(clip), bool),
        "first_shot": clip * 5,
        "last_shot": clip * 5 + 4,
        "labels": labels,
        "embedding": vectors(len(clip)),
    }
    return {"titles": pa.table(titles), "shots": pa.table(shots), "clips": pa.table(clips)}


class Layout(ABC):
    """A way to keep the catalogue in a folder; `features.duckdb` in it is what readers open."""

    vectors = "clips"  # the table that holds the clips' vectors

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.features = folder / "features.duckdb"
        folder.mkdir(parents=True)

    @abstractmethod
    def build(self, titles: int) -> None:
        """Lay out so many titles, as additions and merging would have left them."""

    def prepare(self, tables: dict[str, pa.Table]) -> None:  # noqa: B027 - most need nothing
        """Prepare an addition; this is not measured."""

    @abstractmethod
    def add(self, tables: dict[str, pa.Table]) -> None:
        """Add one title and let readers see it."""

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the catalogue as any client does, seeing it as it is now."""
        return duckdb.connect(str(self.features), read_only=True)

    def bytes(self) -> int:
        """Return the size of the catalogue on disk, in bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def replace(self, prepared: Path) -> None:
        """Move a small or large file over the readers' one, on disk before it is visible."""
        on_disk(prepared)
        prepared.replace(self.features)


class OneFile(Layout):
    """All rows in one DuckDB file, copied for every change."""

    def build(self, titles: int) -> None:
        """Insert the titles in portions."""
        with closing(duckdb.connect(str(self.features))) as connection:
            for first in range(0, titles, TIERS[0]):
                count = min(TIERS[0], titles - first)
                _insert(connection, random_titles(first, count), create=first == 0)

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Copy the file, insert the title and replace the readers' file."""
        prepared = self.folder / "prepared.duckdb"
        shutil.copyfile(self.features, prepared)
        with closing(duckdb.connect(str(prepared))) as connection:
            _insert(connection, tables, create=False)
            connection.execute("CHECKPOINT")
        self.replace(prepared)


class Shards(Layout):
    """Immutable shards; the small file that readers open holds views over them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shards: list[Path] = []

    @abstractmethod
    def write(self, shard: Path, tables: dict[str, pa.Table]) -> None:
        """Write a shard."""

    @abstractmethod
    def view(self, table: str) -> str:
        """Return the query of a table over all shards."""

    def build(self, titles: int) -> None:
        """Write shards of the sizes of the tiers."""
        first = 0
        for tier in TIERS:
            while titles - first >= tier:
                self._write(random_titles(first, tier))
                first += tier
        self._show()

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Write one more shard and the views."""
        self._write(tables)
        self._show()

    def _write(self, tables: dict[str, pa.Table]) -> None:
        shard = self.folder / f"{len(self.shards):06d}"
        self.write(shard, tables)
        self.shards.append(shard)

    def _show(self) -> None:
        prepared = self.folder / "prepared.duckdb"
        with closing(duckdb.connect(str(prepared))) as connection:
            for table in TABLES:
                connection.execute(f"CREATE VIEW {table} AS {self.view(table)}")
        self.replace(prepared)


class ParquetShards(Shards):
    """Shards of one Parquet file per table."""

    def write(self, shard: Path, tables: dict[str, pa.Table]) -> None:
        """Write the tables with pyarrow."""
        shard.mkdir()
        for name, table in tables.items():
            pq.write_table(
                table,
                shard / f"{name}.parquet",
                row_group_size=ROWS_READ_TOGETHER,
                compression="none",
                use_dictionary=[column for column in table.column_names if column != "embedding"],
            )
            on_disk(shard / f"{name}.parquet")

    def view(self, table: str) -> str:
        """Return the query; a cast makes arrays of the lists."""
        files = [str(shard / f"{table}.parquet") for shard in self.shards]
        return (
            f"SELECT * REPLACE (embedding::FLOAT[{WIDTH}] AS embedding) "
            f"FROM read_parquet({files}, hive_partitioning=false)"
        )


class DuckDBShards(Shards):
    """Shards of one DuckDB file."""

    def write(self, shard: Path, tables: dict[str, pa.Table]) -> None:
        """Insert into a new file."""
        with closing(duckdb.connect(str(shard))) as connection:
            _insert(connection, tables, create=True)
        on_disk(shard)

    def view(self, table: str) -> str:
        """Return the query; the shards have the types already."""
        return f"FROM read_duckdb({[str(shard) for shard in self.shards]}, table_name='{table}')"


class DuckLake(Layout):
    """Parquet files and a catalogue in DuckDB, by the extension; vectors as lists."""

    def build(self, titles: int) -> None:
        """Insert in portions, as additions of many titles would."""
        with closing(self._attach()) as connection:
            for first in range(0, titles, TIERS[0]):
                count = min(TIERS[0], titles - first)
                _insert(connection, random_titles(first, count), create=first == 0, lists=True)

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Insert in one transaction."""
        with closing(self._attach()) as connection:
            connection.begin()
            _insert(connection, tables, create=False, lists=True)
            connection.commit()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Attach with the extension, which every client needs."""
        return self._attach("READ_ONLY, ")

    def _attach(self, options: str = "") -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connection.execute(f"LOAD '{ducklake_extension()}'")
        connection.execute(
            f"ATTACH 'ducklake:{self.folder}/catalogue.ducklake' AS lake "
            f"({options}DATA_PATH '{self.folder}/data')"
        )
        connection.execute("USE lake")
        return connection


class Published(Layout):
    """MediaFM's own layout: `publish` from the artefacts of a title, with merging."""

    MODEL = "model-1@0"
    vectors = "clip_features"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = Store(folder)

    def build(self, titles: int) -> None:
        """Write shards of the sizes of the tiers, and the snapshot of them."""
        first, shards = 0, []
        for tier in TIERS:
            while titles - first >= tier:
                with ShardWriter(self.store, self.MODEL) as writer:
                    for name, table in random_titles(first, tier).items():
                        writer.write(name, table)
                    writer.titles = tier
                    shards.append(writer.finish())
                first += tier
        with writing(self.store) as connection:
            snapshot = Snapshot(self.MODEL, WIDTH, tuple(shards))
            SnapshotWriter(self.store, connection, snapshot).cut_over(None)

    def prepare(self, tables: dict[str, pa.Table]) -> None:
        """Write a title's artefacts, as a run has done before it publishes."""
        (title_id,) = tables["titles"]["title_id"].to_pylist()
        keys, shots = ["title_id", "shot_index"], tables["shots"]
        times = ["start_s", "end_s", "start_frame", "end_frame"]
        presence = [name for name in shots.column_names if name.startswith("has_")]
        for asset, table, variant in (
            ("shots", shots.select([*keys, *times]), ""),
            ("timed_text", shots.select([*keys, "text"]), ""),
            ("fused_embeddings", shots.select([*keys, *presence]), ""),
            ("contextual_embeddings", shots.select([*keys, "embedding"]), self.MODEL),
            ("title_embeddings", tables["titles"].select(["title_id", "embedding"]), self.MODEL),
            ("scenes", shots.select([*keys, "scene_index", "scene_probability"]), self.MODEL),
            ("clip_features", tables["clips"], self.MODEL),
        ):
            record = ArtefactRecord(asset=asset, title_id=title_id, data_version=title_id)
            self.store.write(record, table, variant)
        row = tables["titles"].to_pylist()[0]
        record = ArtefactRecord(asset="title", title_id=title_id, data_version=title_id)
        content = {"manifest": row, "probe": {"duration_s": row["duration_s"]}}
        self.store.write_json(record, {**content, "manifest": {**row, "embedding": None}})

    def add(self, tables: dict[str, pa.Table]) -> None:
        """Publish one title."""
        publish(self.store, self.MODEL, tables["titles"]["title_id"].to_pylist())


LAYOUTS: dict[str, type[Layout]] = {
    "one_file": OneFile,
    "parquet_shards": ParquetShards,
    "duckdb_shards": DuckDBShards,
    "ducklake": DuckLake,
    "published": Published,
}


def ducklake_extension() -> Path:
    """Return the extension's file in the installed package.

    Raises:
        ModuleNotFoundError: the package `duckdb-extension-ducklake` is not installed.
    """
    import duckdb_extension_ducklake

    (folder,) = duckdb_extension_ducklake.__path__
    return next(Path(folder).rglob("ducklake.duckdb_extension"))


def on_disk(path: Path) -> None:
    """Wait until a file is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _insert(
    connection: duckdb.DuckDBPyConnection,
    tables: dict[str, pa.Table],
    create: bool,
    lists: bool = False,
) -> None:
    replaced = " REPLACE (embedding::FLOAT[] AS embedding)" if lists else ""
    for name, table in tables.items():
        connection.register("rows", table)
        verb = f"CREATE TABLE {name} AS" if create else f"INSERT INTO {name}"
        connection.execute(f"{verb} SELECT *{replaced} FROM rows")
        connection.unregister("rows")
