"""Small DuckDB file that names the shards of a catalogue, and shows them as tables.

A snapshot is never changed, only replaced by the next one. Its file holds the list of shards and
the views over them, so that any DuckDB client reads the catalogue by opening it.
"""

import glob
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from mediafm_core.disk.seals import SealError, check_file
from mediafm_core.errors import StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.storage.files import Files
from mediafm_core.store.features import feature_tables
from mediafm_core.store.store import FEATURES_FILE, Store

FOLDER = "features"
SNAPSHOT_FILE = "snapshot.duckdb"

# DuckDB's first stable file format, which clients of every version since 1.0 open.
_FORMAT = "v1.0.0"

_SHARDS = pa.schema(
    [
        ("name", pa.string()),
        ("titles", pa.int32()),
        ("bytes", pa.int64()),
        ("superseded", pa.list_(pa.string())),
    ]
)
_DROPPED = pa.schema([("name", pa.string()), ("since", pa.float64())])


@dataclass(frozen=True)
class Shard:
    """Some titles' rows of one model version in three files, written once.

    Attributes:
        name: of its files.
        titles: titles that were written into it.
        bytes: of its files together.
        superseded: those of its titles whose rows no longer count: published again or removed.
        fused: width of the fused vectors of its clips; 0 where they have none.
    """

    name: str
    titles: int
    bytes: int
    superseded: frozenset[str] = frozenset()
    fused: int = 0

    @property
    def live(self) -> int:
        """Number of titles whose rows are live."""
        return self.titles - len(self.superseded)


@dataclass(frozen=True)
class Snapshot:
    """A catalogue at one moment.

    Attributes:
        model: model version of everything in it.
        dimension: width of its vectors.
        shards: what it consists of.
        dropped: shards that it no longer consists of, each with the moment since when, in seconds
            since the epoch: clients that opened an earlier snapshot still read them.
        place: where the store was when this was written, as the views name its files.
        was_published: True if readers have seen this model, now or before; the column `served`.
        is_sharded: False for a file of the first design, which held the rows themselves.
        schema_version: of the tables.
        space: fused space of the clips that have fused vectors; None where no clip has.
        titles: how many titles it shows.
    """

    model: str
    dimension: int
    shards: tuple[Shard, ...] = ()
    dropped: tuple[tuple[str, float], ...] = ()
    place: str = ""
    was_published: bool = False
    is_sharded: bool = True
    schema_version: int = feature_tables.VERSION
    space: FusedSpace | None = None

    @property
    def fused_dimension(self) -> int:
        """Width of the fused vectors of clips if every title has them, else 0."""
        widths = {shard.fused for shard in self.shards if shard.live}
        return widths.pop() if len(widths) == 1 else 0

    @property
    def titles(self) -> int:
        """Number of titles; files of the first design have their own tables instead."""
        return sum(shard.live for shard in self.shards)

    @property
    def is_current(self) -> bool:
        """True if shards can be added to it."""
        return self.is_sharded and self.schema_version == feature_tables.VERSION

    def without(self, names: Iterable[str], since: float) -> "Snapshot":
        """Return the snapshot without some shards, which are listed as dropped."""
        gone = set(names)
        return replace(
            self,
            shards=tuple(shard for shard in self.shards if shard.name not in gone),
            dropped=(*self.dropped, *((name, since) for name in sorted(gone))),
        )


def snapshot_key(model: str) -> str:
    """Return the key of the snapshot of a model that is not published."""
    return f"{FOLDER}/{model}/{SNAPSHOT_FILE}"


def shard_key(model: str, file: str, shard: str) -> str:
    """Return the key of one of a shard's three files."""
    return f"{FOLDER}/{model}/{file}/{shard}.parquet"


def address(files: Files, key: str) -> str:
    """Return a file's absolute path, or its address if it is remote."""
    return f"{place(files)}/{key}"


def place(files: Files) -> str:
    """Return the place of the store, as in `address`."""
    return files.location if files.is_remote else str(files.root.absolute())


