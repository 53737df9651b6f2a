"""Read access to the published tables."""

import tempfile
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mediafm_core.store.features import feature_tables
from mediafm_core.store.features.shards import TitleVersions
from mediafm_core.store.features.snapshot import (
    CLOSE,
    Snapshot,
    address,
    duckdb_errors,
    literal,
    pattern,
    place,
    require_sound_snapshot,
    shard_key,
    snapshot_in,
    write_snapshot,
)
from mediafm_core.store.features.verified_shards import require_sound
from mediafm_core.store.store import Store


@dataclass(frozen=True)
class PublishedCatalogue:
    """Published model version, and the versions of each title's rows."""

    model: str
    dimension: int
    schema_version: int
    versions: dict[str, TitleVersions]


def catalogue(store: Store) -> PublishedCatalogue | None:
    """Return the published model and versions, or None before the first publication.

    Raises:
        StoreError: the file cannot be read.
    """
    if not store.features.exists():
        return None
    with closing(open_features(store)) as connection, duckdb_errors(store.features, CLOSE):
        model, dimension, schema_version = connection.execute(
            "SELECT model_version, dimension, schema_version FROM catalogue"
        ).fetchall()[0]
        rows = connection.execute("SELECT title_id, data_version, title_version FROM titles")
        versions = {title_id: TitleVersions(*found) for title_id, *found in rows.fetchall()}
    return PublishedCatalogue(model, dimension, schema_version, versions)


def open_features(
    store: Store, limits: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads the catalogue's current tables, and no other file.

    Its queries can open no other file or address, attach nothing and load no extension. DuckDB
    shares one instance among a process's connections to a path, which would show the old file for
    as long as any of them lives: attached to an instance of its own it is always current.

    If the store was moved, or is remote, the views of `features.duckdb` name files that this
    machine does not have: they are replaced by the same views over this machine's paths.

    Args:
        store: the catalogue's.
        limits: settings of DuckDB, such as `memory_limit`.

    Raises:
        StoreError: it is no DuckDB file or damaged, a shard is damaged, or another program writes
            to it.
    """
    # Large queries spill there instead of into the working directory; DuckDB removes it.
    spill = Path(tempfile.gettempdir()) / f"mediafm-{uuid.uuid4().hex}"
    connection = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "temp_directory": str(spill),
            **(limits or {}),
        }
    )
    path = store.features
    with duckdb_errors(path, CLOSE):
        try:
            require_sound_snapshot(path)
            connection.execute(f"ATTACH {literal(str(path))} AS features (READ_ONLY)")
            snapshot = snapshot_in(connection)
            files = _files(store, snapshot)
            if snapshot.is_sharded and not _is_at_home(store, snapshot):
                _stand_in(connection, store, snapshot)
            connection.execute("USE features")
            connection.execute("SET allowed_paths = $1", [files])
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except BaseException:
            connection.close()
            raise
    return connection


def has_earlier_tables(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return True if an earlier version of MediaFM published the tables, so that some may lack."""
    (version,) = connection.execute("SELECT schema_version FROM catalogue").fetchall()[0]
    return bool(version < feature_tables.VERSION)


def _files(store: Store, snapshot: Snapshot) -> list[str]:
    """Return the files that the views read, by their paths and as the views name them."""
    keys = [
        shard_key(snapshot.model, file, shard.name)
        for shard in snapshot.shards
        for file in feature_tables.FILES
    ]
    paths = require_sound(store, keys)
    return list(dict.fromkeys([*map(str, paths), *map(pattern, paths)]))


def _is_at_home(store: Store, snapshot: Snapshot) -> bool:
    """Return True if the views name the files by this machine's paths."""
    key = shard_key(snapshot.model, "titles", snapshot.shards[0].name)
    here = str(store.files.path(key, immutable=True)) == address(store.files, key)
    return here and snapshot.place == place(store.files)


def _stand_in(connection: duckdb.DuckDBPyConnection, store: Store, snapshot: Snapshot) -> None:
    """Attach a temporary file with the views over this machine's paths instead."""
    connection.execute("DETACH features")
    with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
        prepared = Path(folder) / "features.duckdb"
        write_snapshot(connection, store, snapshot, prepared, local=True)
        # DuckDB keeps the file open: it lasts for as long as the connection does.
        connection.execute(f"ATTACH {literal(str(prepared))} AS features (READ_ONLY)")
