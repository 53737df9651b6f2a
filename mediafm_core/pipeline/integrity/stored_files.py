"""Files of a store: their kind by name, and comparison with their digests."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mediafm_core.disk.sealed_parquet import check_parquet, check_unsealed
from mediafm_core.disk.seals import (
    SealError,
    check_file,
    is_sealed_json,
    read_sealed_json,
    sha256_of_file,
)
from mediafm_core.errors import StoreError
from mediafm_core.model.model_files import DIGESTS, TRAINING_FILE
from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL, SPECS
from mediafm_core.storage.files import Entry
from mediafm_core.store.features import feature_tables
from mediafm_core.store.features.indexes import INDEX_FOLDER, checksum_of
from mediafm_core.store.features.snapshot import (
    FOLDER,
    SNAPSHOT_FILE,
    read_snapshot,
    shard_key,
)
from mediafm_core.store.records import JSON_ASSETS
from mediafm_core.store.store import FEATURES_FILE, Store

RELEASES_FILE = "serving.json"
EVALUATION_FILE = "evaluation.json"
_OTHER = "its SHA-256 has changed since it was written"
_PER_MODEL = {name for name, spec in SPECS.items() if spec.per_model} | {BESIDE_CONTEXTUAL}
_FOLDERS = (*SPECS, BESIDE_CONTEXTUAL, "quarantine", FOLDER, "models", "evaluation")

Kind = Literal[
    "table",
    "record",
    "sound",
    "quarantine",
    "shard",
    "snapshot",
    "index",
    "model",
    "evaluation",
    "releases",
]


class StoredFile(NamedTuple):
    """A file of a store.

    Attributes:
        key: name of the file in the store.
        kind: of its content.
        owner: the title id, or the model version for files that belong to no title.
        asset: the asset of an artefact, or the name of a shard.
        variant: the model version, for artefacts kept per model.
    """

    key: str
    kind: Kind
    owner: str = ""
    asset: str = ""
    variant: str = ""

    @property
    def is_of_title(self) -> bool:
        """Return True if the file belongs to a title."""
        return self.kind in ("table", "record", "sound", "quarantine")


def stored_file(key: str) -> StoredFile | None:
    """Parse the name of a file in a store; None for a file that MediaFM does not write."""
    stem, _, suffix = key.rpartition("/")[2].rpartition(".")
    match key.split("/"):
        case [only] if only == RELEASES_FILE:
            return StoredFile(key, "releases")
        case [only] if only == FEATURES_FILE:
            return StoredFile(key, "snapshot")
        case ["quarantine", _] if suffix == "json":
            return StoredFile(key, "quarantine", stem)
        case [asset, _] if asset in JSON_ASSETS and suffix == "json":
            return StoredFile(key, "record", stem, asset)
        case ["soundtrack", _] if suffix == "flac":
            return StoredFile(key, "sound", stem, "soundtrack")
        case [asset, _] if asset in SPECS and suffix == "parquet":
            return StoredFile(key, "table", stem, asset)
        case [asset, model, _] if asset in _PER_MODEL and suffix == "parquet":
            return StoredFile(key, "table", stem, asset, model)
        case [folder, model, name] if (folder, name) == (FOLDER, SNAPSHOT_FILE):
            return StoredFile(key, "snapshot", model)
        case [folder, model, file, _] if folder == FOLDER and file in feature_tables.FILES:
            return StoredFile(key, "shard", model, stem)
        case [folder, model, index, _] if (folder, index) == (FOLDER, INDEX_FOLDER):
            return StoredFile(key, "index", model, stem)
        case ["models", model, _]:
            return StoredFile(key, "model", model)
        case ["evaluation", model, _, _]:
            return StoredFile(key, "evaluation", model)
    return None


def stored_files(store: Store) -> Iterator[tuple[StoredFile, Entry]]:
    """Yield the files of a store, without Dagster's state and foreign files."""
    for key in (RELEASES_FILE, FEATURES_FILE):
        entry, file = store.files.entry(key), stored_file(key)
        if entry and file:
            yield file, entry
    for folder in _FOLDERS:
        for entry in store.files.entries(folder):
            if file := stored_file(entry.key):
                yield file, entry