def rows(files: Files, model: str, file: str, shards: Iterable[Shard], local: bool) -> str:
    """Return a query for the live rows of one file of some shards.

    Columns that only some of the shards have (fused vectors) must not be selected from it.

    Args:
        files: the store's.
        model: model version of the shards.
        file: one of `feature_tables.FILES`.
        shards: at least one.
        local: read from this machine's paths; else from addresses that hold for every client.
    """

    def name(shard: Shard) -> str:
        key = shard_key(model, file, shard.name)
        if files.is_remote and not local:
            return literal(address(files, key))  # `S3Location` has no pattern
        path = files.path(key, immutable=True) if local else Path(address(files, key))
        return literal(pattern(path))

    shards = list(shards)
    whole = ", ".join(name(shard) for shard in shards if not shard.superseded)
    parts = [
        f"SELECT * FROM read_parquet({name(shard)}, hive_partitioning=false) "  # noqa: S608
        f"WHERE title_id NOT IN ({', '.join(map(literal, sorted(shard.superseded)))})"
        for shard in shards
        if shard.superseded
    ]
    if whole:
        parts.insert(0, f"SELECT * FROM read_parquet([{whole}], hive_partitioning=false)")  # noqa: S608
    return " UNION ALL BY NAME ".join(parts)


def pattern(path: Path) -> str:
    """Return what `read_parquet` takes for one file, and not for a pattern of others."""
    return glob.escape(str(path))


def literal(text: str) -> str:
    """Return a text as an SQL literal, for statements without parameters; quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"


def write_snapshot(
    connection: duckdb.DuckDBPyConnection, store: Store, snapshot: Snapshot, path: Path, local: bool
) -> None:
    """Write a snapshot's file.

    Args:
        connection: any connection that may write.
        store: where its shards are.
        snapshot: at least one shard.
        path: of the new file.
        local: as of `rows`.
    """
    if store.files.is_remote and not connection.filesystem_is_registered("s3"):
        from mediafm_core.storage.duckdb_s3_filesystem import CachedFileSystem

        connection.register_filesystem(CachedFileSystem(store.files))
    connection.execute(f"ATTACH {literal(str(path))} AS prepared (STORAGE_VERSION '{_FORMAT}')")
    try:
        connection.begin()
        connection.execute(feature_tables.CREATE.format(database="prepared"))
        connection.execute(
            "INSERT INTO prepared.catalogue VALUES ($1, $2, $3, $4)",
            [snapshot.model, snapshot.dimension, snapshot.schema_version, snapshot.titles],
        )
        where = place(store.files)
        connection.execute(
            "INSERT INTO prepared.storage.state VALUES ($1, $2)", [where, snapshot.was_published]
        )
        shards = [
            {**vars(shard), "superseded": sorted(shard.superseded)} for shard in snapshot.shards
        ]
        dropped = [{"name": name, "since": since} for name, since in snapshot.dropped]
        for table, found, schema in (
            ("shards", shards, _SHARDS),
            ("dropped", dropped, _DROPPED),
        ):
            connection.register("listed", pa.Table.from_pylist(found, schema=schema))
            connection.execute(f"INSERT INTO prepared.storage.{table} FROM listed")
            connection.unregister("listed")
        _write_fused(connection, snapshot)
        views = feature_tables.views(
            snapshot.schema_version,
            literal(snapshot.model),
            snapshot.dimension,
            snapshot.fused_dimension,
        )
        for name, view in views.items():
            source = rows(store.files, snapshot.model, view.file, snapshot.shards, local)
            connection.execute(
                f"CREATE VIEW prepared.{name} AS "  # noqa: S608 - names are our own
                f"SELECT {view.columns} FROM ({source}) {view.grouping}"
            )
        connection.commit()
    finally:
        connection.execute("DETACH prepared")


def _write_fused(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Write which shards have fused vectors, and their space, into the attached `prepared`."""
    space = snapshot.space
    with_fused = [(shard.name, shard.fused) for shard in snapshot.shards if shard.fused]
    if space is None or not with_fused:
        return
    columns = [
        (name, space.encoders[name], *space.ranges[name])
        for name in sorted(space.ranges, key=space.ranges.__getitem__)
    ]
    for table, found in (("fused_shards", with_fused), ("fused_space", columns)):
        names = feature_tables.FUSED_TABLES[table]
        connection.execute(f"CREATE TABLE prepared.storage.{table} ({names})")
        marks = ", ".join("?" * len(found[0]))
        connection.executemany(f"INSERT INTO prepared.storage.{table} VALUES ({marks})", found)  # noqa: S608
    if snapshot.fused_dimension:
        connection.execute("CREATE TABLE prepared.fused_space AS FROM prepared.storage.fused_space")


