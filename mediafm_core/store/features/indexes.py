"""Files of search indexes beside the shards, with a description of each.

    features/<model>/index/<digest>.usearch    the index, named for the shards that it covers
    features/<model>/index/<digest>.json       which these are, and the checksum; written last

An index is derived from shards, which never change, so it stays valid. Rows of shards that the
catalogue no longer has are skipped, and clips that no index covers are compared one by one: an old
index gives the same results, more slowly.
"""

import time
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter

from mediafm_core.disk.seals import read_sealed_json, sealed_json
from mediafm_core.errors import StoreError
from mediafm_core.identity import digest_of
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.storage.files import Entry
from mediafm_core.store.store import Store

INDEX_FOLDER = "index"
_FORMAT = "1"  # of the two files; raise it when an earlier version could not read them
_READ_BYTES = 16 << 20


@dataclass(frozen=True)
class IndexDescription:
    """Shards that an index covers, and its checksum.

    Attributes:
        model: model version of the vectors.
        dimension: their width.
        shards: names of the shards, in the order of the index's keys.
        rows: clips in each.
        bytes: size of the index's file.
        checksum: CRC-32 of the file.
    """

    model: str
    dimension: int
    shards: tuple[str, ...]
    rows: tuple[int, ...]
    bytes: int
    checksum: int

    @property
    def name(self) -> str:
        """Digest of the covered shards; part of the files' names."""
        return digest_of(_FORMAT, self.model, *sorted(self.shards))


_DESCRIPTION = TypeAdapter(IndexDescription)


def index_folder(model: str) -> str:
    """Return the folder of a model version's indexes."""
    return f"features/{model}/{INDEX_FOLDER}"


def index_key(model: str, name: str) -> str:
    """Return the key of an index's file."""
    return f"{index_folder(model)}/{name}.usearch"


def described(store: Store, model: str) -> list[IndexDescription]:
    """Return the descriptions of a model version's indexes.

    Raises:
        StoreError: a description is damaged.
    """
    found = []
    for entry in store.files.entries(index_folder(model)):
        if not entry.key.endswith(".json"):
            continue
        try:
            document = read_sealed_json(store.files.path(entry.key, immutable=True).read_bytes())
            found.append(_DESCRIPTION.validate_python(document))
        except FileNotFoundError:
            continue  # removed since the listing
        except ValueError:
            raise StoreError(
                f"{store.location}/{entry.key} is damaged: delete it, and build the index "
                "again with `mediafm index`."
            ) from None
    return found


def put_index(store: Store, description: IndexDescription, prepared: Path) -> None:
    """Move an index into place; its description is written last."""
    key = index_key(description.model, description.name)
    store.commit(prepared, key)
    document = prepared.with_suffix(".json")
    document.write_bytes(sealed_json(asdict(description)))
    store.commit(document, str(PurePosixPath(key).with_suffix(".json")))


def index_path(store: Store, description: IndexDescription) -> Path:
    """Return the path of an index's file after checking it.

    Raises:
        StoreError: it is missing or damaged.
    """
    key = index_key(description.model, description.name)
    path = store.files.path(key, immutable=True)
    try:
        size, checksum = checksum_of(path)
    except FileNotFoundError:
        size, checksum = 0, 0
    if (size, checksum) != (description.bytes, description.checksum):
        raise StoreError(
            f"The search index {store.location}/{key} is damaged ({size:,} bytes, checksum "
            f"{checksum:08x} instead of {description.checksum:08x}): build it again with "
            "`mediafm index`, or search without it (--exact)."
        )
    return path


def checksum_of(path: Path) -> tuple[int, int]:
    """Return size and CRC-32 of a file: in a damaged index, edges may point outside of it."""
    size, checksum = 0, 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            size += len(block)
            checksum = zlib.crc32(block, checksum)
    return size, checksum


def latest_index(entries: Iterable[Entry]) -> set[str]:
    """Return the name of the latest index among a model's files; empty without one."""
    complete = [
        entry
        for entry in entries
        if PurePosixPath(entry.key).parent.name == INDEX_FOLDER and entry.key.endswith(".json")
    ]
    now = time.time()
    latest = max(
        complete,
        key=lambda entry: (not is_ahead(entry.modified_s, now), entry.modified_s),
        default=None,
    )
    return {PurePosixPath(latest.key).stem} if latest else set()
