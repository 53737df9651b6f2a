"""Where results live: one file per asset and title, written whole or not at all.

    <store>/title/<title_id>.json                              manifest, probe, content digests
    <store>/shots/<title_id>.parquet                           ... and so on for every table
    <store>/soundtrack/<title_id>.flac, .json                  16 kHz mono sound and its record
    <store>/contextual_embeddings/<model>/<title_id>.parquet   kept per model version
    <store>/clip_features/<model>/<title_id>.parquet

A file carries its `ArtefactRecord`: in the Parquet footer, or in a JSON file beside it that is
written last. Files are prepared under `<store>/.staging/` and moved into place in one step, so
that a reader sees the old artefact or the new one and a killed process leaves nothing that looks
finished.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from mediafm_core.errors import StoreError
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles
from mediafm_core.store.recorded import RecordedVersion

if TYPE_CHECKING:
    from mediafm_core.store.index import VersionIndex

RECORD_KEY = b"mediafm"
# Kept as JSON; everything else is a table that carries its record in the Parquet footer.
JSON_ASSETS = frozenset({"title", "soundtrack"})
FEATURES_FILE = "features.duckdb"
# A folder that has one of these is a store: any command that writes to one makes them first.
_FOLDERS = frozenset({"title", "quarantine", "models", "features", "dagster_home"})

_LONGEST_NAME = 240  # bytes of a title id: with a suffix the longest name of a file
_FOOTER_BYTES = 16 << 10  # read at once: nearly every footer is shorter
_FOOTER_END_BYTES = 8  # the footer's length in four bytes, and the magic number
_VECTORS_READ_TOGETHER = 128  # whole titles are read as fast as from one group, 0.5 % larger


class Measured(BaseModel):
    """What computing an artefact took. Never part of a data version or a comparison."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int = 0
    finished_at: datetime | None = Field(None, description="UTC; None in records before there was")
    parts: dict[str, float] = Field(default_factory=dict, description="CPU seconds by part")


class ArtefactRecord(BaseModel):
    """What made an artefact, stored with it."""

    model_config = ConfigDict(frozen=True)

    asset: str
    title_id: str
    data_version: str
    inputs: dict[str, str] = Field(default_factory=dict, description="data version by input")
    identity: str | None = Field(None, description="encoder, detector or model that computed it")
    code_version: str = "1"
    details: dict[str, Any] = Field(
        default_factory=dict, description="facts about the content: counts, dimension, ranges"
    )
    measured: Measured | None = None


