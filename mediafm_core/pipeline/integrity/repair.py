"""Repair of a store: what is damaged and derived is removed, so that it is computed again."""

import logging
import shutil
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from mediafm_core.disk.sealed_parquet import seal_parquet
from mediafm_core.disk.seals import (
    corrected,
    is_right_json,
    read_sealed_json,
    seal_file,
    sealed_json,
    sha256_of_file,
)
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.model.model_files import (
    DIGESTS,
    TRAINING_FILE,
    read_json,
    require_undamaged,
    write_training_record,
)
from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL
from mediafm_core.pipeline.integrity.stored_files import (
    EVALUATION_FILE,
    RELEASES_FILE,
    StoredFile,
    document_beside,
)
from mediafm_core.pipeline.integrity.verification import DamagedFile, Verification, compared
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_finished
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.releases.release import release
from mediafm_core.pipeline.serving import LOCK as RELEASES_LOCK
from mediafm_core.pipeline.serving import release_history, serving_model
from mediafm_core.store.features import catalogue
from mediafm_core.store.features.rebuild import rebuild_features
from mediafm_core.store.features.snapshot_writer import LOCK
from mediafm_core.store.model_store import put_up

logger = logging.getLogger(__name__)


@dataclass
class Repaired:
    """Result of a repair.

    Attributes:
        removed: names of files that were removed, each of which can be computed again.
        corrected: names of files in which the one flipped bit was found, or that were written anew.
        sealed: files of an earlier version that have got a digest.
        titles: whose artefacts are to be computed again.
        shards: whether rows of features were written again, or are to be published again.
        indexes: model versions whose search index was removed.
        left: what cannot be repaired, each with a sentence that says what to do.
    """

    removed: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    titles: set[str] = field(default_factory=set)
    shards: bool = False
    indexes: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)


def repair(platform: Platform, found: Verification) -> Repaired:
    """Remove or correct what is damaged, and give digests to files that have none.

    Artefacts are removed, which makes them missing: the next run computes them again from the
    title's folder. Shards are written again from the artefacts that are sound, so that readers see
    every other title meanwhile. Models and the record of releases cannot be computed again; a
    single flipped bit in their JSON files is found by trying.

    Args:
        platform: settings, store and inbox.
        found: what is damaged.

    Raises:
        ConfigurationError: there is no inbox, or the store cannot be written.
        StoreError: features cannot be written.
    """
    platform.store.files.require_writable()
    repaired = Repaired()
    copies = [each for each in found.damaged if each.copy is not None]
    stored = [each for each in found.damaged if each.copy is None]
    for damage in copies:
        _drop_copy(platform, damage, repaired)
    for damage in stored:
        _REPAIRS[damage.file.kind](platform, damage, repaired)
    _rebuild(platform, stored, repaired)
    for file in found.unsealed:
        if _seal(platform, file):
            repaired.sealed.append(file.key)
    return repaired


def repair_and_publish(platform: Platform, found: Verification) -> Repaired:
    """Repair, and publish what is finished; artefacts that were removed are left to the next run.

    Raises:
        As `repair`.
    """
    repaired = repair(platform, found)
    publish_repaired(platform, repaired)
    return repaired


def publish_repaired(platform: Platform, repaired: Repaired) -> None:
    """Publish finished titles again after a repair of features, and build the readers' index.

    Raises:
        StoreError: features cannot be written.
    """
    if repaired.shards:
        publish_finished(platform)
    if repaired.indexes and catalogue_model(platform) in repaired.indexes:
        from mediafm_core.api.clip_search import build_index

        build_index(platform.store.location)


