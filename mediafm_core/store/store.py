"""Store of artefacts: one file per asset and title, written atomically.

    <store>/title/<title_id>.json                              manifest, probe, content digests
    <store>/shots/<title_id>.parquet                           ... and so on for every table
    <store>/soundtrack/<title_id>.flac, .json                  16 kHz mono sound and its record
    <store>/contextual_embeddings/<model>/<title_id>.parquet   kept per model version
    <store>/clip_features/<model>/<title_id>.parquet

A file carries its `ArtefactRecord`: in the Parquet footer, or in a JSON file beside it that is
written last. Files are prepared under `<store>/.staging/` and moved into place atomically: a
reader sees the old artefact or the new one, and a killed process leaves no partial artefact.

Every file has a checksum (`mediafm_core.disk.seals`). Reading a damaged file raises a
`DamagedArtefactError`, and the artefact counts as missing.
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
# A folder that has one of these is a store: every command that writes to a store creates them.
_FOLDERS = frozenset({"title", "quarantine", "models", "features", "dagster_home"})

_LONGEST_NAME = 240  # bytes of a title id; the suffix of the file's name takes the rest
_FOOTER_BYTES = 16 << 10  # read at once: nearly every footer is shorter


class Store:
    """The artefacts of one catalogue.

    Args:
        files: the files of the store; a path stands for a folder of this machine.
    """

    def __init__(self, files: Files | Path) -> None:
        self.files = LocalFiles(files) if isinstance(files, Path) else files

    # Places

    @property
    def location(self) -> str:
        """The location of the store, for messages."""
        return self.files.location

    def key(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> str:
        """Return the key of a title's file; `variant` is the model version of assets that have one.

        Raises:
            StoreError: the title id is a path, which would lead out of the asset's folder, or can
                be no file's name.
        """
        if not _can_name_a_file(title_id):
            raise StoreError(f"{title_id!r} is no title id: take the name of a title's folder.")
        return "/".join(part for part in (asset, variant, f"{title_id}{suffix}") if part)

    def path(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> Path:
        """Return the path from which a title's file is read; it may not exist."""
        return self.files.path(self.key(asset, title_id, variant, suffix))

    def has(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> bool:
        """Return True if a title's file exists."""
        return self.files.exists(self.key(asset, title_id, variant, suffix))

    @property
    def root(self) -> Path:
        """The folder of this machine for work in progress; of a local store, the store itself."""
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
        """Refuse a location without a store: a misspelt path, a disk that is not mounted.

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
        """Return the record of a table, or None if there is no table.

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
        """Return the recorded version of an artefact, table or JSON; None if there is none.

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
        """Read the record in the footer of a table, and no other part of the file."""
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
        """Read a table with all its rows, and all its columns or some.

        Raises:
            DamagedArtefactError: a checksum is wrong.
            StoreError: there is none, with the asset and title.
        """
        # ParquetFile and not read_table: the latter takes folder names for columns.
        with self.opened(asset, title_id, variant) as file:
            return file.read(columns)

    @contextmanager
    def opened(
        self, asset: str, title_id: str, variant: str = "", memory_map: bool = True
    ) -> Iterator[pq.ParquetFile]:
        """Open a table; everything that the block reads is compared with checksums.

        Raises:
            DamagedArtefactError: a checksum is wrong.
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
        """Return a title's soundtrack after checking its SHA-256; None without sound.

        Raises:
            DamagedArtefactError: the file or its record is damaged.
            FileNotFoundError: the file is gone.
        """
        asset = "soundtrack"
        found = self.json_record(asset, title_id)
        if found is None or found[1]["file"] is None:
            return None
        path = self.path(asset, title_id, suffix=".flac")
        written = found[1].get("sha256")  # None in files of versions before checksums
        if written is not None and sha256_of_file(path).hex() != written:
            key = self.key(asset, title_id, suffix=".flac")
            raise self._damaged(asset, key, "its SHA-256 has changed since it was written")
        return path

    def schema(self, asset: str, title_id: str, variant: str = "") -> pa.Schema:
        """Return the columns of a table and their types.

        Raises:
            StoreError: there is no such table, or it is damaged.
        """
        with self.opened(asset, title_id, variant) as file:
            return file.schema_arrow

    def is_sound(self, asset: str, title_id: str, variant: str = "") -> bool:
        """Return True if a table can be read to its end."""
        try:
            with self.opened(asset, title_id, variant, memory_map=False) as file:
                for _ in file.iter_batches():
                    pass
        except DamagedArtefactError:
            return False
        return True

    def batches(self, asset: str, title_id: str, rows: int = 64) -> Iterator[pa.RecordBatch]:
        """Read a table in batches, for tables that do not fit into memory (keyframes)."""
        with self.opened(asset, title_id, memory_map=False) as file:
            yield from file.iter_batches(batch_size=rows)

    def json_record(
        self, asset: str, title_id: str
    ) -> tuple[ArtefactRecord, dict[str, Any]] | None:
        """Return record and content of an asset that is kept as JSON, or None if there is none."""
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
        """Yield a folder for files in preparation, and remove it afterwards."""
        return self.files.staging()

    def commit(self, prepared: Path, key: str) -> None:
        """Move a prepared file into place, atomically."""
        self.files.put(prepared, key)

    def sweep(self) -> None:
        """Remove the unfinished files and models of killed processes of this machine."""
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
        """Delete a file of an artefact; a missing one is ignored."""
        self.files.remove(key)

    def remove(self, asset: str, title_id: str, variant: str = "") -> None:
        """Delete the files of a title's asset."""
        for suffix in (".parquet", ".json"):
            self.files.remove(self.key(asset, title_id, variant, suffix))


def _can_name_a_file(title_id: str) -> bool:
    try:
        encoded = os.fsencode(title_id)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return False
    return b"/" not in encoded and b"\0" not in encoded and len(encoded) <= _LONGEST_NAME
