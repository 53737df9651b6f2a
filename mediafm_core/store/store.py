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

Every file is sealed (`mediafm_core.disk.seals`): one that is not what was written is refused when
it is read, with a `DamagedArtefactError`, and counts as missing.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.disk.sealed_parquet import (
    check_footer,
    decoding,
    open_parquet,
    reason_of,
    tail_bytes,
)
from mediafm_core.disk.seals import read_sealed_json, sealed_json, sha256_of_file
from mediafm_core.disk.strict_json import parse_json
from mediafm_core.errors import DamagedArtefactError, StoreError
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles
from mediafm_core.store.artefact_tables import write_table
from mediafm_core.store.records import JSON_ASSETS, RECORD_KEY, ArtefactRecord, RecordedVersion

FEATURES_FILE = "features.duckdb"
# A folder that has one of these is a store: any command that writes to one makes them first.
_FOLDERS = frozenset({"title", "quarantine", "models", "features", "dagster_home"})

_LONGEST_NAME = 240  # bytes of a title id: with a suffix the longest name of a file
_FOOTER_BYTES = 16 << 10  # read at once: nearly every footer is shorter


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

    # Reading

    def record(self, asset: str, title_id: str, variant: str = "") -> ArtefactRecord | None:
        """The record of a table, or None where there is no table.

        Raises:
            StoreError: the file is damaged.
        """
        key = self.key(asset, title_id, variant)
        found = self._footer_record(asset, key)
        if found is None:
            return None
        try:
            return ArtefactRecord.model_validate_json(found)
        except ValueError as error:
            raise self._damaged(asset, key, reason_of(error)) from None

    def version(self, asset: str, title_id: str, variant: str = "") -> RecordedVersion | None:
        """What the record of an artefact, table or JSON, says of how it was made; None without one.

        Raises:
            StoreError: the file is damaged.
        """
        is_json = asset in JSON_ASSETS
        key = self.key(asset, title_id, variant, ".json" if is_json else ".parquet")
        found = self._read_bytes(key) if is_json else self._footer_record(asset, key)
        if found is None:
            return None
        try:
            if not is_json:
                return RecordedVersion.of(parse_json(found, finite=False))
            document = read_sealed_json(found)
            return RecordedVersion.of(document["record"], document["content"].get("file"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(asset, key, reason_of(error)) from None

    def _footer_record(self, asset: str, key: str) -> bytes | None:
        """The record in the footer of a table, of which nothing else is read."""
        try:
            footer = self.files.tail(key, _FOOTER_BYTES)
            if tail_bytes(footer) > len(footer):
                footer = self.files.tail(key, tail_bytes(footer))
        except FileNotFoundError:
            return None
        with decoding(lambda reason: self._damaged(asset, key, reason)):
            check_footer(footer)
            metadata = pq.read_metadata(pa.BufferReader(footer)).metadata or {}
        if RECORD_KEY not in metadata:
            path = f"{self.location}/{key}"
            raise StoreError(f"{path} was not written by MediaFM: move it out of the store.")
        return bytes(metadata[RECORD_KEY])

    def _read_bytes(self, key: str) -> bytes | None:
        try:
            return self.files.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def _damaged(self, asset: str, key: str, reason: str) -> DamagedArtefactError:
        return DamagedArtefactError(
            asset,
            f"{self.location}/{key} is damaged ({reason}): `mediafm verify --repair` computes it "
            "again.",
        )

    def read(
        self,
        asset: str,
        title_id: str,
        variant: str = "",
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """A table with all its rows, and all its columns or some.

        Raises:
            DamagedArtefactError: what is read is not what was written.
            StoreError: there is none, with the asset and title.
        """
        # ParquetFile and not read_table: the latter takes folder names for columns.
        with self.opened(asset, title_id, variant) as file:
            return file.read(columns)

    @contextmanager
    def opened(
        self, asset: str, title_id: str, variant: str = "", memory_map: bool = True
    ) -> Iterator[pq.ParquetFile]:
        """Open a table; what the block reads of it is compared with its checksums.

        Raises:
            DamagedArtefactError: what is read is not what was written.
            StoreError: there is none, with the asset and title.
        """
        key = self.key(asset, title_id, variant)
        with decoding(lambda reason: self._damaged(asset, key, reason)):
            try:
                file = open_parquet(self.files.path(key), memory_map=memory_map)
            except FileNotFoundError:
                raise StoreError(
                    f"{title_id} has no {asset} in {self.location}: run it first."
                ) from None
            with file:
                yield file

    def sound_file(self, title_id: str) -> Path | None:
        """The soundtrack of a title after comparing it with its record; None without sound.

        Raises:
            DamagedArtefactError: the file or its record is damaged.
            FileNotFoundError: the file is gone.
        """
        asset = "soundtrack"
        found = self.json_record(asset, title_id)
        if found is None or found[1]["file"] is None:
            return None
        path = self.path(asset, title_id, suffix=".flac")
        written = found[1].get("sha256")  # since there are seals
        if written is not None and sha256_of_file(path).hex() != written:
            key = self.key(asset, title_id, suffix=".flac")
            raise self._damaged(asset, key, "its SHA-256 is another than when it was written")
        return path

    def schema(self, asset: str, title_id: str, variant: str = "") -> pa.Schema:
        """Return the columns of a table and their types.

        Raises:
            StoreError: there is no such table, or it is damaged.
        """
        with self.opened(asset, title_id, variant) as file:
            return file.schema_arrow

    def is_sound(self, asset: str, title_id: str, variant: str = "") -> bool:
        """Whether a table can be read to its end."""
        try:
            with self.opened(asset, title_id, variant, memory_map=False) as file:
                for _ in file.iter_batches():
                    pass
        except DamagedArtefactError:
            return False
        return True

    def batches(self, asset: str, title_id: str, rows: int = 64) -> Iterator[pa.RecordBatch]:
        """A table in pieces, for what does not fit into memory at once (keyframes)."""
        with self.opened(asset, title_id, memory_map=False) as file:
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
            document = read_sealed_json(found)
            return ArtefactRecord.model_validate(document["record"]), dict(document["content"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(asset, key, reason_of(error)) from None

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
            write_table(table, record, prepared)
            self.commit(prepared, self.key(record.asset, record.title_id, variant))

    def write_json(self, record: ArtefactRecord, content: dict[str, Any]) -> None:
        """Write an asset that is kept as JSON, atomically."""
        document = {"record": record.model_dump(mode="json"), "content": content}
        self.write_document(document, self.key(record.asset, record.title_id, suffix=".json"))

    def write_document(self, document: dict[str, Any], key: str) -> None:
        """Write a sealed JSON document, atomically."""
        with self.staging() as folder:
            prepared = folder / "document.json"
            prepared.write_bytes(sealed_json(document))
            self.commit(prepared, key)

    def remove_file(self, key: str) -> None:
        """Delete a file of an artefact; a missing one is fine."""
        self.files.remove(key)

    def remove(self, asset: str, title_id: str, variant: str = "") -> None:
        """Delete what an asset holds of a title."""
        for suffix in (".parquet", ".json"):
            self.files.remove(self.key(asset, title_id, variant, suffix))


def _can_name_a_file(title_id: str) -> bool:
    try:
        encoded = os.fsencode(title_id)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return False
    return b"/" not in encoded and b"\0" not in encoded and len(encoded) <= _LONGEST_NAME