class Store:
    """The artefacts of one catalogue.

    Args:
        files: where they are kept; a path stands for a folder of this machine.
    """

    def __init__(self, files: Files | Path) -> None:
        self.files = LocalFiles(files) if isinstance(files, Path) else files

    # Places

    @property
    def location(self) -> str:
        """Where the store is, for people."""
        return self.files.location

    def key(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> str:
        """The name of an asset's file of a title; `variant` is the model version where one applies.

        Raises:
            StoreError: the title id is a path, which would lead out of the asset's folder, or can
                be no file's name.
        """
        if not _can_name_a_file(title_id):
            raise StoreError(f"{title_id!r} is no title id: take the name of a title's folder.")
        return "/".join(part for part in (asset, variant, f"{title_id}{suffix}") if part)

    def path(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> Path:
        """Where to read an asset's file of a title; it may not exist."""
        return self.files.path(self.key(asset, title_id, variant, suffix))

    def has(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> bool:
        """Whether an asset's file of a title exists."""
        return self.files.exists(self.key(asset, title_id, variant, suffix))

    @property
    def root(self) -> Path:
        """A folder of this machine for what is in progress; of a local store, the store itself."""
        return self.files.root

    @property
    def features(self) -> Path:
        """The DuckDB file that readers open."""
        return self.files.path(FEATURES_FILE)

    @property
    def models(self) -> Path:
        """The folder of trained models, one folder each."""
        return self.root / "models"

    def require_existing(self) -> None:
        """Refuse a place that holds no store: a misspelt path, a disk that is not mounted.

        Raises:
            StoreError: there is none.
        """
        if _FOLDERS.isdisjoint(self.files.folders()) and not self.files.exists(FEATURES_FILE):
            raise StoreError(
                f"There is no store in {self.location}: correct the path; `mediafm run` makes one "
                "from the titles of an inbox."
            )

    def without_features(self) -> StoreError:
        """Return the error of a store whose features were not published yet.

        Raises:
            StoreError: there is no store at all.
        """
        self.require_existing()
        return StoreError(f"{self.location} has no features yet: `mediafm run` makes them.")

    @cached_property
    def index(self) -> "VersionIndex":
        """The recorded versions of all titles, kept for as long as this object lives."""
        from mediafm_core.store.index import VersionIndex

        return VersionIndex(self)

    # Reading

    def record(self, asset: str, title_id: str, variant: str = "") -> ArtefactRecord | None:
        """The record of a table, or None where there is no table.

        Raises:
            StoreError: the file is damaged.
        """
        key = self.key(asset, title_id, variant)
        found = self._footer_record(key)
        if found is None:
            return None
        try:
            return ArtefactRecord.model_validate_json(found)
        except ValueError as error:
            raise self._damaged(key, error) from None

    def version(self, asset: str, title_id: str, variant: str = "") -> RecordedVersion | None:
        """What the record of an artefact, table or JSON, says of how it was made; None without one.

        Raises:
            StoreError: the file is damaged.
        """
        is_json = asset in JSON_ASSETS
        key = self.key(asset, title_id, variant, ".json" if is_json else ".parquet")
        found = self._read_bytes(key) if is_json else self._footer_record(key)
        if found is None:
            return None
        try:
            document = json.loads(found)
            if not is_json:
                return RecordedVersion.of(document)
            return RecordedVersion.of(document["record"], document["content"].get("file"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(key, error) from None

    def _footer_record(self, key: str) -> bytes | None:
        """The record in the footer of a table, of which nothing else is read."""
        try:
            footer = self.files.tail(key, _FOOTER_BYTES)
            length = int.from_bytes(footer[-_FOOTER_END_BYTES:-4], "little") + _FOOTER_END_BYTES
            if length > len(footer):
                footer = self.files.tail(key, length)
        except FileNotFoundError:
            return None
        try:
            metadata = pq.read_metadata(pa.BufferReader(footer)).metadata or {}
        except (pa.ArrowException, OSError) as error:  # OSError: no Thrift; the file was read
            raise self._damaged(key, error) from None
        if RECORD_KEY not in metadata:
            path = f"{self.location}/{key}"
            raise StoreError(f"{path} was not written by MediaFM: move it out of the store.")
        return bytes(metadata[RECORD_KEY])

    def _read_bytes(self, key: str) -> bytes | None:
        try:
            return self.files.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def _damaged(self, key: str, error: Exception) -> StoreError:
        reason = " ".join(str(error).split())
        return StoreError(f"{self.location}/{key} is damaged ({reason}): delete it and run again.")

    def read(self, asset: str, title_id: str, variant: str = "") -> pa.Table:
        """A table with all its rows.

        Raises:
            StoreError: there is none, with the asset and title.
        """
        path = self.path(asset, title_id, variant)
        try:
            # ParquetFile and not read_table: the latter takes folder names for columns.
            with pq.ParquetFile(path, memory_map=True) as file:
                return file.read()
        except FileNotFoundError:
            raise StoreError(
                f"{title_id} has no {asset} in {self.location}: run it first."
            ) from None

    def schema(self, asset: str, title_id: str, variant: str = "") -> pa.Schema:
        """Return the columns of a table and their types.

        Raises:
            FileNotFoundError: there is no such table.
        """
        return pq.read_schema(self.path(asset, title_id, variant))

    def is_sound(self, asset: str, title_id: str, variant: str = "") -> bool:
        """Whether a table can be read to its end."""
        try:
            with pq.ParquetFile(self.path(asset, title_id, variant)) as file:
                for _ in file.iter_batches():
                    pass
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the machine, and not Arrow's for what it cannot decode
            return False
        return True

    def batches(self, asset: str, title_id: str, rows: int = 64) -> Iterator[pa.RecordBatch]:
        """A table in pieces, for what does not fit into memory at once (keyframes)."""
        with pq.ParquetFile(self.path(asset, title_id)) as file:
            yield from file.iter_batches(batch_size=rows)

    def json_record(
        self, asset: str, title_id: str
    ) -> tuple[ArtefactRecord, dict[str, Any]] | None:
        """Record and content of an asset that is kept as JSON, or None where there is none."""
        key = self.key(asset, title_id, suffix=".json")
        found = self._read_bytes(key)
        if found is None:
            return None
        try:
            document = json.loads(found)
            return ArtefactRecord.model_validate(document["record"]), dict(document["content"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(key, error) from None

    # Writing

    def staging(self) -> AbstractContextManager[Path]:
        """A folder for files in preparation, removed afterwards."""
        return self.files.staging()

    def commit(self, prepared: Path, key: str) -> None:
        """Let a prepared file take its place."""
        self.files.put(prepared, key)

    def sweep(self) -> None:
        """Remove what killed processes of this machine left half done."""
        self.files.sweep()
        for folder in self.models.glob(".*@*"):
            process = int(folder.name.rsplit("-", 2)[1])
            if not psutil.pid_exists(process):
                shutil.rmtree(folder, ignore_errors=True)

    def write(self, record: ArtefactRecord, table: pa.Table, variant: str = "") -> None:
        """Write a table with its record, atomically."""
        with self.staging() as folder:
            prepared = folder / "table.parquet"
            # Vectors split into their bytes take a tenth less room and are read nearly twice as
            # fast; a dictionary of numbers that never come twice would only cost. Training reads
            # runs of shots and not whole titles, so that small row groups serve it.
            vectors = [
                name for name in table.column_names if _holds_floats(table.schema.field(name))
            ]
            pq.write_table(
                _with_record(table, record),
                prepared,
                compression="zstd",
                use_dictionary=[name for name in table.column_names if name not in vectors],
                row_group_size=_VECTORS_READ_TOGETHER if vectors else None,
                use_byte_stream_split=[f"{name}.list.element" for name in vectors],
            )
            self.commit(prepared, self.key(record.asset, record.title_id, variant))

    def write_json(self, record: ArtefactRecord, content: dict[str, Any]) -> None:
        """Write an asset that is kept as JSON, atomically."""
        document = {"record": record.model_dump(mode="json"), "content": content}
        with self.staging() as folder:
            prepared = folder / "document.json"
            prepared.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            self.commit(prepared, self.key(record.asset, record.title_id, suffix=".json"))

    def remove_file(self, key: str) -> None:
        """Delete a file of an artefact; a missing one is fine."""
        self.files.remove(key)

    def remove(self, asset: str, title_id: str, variant: str = "") -> None:
        """Delete what an asset holds of a title."""
        for suffix in (".parquet", ".json"):
            self.files.remove(self.key(asset, title_id, variant, suffix))


class TableWriter:
    """Writes a table batch by batch into a staged file; its record is added at the end."""

    def __init__(self, prepared: Path, schema: pa.Schema, compression: str = "zstd") -> None:
        self.prepared = prepared
        self.rows = 0
        self._writer = pq.ParquetWriter(prepared, schema, compression=compression)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def close(self, record: ArtefactRecord) -> None:
        """Add the record and finish the file."""
        self._writer.add_key_value_metadata({RECORD_KEY: record.model_dump_json().encode()})
        self._writer.close()


def _can_name_a_file(title_id: str) -> bool:
    try:
        encoded = os.fsencode(title_id)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return False
    return b"/" not in encoded and b"\0" not in encoded and len(encoded) <= _LONGEST_NAME


def _holds_floats(field: pa.Field) -> bool:
    return pa.types.is_fixed_size_list(field.type) and pa.types.is_floating(field.type.value_type)


def _with_record(table: pa.Table, record: ArtefactRecord) -> pa.Table:
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), RECORD_KEY: record.model_dump_json().encode()}
    )