def _drop_copy(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    if damage.copy is not None and damage.copy.is_dir():
        shutil.rmtree(damage.copy)
    else:
        platform.store.files.drop_copies(damage.file.key)
    repaired.removed.append(str(damage.copy))


def _artefact(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    store, file = platform.store, damage.file
    if not _is_in_inbox(platform, file.owner):
        repaired.left.append(
            f"{damage}: the folder of {file.owner} is not in the inbox "
            f"{platform.inbox.location}, so put it back, or `mediafm retire {file.owner}`."
        )
        return
    # Written together, of which the second is found missing.
    asset = "contextual_embeddings" if file.asset == BESIDE_CONTEXTUAL else file.asset
    store.remove(asset, file.owner, file.variant)
    if asset == "soundtrack":
        store.remove_file(store.key(asset, file.owner, suffix=".flac"))
    store.files.remove(file.key)
    repaired.removed.append(file.key)
    # That of another model is computed if that model serves again.
    if not file.variant or file.variant == serving_model(store):
        repaired.titles.add(file.owner)


def _quarantine(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    Quarantine(platform.store).lift(damage.file.owner)
    repaired.removed.append(damage.file.key)
    if _is_in_inbox(platform, damage.file.owner):
        repaired.titles.add(damage.file.owner)


def _is_in_inbox(platform: Platform, title_id: str) -> bool:
    folder = platform.inbox.folder(title_id)
    return folder.is_complete and not folder.is_gone


def _features(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    repaired.shards = True
    if damage.file.kind != "snapshot":
        return
    with platform.store.files.exclusive(LOCK):
        # A writer may have replaced it meanwhile.
        if any(each.copy is None for each in compared(platform.store, damage.file).damaged):
            platform.store.files.remove(damage.file.key)
            repaired.removed.append(damage.file.key)


def _index(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    stem = damage.file.key.rpartition(".")[0]
    for suffix in (".json", ".usearch"):  # the description first: without it there is no index
        platform.store.files.remove(stem + suffix)
    repaired.removed.append(damage.file.key)
    repaired.indexes.add(damage.file.owner)


def _evaluation(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    folder = damage.file.key.rpartition("/")[0]
    platform.store.files.remove(f"{folder}/{EVALUATION_FILE}")  # it stands for all of them
    for entry in list(platform.store.files.entries(folder)):
        platform.store.files.remove(entry.key)
    repaired.removed.append(damage.file.key)


def _model(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    store, key = platform.store, damage.file.key
    folder, _, name = key.rpartition("/")
    if name == TRAINING_FILE:
        is_right = is_right_json
    else:
        digest = (document_beside(store, f"{folder}/{TRAINING_FILE}").get(DIGESTS) or {}).get(name)

        def is_right(content: bytes) -> bool:
            return sha256(content).hexdigest() == digest

    if _correct(platform, damage.file, is_right, repaired):
        return
    model = damage.file.owner
    good = _last_good(platform, but=model)
    remedy = "copy its folder back"
    if model == serving_model(store):
        remedy += f", or release {good}" if good else ", or train and release another one"
    else:
        remedy += " or delete it; it does not serve"
    repaired.left.append(f"{damage}: a model cannot be computed again, so {remedy}.")


def _releases(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    if _correct(platform, damage.file, is_right_json, repaired):
        return
    model = catalogue_model(platform)
    if model is None:
        repaired.left.append(f"{damage}: put back a copy of it, or delete it and release a model.")
        return
    platform.store.files.remove(RELEASES_FILE)
    try:
        candidate = resolve(platform.store, model)
        release(platform, candidate, reason=f"{RELEASES_FILE} was damaged; readers saw this model")
    except MediaFMError as error:
        repaired.left.append(f"{damage}: {model}, which readers see, cannot serve ({error})")
        return
    repaired.corrected.append(damage.file.key)


_REPAIRS: dict[str, Callable[[Platform, DamagedFile, Repaired], None]] = {
    "table": _artefact,
    "record": _artefact,
    "sound": _artefact,
    "quarantine": _quarantine,
    "shard": _features,
    "snapshot": _features,
    "index": _index,
    "evaluation": _evaluation,
    "model": _model,
    "releases": _releases,
}


def catalogue_model(platform: Platform) -> str | None:
    """Return the model that readers see; None where that cannot be read."""
    try:
        seen = catalogue(platform.store)
    except StoreError:
        return None
    return seen.model if seen else None


def _rebuild(platform: Platform, damaged: Iterable[DamagedFile], repaired: Repaired) -> None:
    shards: dict[str, list[str]] = {}
    for each in damaged:
        if each.file.kind == "shard":
            shards.setdefault(each.file.owner, []).append(each.file.key)
    for model, keys in shards.items():
        rebuild_features(platform.store, model, keys)
        repaired.removed += keys


def _correct(
    platform: Platform,
    file: StoredFile,
    is_right: Callable[[bytes], bool],
    repaired: Repaired,
) -> bool:
    """Write a document again in which the one flipped bit was found."""
    store = platform.store
    with store.files.stored(file.key) as path:
        content = corrected(path.read_bytes(), is_right) if path.exists() else None
    if content is None:
        return False
    with store.staging() as folder:
        prepared = folder / "corrected"
        prepared.write_bytes(content)
        store.commit(prepared, file.key)
    repaired.corrected.append(file.key)
    return True


def _last_good(platform: Platform, but: str) -> str | None:
    """Return the model of the latest release that is another one and sound."""
    try:
        history = release_history(platform.store)
    except StoreError:
        return None
    for each in reversed(history):
        if each.model == but:
            continue
        try:
            candidate = resolve(platform.store, each.model)
            require_undamaged(candidate.folder, candidate.training)
        except MediaFMError:
            continue
        return each.model
    return None


def _seal(platform: Platform, file: StoredFile) -> bool:
    """Give a file of an earlier version its digest, unless it is replaced meanwhile."""
    store = platform.store
    if file.kind in ("evaluation", "index", "sound"):
        return False  # measured and built anew; a sound has its digest in its record
    if file.kind == "model":
        return file.key.endswith(f"/{TRAINING_FILE}") and _seal_model(platform, file.owner)
    locks = {"snapshot": LOCK, "releases": RELEASES_LOCK}
    lock = store.files.exclusive(locks[file.kind]) if file.kind in locks else nullcontext()
    with lock, store.staging() as folder:
        before = store.files.entry(file.key)
        if before is None:
            return False
        prepared = Path(shutil.copyfile(store.files.path(file.key), folder / "sealed"))
        match file.kind:
            case "table" | "shard":
                seal_parquet(prepared)
            case "snapshot":
                seal_file(prepared)
            case _:
                document = read_sealed_json(prepared.read_bytes())
                if file.asset == "soundtrack" and document["content"].get("file"):
                    sound = store.path(file.asset, file.owner, suffix=".flac")
                    document["content"]["sha256"] = sha256_of_file(sound).hex()
                prepared.write_bytes(sealed_json(document))
        now = store.files.entry(file.key)
        if now is None or now.stamp != before.stamp:
            return False
        store.commit(prepared, file.key)
    return True


def _seal_model(platform: Platform, model: str) -> bool:
    from mediafm_core.model.saved_model import load_model
    from mediafm_core.store.model_store import model_folder

    folder = model_folder(platform.store, model)
    try:
        load_model(folder)  # it is of the identity that it says, so that its digests are right
        write_training_record(folder, read_json(folder, TRAINING_FILE))
    except (MediaFMError, FileNotFoundError) as error:
        logger.warning("%s has no digests: %s", model, error)
        return False
    put_up(platform.store, model, again=True)
    return True
