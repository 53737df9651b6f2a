"""Index of the recorded versions of all titles; only changed files are read again.

    <store>/.versions/shots.parquet
    <store>/.versions/contextual_embeddings/<model>.parquet    a row per title, and so on

Each recorded version is kept with the stamp that the folder's listing had just before the file was
read. A listing is cheap; only files with another stamp are opened. So the result equals that of
opening every file, whichever process wrote the index, and however old it is. The index can be
deleted at any time; several processes may write it, and the last one wins. It is in the store's
working folder, on this machine.
"""

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa

from mediafm_core.disk.atomic import replace_file
from mediafm_core.disk.sealed_parquet import decoding, open_parquet, write_parquet
from mediafm_core.disk.seals import SealError
from mediafm_core.errors import StoreError
from mediafm_core.storage.files import Entry
from mediafm_core.store.records import JSON_ASSETS, RecordedVersion
from mediafm_core.store.store import Store

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

FOLDER = ".versions"
Folder = tuple[str, str]
"""An asset and the model version (variant) of its files, empty where there is none."""

_REQUESTS_AT_ONCE = 16
# Raised when a column means something else or data versions are digested in another way.
_FORMAT_KEY, _FORMAT = b"mediafm_versions", b"1"
_SCHEMA = pa.schema(
    [
        pa.field("title_id", pa.string(), nullable=False),
        pa.field("stamp", pa.string(), nullable=False),
        pa.field("modified_s", pa.float64(), nullable=False),
        pa.field("fault", pa.string()),  # why the file cannot be read; nothing else is known then
        pa.field("data_version", pa.string()),
        pa.field("inputs", pa.string(), nullable=False),  # JSON
        pa.field("identity", pa.string()),
        pa.field("code_version", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("file", pa.string()),
        pa.field("is_consistent", pa.bool_()),
    ],
    metadata={_FORMAT_KEY: _FORMAT},
)


class IndexedFile(NamedTuple):
    """Index entry of the file of one title.

    Attributes:
        stamp: of the listing before it was read.
        modified_s: when it was written, seconds since the epoch.
        found: the recorded version, or the error of reading the file.
    """

    stamp: str
    modified_s: float
    found: RecordedVersion | str


class FolderIndex(NamedTuple):
    """Index of one asset's folder.

    Attributes:
        records: file with the record, by title.
        others: names of the other files.
    """

    records: Mapping[str, IndexedFile]
    others: Collection[str]


_NOTHING = FolderIndex({}, frozenset())


class _Listing(NamedTuple):
    """Listing of a folder: entries that are still valid, and files that have to be read."""

    records: dict[str, IndexedFile]
    others: set[str]
    changed: dict[str, Entry]


class VersionIndex:
    """The index of one store. It may be used by several threads.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[Folder, FolderIndex] = {}
        self._lock = threading.Lock()

    def look(self, folders: Iterable[Folder]) -> "IndexedVersions":
        """List folders, read the files that have changed, and update the index."""
        with self._lock:
            chosen = list(folders)
            listings = self._map(self._list, chosen)
            changed = [
                (folder, title_id)
                for folder, listing in zip(chosen, listings, strict=True)
                for title_id in listing.changed
            ]
            found = dict(zip(changed, self._map(self._read, changed), strict=True))
            for folder, listing in zip(chosen, listings, strict=True):
                self._take(folder, listing, found)
            return IndexedVersions({folder: self._folders[folder] for folder in chosen})

    def _map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply a function to items, in parallel if the store is remote: a disk gains nothing."""
        if not self._store.files.is_remote or len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(len(items), _REQUESTS_AT_ONCE)) as threads:
            return list(threads.map(function, items))

    def _list(self, folder: Folder) -> "_Listing":
        if folder not in self._folders:
            self._folders[folder] = FolderIndex(_load(self._path(folder)), frozenset())
        known = self._folders[folder].records
        asset, variant = folder
        suffix = ".json" if asset in JSON_ASSETS else ".parquet"
        path = f"{asset}/{variant}" if variant else asset
        records: dict[str, IndexedFile] = {}
        others: set[str] = set()
        changed: dict[str, Entry] = {}
        for entry in self._store.files.entries(path):
            name = entry.key[len(path) + 1 :]
            if "/" in name:
                continue
            if not name.endswith(suffix):
                others.add(name)
                continue
            title_id = name[: -len(suffix)]
            before = known.get(title_id)
            if before is not None and before.stamp == entry.stamp:
                records[title_id] = before
            else:
                changed[title_id] = entry
        return _Listing(records, others, changed)

    def _take(
        self,
        folder: Folder,
        listing: "_Listing",
        found: Mapping[tuple[Folder, str], RecordedVersion | str | None],
    ) -> None:
        """Update the index of a folder with the files that were read, and save it."""
        records = listing.records
        for title_id, entry in listing.changed.items():
            read = found[folder, title_id]
            if read is not None:  # gone since the listing
                records[title_id] = IndexedFile(entry.stamp, entry.modified_s, read)
        known = self._folders[folder].records
        self._folders[folder] = FolderIndex(records, listing.others)
        if listing.changed or len(records) != len(known):
            self._save(folder, self._folders[folder])

    def _read(self, file: tuple[Folder, str]) -> RecordedVersion | str | None:
        (asset, variant), title_id = file
        try:
            return self._store.version(asset, title_id, variant)
        except StoreError as error:
            return str(error)

    def _path(self, folder: Folder) -> Path:
        asset, variant = folder
        name = f"{asset}/{variant}.parquet" if variant else f"{asset}.parquet"
        return self._store.root / FOLDER / name

    def _save(self, folder: Folder, index: FolderIndex) -> None:
        path = self._path(folder)
        try:
            if not index.records:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._store.staging() as prepared:
                write_parquet(_table(index.records), prepared / path.name, compression="zstd")
                replace_file(prepared / path.name, path)
            if folder[1]:
                models = self._store.files.folders(folder[0])
                for other in path.parent.glob("*.parquet"):
                    if other.stem not in models:  # of a model that was removed
                        other.unlink(missing_ok=True)
        except OSError as error:  # without the file, the index is only slower
            logger.warning(
                "The index of %s cannot be saved, so its files are read again next time: %s",
                folder[0],
                error,
            )