def missing_files(store: Store) -> Iterator[StoredFile]:
    """Yield shards that a snapshot refers to and that are missing; skips damaged snapshots."""
    snapshots = [FEATURES_FILE]
    snapshots += [f"{FOLDER}/{model}/{SNAPSHOT_FILE}" for model in store.files.folders(FOLDER)]
    for key in snapshots:
        try:
            snapshot = read_snapshot(store, key)
        except StoreError:
            continue
        if snapshot is None:
            continue
        for shard in snapshot.shards:
            for file in feature_tables.FILES:
                wanted = shard_key(snapshot.model, file, shard.name)
                if not store.files.exists(wanted):
                    yield StoredFile(wanted, "shard", snapshot.model, shard.name)


def compare(store: Store, file: StoredFile, path: Path) -> bool:
    """Compare the whole content of a file with its digest.

    Args:
        store: the store, for digests that are in other files.
        file: the file.
        path: local path of its content.

    Returns:
        False if it has no digest, as in earlier versions; its content could then be decoded.

    Raises:
        SealError: the file is damaged.
        FileNotFoundError: the file is missing.
    """
    match file.kind:
        case "table" | "shard":
            if check_parquet(path):
                return True
            check_unsealed(path)
            return False
        case "snapshot":
            return check_file(path) or _is_unsealed_snapshot(path)
        case "sound":
            return _compare_sound(store, file, path)
        case "record" | "quarantine" | "releases":
            return _compare_document(path)
        case "model":
            return _compare_with(store, file, path, TRAINING_FILE, DIGESTS)
        case "evaluation":
            return _compare_with(store, file, path, EVALUATION_FILE, DIGESTS)
        case "index":
            return _compare_index(store, file, path)


def _compare_document(path: Path) -> bool:
    content = path.read_bytes()
    try:
        read_sealed_json(content)
    except ValueError as error:
        raise SealError(str(error)) from None
    return is_sealed_json(content)


def _compare_sound(store: Store, file: StoredFile, path: Path) -> bool:
    try:
        record = store.json_record("soundtrack", file.owner)
    except StoreError:
        return True  # the record is damaged; repairing it recomputes the soundtrack as well
    digest = record[1].get("sha256") if record else None
    if digest is None:
        return False
    _require(path, digest)
    return True


def _compare_with(
    store: Store, file: StoredFile, path: Path, document_name: str, member: str
) -> bool:
    """Compare a file with the digest in a document beside it, or that document with its seal."""
    folder, _, name = file.key.rpartition("/")
    if name == document_name:
        return _compare_document(path)
    document = document_beside(store, f"{folder}/{document_name}")
    digest = (document.get(member) or {}).get(name)
    if digest is None:
        return False
    _require(path, digest)
    return True


def _compare_index(store: Store, file: StoredFile, path: Path) -> bool:
    if file.key.endswith(".json"):
        return _compare_document(path)
    document = document_beside(store, f"{file.key.rpartition('.')[0]}.json")
    if not document:
        return False
    if checksum_of(path) != (document.get("bytes"), document.get("checksum")):
        raise SealError("its checksum has changed since it was written")
    return True


def document_beside(store: Store, key: str) -> Mapping[str, Any]:
    """Read a document with digests of other files; empty if it is missing or damaged."""
    try:
        document = read_sealed_json(store.files.path(key).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _require(path: Path, digest: str) -> None:
    if sha256_of_file(path).hex() != digest:
        raise SealError(_OTHER)


def _is_unsealed_snapshot(path: Path) -> bool:
    """Open a snapshot of an earlier version, so that DuckDB verifies its own block checksums.

    Returns:
        False: the snapshot has no digest.

    Raises:
        SealError: DuckDB cannot open it.
    """
    import duckdb

    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        raise SealError(" ".join(str(error).split())[:100]) from None
    return False
