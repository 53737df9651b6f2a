"""Clip features in DuckDB: what readers query, derived from the Parquet files.

`<store>/features.duckdb` holds one model version at a time; `mediafm_core.store.tables` describes
its tables.

The file is never written in place. The one writer (a file lock) changes a copy in one transaction
and moves it over the old file, so that readers neither wait nor see half a change, and a writer
that dies leaves the old file.
"""

import logging
import re
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.errors import StoreError
from mediafm_core.store import tables
from mediafm_core.store.artefacts import FEATURES_FILE, Store

logger = logging.getLogger(__name__)

_TITLES_PER_INSERT = 32  # bounds what DuckDB sorts at once
_WRITER_MEMORY = "1GB"  # beyond it DuckDB spills into the staging folder
_PARAMETER = re.compile(r"\$(\w+)")

_MANIFEST_SCHEMA = pa.schema(
    [
        ("title_id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("language", pa.string()),
        ("synopsis", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("duration_s", pa.float64()),
        ("data_version", pa.string()),
        ("title_version", pa.string()),
    ]
)


class TitleVersions(NamedTuple):
    """What decides whether a title's rows are up to date."""

    data_version: str
    title_version: str


@dataclass(frozen=True)
class Catalogue:
    """What the DuckDB file holds: one model version and, for each title, what it was made from."""

    model: str
    dimension: int
    schema_version: int
    versions: dict[str, TitleVersions]


@dataclass(frozen=True)
class Publication:
    """What `publish` did.

    Attributes:
        outcome: "published": readers have a new file; "unchanged": everything was up to date;
            "held back": the new model waits for titles, readers keep the old one.
        titles: titles that readers see now.
        changed: titles whose rows were written.
        removed: titles whose rows were removed.
        waiting: titles without features of the new model, where the outcome is "held back".
        ready: titles that have features of the new model, where the outcome is "held back".
    """

    outcome: Literal["published", "unchanged", "held back"]
    titles: int
    changed: int = 0
    removed: int = 0
    waiting: tuple[str, ...] = ()
    ready: int = 0

    def __str__(self) -> str:
        if self.outcome == "held back":
            return f"held back: {self.ready} of {self.ready + len(self.waiting)} titles ready"
        if self.outcome == "unchanged":
            return f"unchanged: {self.titles} titles"
        work = f"{self.changed} titles written, {self.removed} removed"
        return f"published: {work}, {self.titles} in all"


def publish(
    store: Store, model: str, title_ids: Iterable[str], *, expected: Collection[str] | None = None
) -> Publication:
    """Bring `features.duckdb` up to date.

    Under the model that readers see already, the rows of `title_ids` are replaced where their
    versions differ. Under another model, a new file is built from the Parquet files once every
    title that readers see, less those taken out of `expected`, has features of that model; until
    then nothing changes.

    Args:
        store: the catalogue's store.
        model: model version, the name of the variant folders.
        title_ids: titles whose features of this model are complete in Parquet.
        expected: every title that readers may see; rows of others (retired, quarantined) are
            removed. None keeps the titles that are there.

    Raises:
        StoreError: an artefact of one of `title_ids` is missing or does not fit the others, or
            another program has opened the file for writing.
    """
    asked = set(title_ids)
    with store.files.exclusive("features"):
        current = catalogue(store)
        seen = set(current.versions) if current else set()
        kept = asked | (seen if expected is None else set(expected))
        ready = _versions(store, model, asked)
        if len(ready) < len(asked):
            missing = min(asked - set(ready))
            raise StoreError(f"{missing} has no clip features of {model} to publish: run it first.")
        if current and current.model == model and current.schema_version == tables.VERSION:
            return _update(store, current, ready, removed=seen - kept)
        ready |= _versions(store, model, kept - asked)
        return _build(store, model, ready, required=seen & kept, seen=seen)


def catalogue(store: Store) -> Catalogue | None:
    """What readers see now, or None where nothing was published yet.

    Raises:
        StoreError: the file cannot be read.
    """
    if not store.features.exists():
        return None
    with closing(open_features(store.features)) as connection, _reading(store.features):
        model, dimension, schema_version = connection.execute(
            "SELECT model_version, dimension, schema_version FROM catalogue"
        ).fetchall()[0]
        rows = connection.execute("SELECT title_id, data_version, title_version FROM titles")
        versions = {title_id: TitleVersions(*found) for title_id, *found in rows.fetchall()}
    return Catalogue(model, dimension, schema_version, versions)


def open_features(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file for reading, as it is now.

    DuckDB shares one instance among a process's connections to a path, which would show the old
    file for as long as any of them lives: attached to an instance of its own it is always current.

    Raises:
        StoreError: it is no DuckDB file, or another program writes to it.
    """
    # Large queries spill there, and not into the working directory; DuckDB removes it.
    spill = Path(tempfile.gettempdir()) / f"mediafm-{uuid.uuid4().hex}"
    connection = duckdb.connect(
        config={"python_enable_replacements": "false", "temp_directory": str(spill)}
    )
    with _reading(path):
        try:
            # ATTACH takes no parameters; a quoted literal escapes quotes by doubling them.
            literal = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{literal}' AS features (READ_ONLY)")
            connection.execute("USE features")
        except duckdb.Error:
            connection.close()
            raise
    return connection


def _update(
    store: Store, current: Catalogue, ready: dict[str, TitleVersions], removed: set[str]
) -> Publication:
    changed = {
        title_id: versions
        for title_id, versions in ready.items()
        if versions != current.versions.get(title_id)
    }
    if not changed and not removed:
        return Publication("unchanged", titles=len(current.versions))
    with _replacing(store, copy=True) as connection:
        gone = [*changed, *sorted(removed)]
        for table in tables.BY_TITLE:
            connection.execute(
                f"DELETE FROM {table} WHERE title_id IN (SELECT unnest($1))",  # noqa: S608
                [gone],
            )
        _insert(connection, store, current.model, changed)
    titles = len((set(current.versions) | set(changed)) - removed)
    return Publication("published", titles=titles, changed=len(changed), removed=len(removed))


def _build(
    store: Store, model: str, ready: dict[str, TitleVersions], required: set[str], seen: set[str]
) -> Publication:
    waiting = tuple(sorted(required - set(ready)))
    if waiting or not ready:
        return Publication("held back", titles=len(seen), waiting=waiting, ready=len(ready))
    dimension = _dimension(store.path("contextual_embeddings", min(ready), model))
    with _replacing(store, copy=False) as connection:
        connection.execute(tables.CREATE.format(dimension=dimension))
        connection.execute(
            "INSERT INTO catalogue VALUES ($1, $2, $3, 0)", [model, dimension, tables.VERSION]
        )
        _insert(connection, store, model, ready)
    return Publication(
        "published", titles=len(ready), changed=len(ready), removed=len(seen - set(ready))
    )


def _insert(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    model: str,
    versions: dict[str, TitleVersions],
) -> None:
    title_ids = sorted(versions)
    for start in range(0, len(title_ids), _TITLES_PER_INSERT):
        chunk = title_ids[start : start + _TITLES_PER_INSERT]
        values = {"model": model, **_files(store, model, chunk)}
        _execute(connection, tables.INSERT_SHOTS, values)
        incomplete = _execute(connection, tables.INCOMPLETE_SHOTS, values).fetchone()
        if incomplete:
            title_id, wanted, found = incomplete
            raise StoreError(
                f"{title_id} has {wanted} shots, of which {found} have timed text, fused and "
                f"contextual embeddings of {model}: run it again."
            )
        _execute(connection, tables.INSERT_CLIPS, values)
        _execute(connection, tables.INSERT_CLIP_FEATURES, values)
        _execute(connection, tables.INSERT_TITLE_FEATURES, values)
        connection.register("manifests", _manifests(store, chunk, versions))
        _execute(connection, tables.INSERT_TITLES, values)
        connection.unregister("manifests")
        logger.info("Features of %d of %d titles written", start + len(chunk), len(title_ids))
    connection.execute("UPDATE catalogue SET titles = (SELECT count(*) FROM titles)")


def _execute(
    connection: duckdb.DuckDBPyConnection, statement: str, values: Mapping[str, object]
) -> duckdb.DuckDBPyConnection:
    """Run a statement with those values that it names; DuckDB refuses others."""
    names = _PARAMETER.findall(statement)
    return connection.execute(statement, {name: values[name] for name in names})


def _files(store: Store, model: str, title_ids: Sequence[str]) -> dict[str, list[str]]:
    """The Parquet files of each asset that the tables are made from."""
    variants = dict.fromkeys(("shots", "timed_text", "fused_embeddings"), "")
    variants |= dict.fromkeys(("contextual_embeddings", "title_embeddings", "clip_features"), model)
    return {
        asset: [str(store.path(asset, title_id, variant)) for title_id in title_ids]
        for asset, variant in variants.items()
    }


def _manifests(
    store: Store, title_ids: Sequence[str], versions: dict[str, TitleVersions]
) -> pa.Table:
    rows = []
    for title_id in title_ids:
        found = store.json_record("title", title_id)
        if found is None:
            raise StoreError(f"{title_id} was removed while it was published: try again.")
        manifest, probe = found[1]["manifest"], found[1]["probe"]
        row = {name: manifest.get(name) for name in ("name", "kind", "language", "synopsis")}
        row |= {"tags": manifest.get("tags") or [], "duration_s": probe["duration_s"]}
        rows.append({"title_id": title_id, **row, **versions[title_id]._asdict()})
    return pa.Table.from_pylist(rows, schema=_MANIFEST_SCHEMA)


def _versions(store: Store, model: str, title_ids: Iterable[str]) -> dict[str, TitleVersions]:
    """Versions of what is in Parquet, of those titles that are finished under this model."""
    versions = {}
    for title_id in title_ids:
        features = store.record("clip_features", title_id, model)
        title = store.json_record("title", title_id) if features else None
        if features and title:
            versions[title_id] = TitleVersions(features.data_version, title[0].data_version)
    return versions


def _dimension(path: Path) -> int:
    kind = pq.read_schema(path).field("embedding").type
    if not pa.types.is_fixed_size_list(kind):
        raise StoreError(f"{path} holds {kind} and no vectors: delete it and run again.")
    return int(kind.list_size)


@contextmanager
def _replacing(store: Store, copy: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a file in preparation, in one transaction; it becomes the file at the end."""
    remedy = "see that every title is complete and the disk has space, then run again"
    with store.staging() as folder, _duckdb_errors(store.features, remedy):
        prepared = folder / "features.duckdb"
        if copy:
            shutil.copyfile(store.features, prepared)
        with closing(
            duckdb.connect(str(prepared), config={"memory_limit": _WRITER_MEMORY})
        ) as connection:
            connection.begin()
            yield connection
            connection.commit()
            connection.execute("CHECKPOINT")  # no write-ahead log stays beside the file
        store.commit(prepared, FEATURES_FILE)


@contextmanager
def _duckdb_errors(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path} cannot be used ({reason}): {remedy}.") from error


def _reading(path: Path) -> AbstractContextManager[None]:
    remedy = "close programs that write to it, or delete it and run again to have it made anew"
    return _duckdb_errors(path, remedy)