class IndexedVersions:
    """Recorded versions at one moment, with the store's own methods for reading them."""

    def __init__(self, folders: Mapping[Folder, FolderIndex]) -> None:
        self._folders = folders

    def version(self, asset: str, title_id: str, variant: str = "") -> RecordedVersion | None:
        """Return the recorded version as `Store.version` does.

        Raises:
            StoreError: the file is damaged.
        """
        file = self._folders[asset, variant].records.get(title_id)
        if file is None:
            return None
        if isinstance(file.found, str):
            raise StoreError(file.found)
        return file.found

    def has(self, asset: str, title_id: str, variant: str = "", suffix: str = ".parquet") -> bool:
        """Return True if a file exists, as `Store.has` does."""
        folder = self._folders[asset, variant]
        record_suffix = ".json" if asset in JSON_ASSETS else ".parquet"
        return (
            title_id in folder.records
            if suffix == record_suffix
            else (f"{title_id}{suffix}" in folder.others)
        )

    def files(self, asset: str, variant: str = "") -> Mapping[str, IndexedFile]:
        """Return the files of an asset by title; empty if the folder was not listed."""
        return self._folders.get((asset, variant), _NOTHING).records

    def title_ids(self) -> set[str]:
        """Return every title that has a file in one of the folders."""
        return {title_id for folder in self._folders.values() for title_id in folder.records}


def _load(path: Path) -> dict[str, IndexedFile]:
    """Read a file of the index; empty if it is missing, damaged or of another format."""
    try:
        with decoding(SealError), open_parquet(path) as file:
            table = file.read(use_threads=False)
    except FileNotFoundError:
        return {}
    except (SealError, OSError) as error:
        logger.info("%s is rebuilt: %s", path, error)
        return {}
    if not table.schema.equals(_SCHEMA, check_metadata=True):
        return {}
    return dict(_rows(table))


def _rows(table: pa.Table) -> Iterator[tuple[str, IndexedFile]]:
    # Through numpy: Python objects made by C++ and equal texts shared.
    columns = {
        name: table[name].to_numpy(zero_copy_only=False).tolist() for name in table.column_names
    }
    # One document, not one per row.
    columns["inputs"] = json.loads(f"[{','.join(columns['inputs'])}]")
    for title_id, stamp, modified_s, fault, *made in zip(*columns.values(), strict=True):
        yield title_id, IndexedFile(stamp, modified_s, fault or RecordedVersion(*made))


def _table(files: Mapping[str, IndexedFile]) -> pa.Table:
    rows = [_row(title_id, *file) for title_id, file in files.items()]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, field.type) for field, values in zip(_SCHEMA, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def _row(
    title_id: str, stamp: str, modified_s: float, found: RecordedVersion | str
) -> tuple[object, ...]:
    if isinstance(found, str):
        return (title_id, stamp, modified_s, found, None, "{}", *[None] * 5)
    inputs = json.dumps(found.inputs)
    made = (found.identity, found.code_version, found.fingerprint, found.file)
    return (
        *(title_id, stamp, modified_s, None, found.data_version, inputs),
        *made,
        found.is_consistent,
    )