def _read_fused(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[dict[str, int], FusedSpace | None]:
    """Read the widths of shards with fused vectors, and their space, from `features`."""
    tables = "SELECT 1 FROM duckdb_tables() WHERE (database_name, table_name) = ($1, $2)"
    if not connection.execute(tables, ["features", "fused_shards"]).fetchall():
        return {}, None
    widths = dict(connection.execute("FROM features.storage.fused_shards").fetchall())
    rows = connection.execute("FROM features.storage.fused_space").fetchall()
    encoders = {name: encoder for name, encoder, _, _ in rows}
    return widths, FusedSpace(encoders, {name: (start, stop) for name, _, start, stop in rows})


def read_snapshot(
    store: Store,
    key: str = FEATURES_FILE,
    connection: duckdb.DuckDBPyConnection | None = None,
) -> Snapshot | None:
    """Read a snapshot's file, or None where there is none.

    Args:
        store: the catalogue's store.
        key: the name of the file.
        connection: to read it with, where there is one already.

    Raises:
        StoreError: it is no DuckDB file or damaged, or another program writes to it.
    """
    path = store.files.path(key)
    if not path.exists():
        return None
    require_sound_snapshot(path)
    with ExitStack() as stack:
        stack.enter_context(duckdb_errors(path, CLOSE))
        if connection is None:
            connection = stack.enter_context(closing(duckdb.connect(config={"threads": 1})))
        connection.execute(f"ATTACH {literal(str(path))} AS features (READ_ONLY)")
        try:
            return snapshot_in(connection)
        finally:
            connection.execute("DETACH features")


def snapshot_in(connection: duckdb.DuckDBPyConnection) -> Snapshot:
    """Read the snapshot whose file is attached as `features`."""
    model, dimension, version = connection.execute(
        "SELECT model_version, dimension, schema_version FROM features.catalogue"
    ).fetchall()[0]
    schemas = "SELECT 1 FROM duckdb_schemas() WHERE (database_name, schema_name) = ($1, $2)"
    if not connection.execute(schemas, ["features", "storage"]).fetchall():
        return Snapshot(
            model, dimension, schema_version=version, was_published=True, is_sharded=False
        )
    where, was_published = connection.execute("FROM features.storage.state").fetchall()[0]
    fused, space = _read_fused(connection)
    shards = tuple(
        Shard(name, titles, size, frozenset(superseded), fused.get(name, 0))
        for name, titles, size, superseded in connection.execute(
            "FROM features.storage.shards"
        ).fetchall()
    )
    dropped = tuple(connection.execute("FROM features.storage.dropped").fetchall())
    return Snapshot(
        model,
        dimension,
        shards,
        dropped,
        place=where,
        was_published=was_published,
        schema_version=version,
        space=space,
    )


CLOSE = "close programs that write to it, or rebuild it with `mediafm verify --repair`"


def require_sound_snapshot(path: Path) -> None:
    """Compare a snapshot's file with its seal.

    DuckDB compares checksums of the blocks that it reads; this compares all of them at once, with
    an error that names the remedy.

    Raises:
        StoreError: it is damaged.
    """
    try:
        check_file(path)
    except SealError as error:
        raise StoreError(
            f"{path} is damaged ({error}): `mediafm verify --repair` rebuilds it."
        ) from None


@contextmanager
def duckdb_errors(path: Path, remedy: str) -> Iterator[None]:
    """Turn DuckDB's errors into a `StoreError` with a remedy."""
    try:
        yield
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be used ({reason}): {remedy}.") from error
