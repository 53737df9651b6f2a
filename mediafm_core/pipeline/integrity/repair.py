"""Repair of a store: damaged derived files are removed, and the next run computes them again."""

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
from mediafm_core.store.model_store import upload_model

logger = logging.getLogger(__name__)


@dataclass
class Repaired:
    """Result of a repair.

    Attributes:
        removed: names of removed files, all of which can be computed again.
        corrected: names of files with a corrected bit flip, or that were rewritten.
        sealed: names of files of an earlier version to which a digest was added.
        titles: titles whose artefacts are to be computed again.
        shards: True if feature rows were rewritten, or have to be published again.
        indexes: model versions whose search index was removed.
        left: sentences about damage that cannot be repaired, with the remedy.
    """

    removed: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    titles: set[str] = field(default_factory=set)
    shards: bool = False
    indexes: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)


def repair(platform: Platform, found: Verification) -> Repaired:
    """Remove or correct damaged files, and add digests to files that have none.

    Damaged artefacts are removed; the next run computes them again from the title's folder. Shards
    are rewritten from the undamaged artefacts, so that readers see all other titles meanwhile.
    Models and the record of releases cannot be computed again; in their JSON files, a single
    flipped bit is corrected by trial.

    Args:
        platform: settings, store and inbox.
        found: the damaged files.

    Raises:
        ConfigurationError: there is no inbox, or the store is not writable.
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
    """Repair a store and publish finished titles; the next run computes the removed artefacts.

    Raises:
        ConfigurationError, StoreError: see `repair`.
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
        platform.store.files.evict(damage.file.key)
    repaired.removed.append(str(damage.copy))


def _artefact(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    store, file = platform.store, damage.file
    if not _is_in_inbox(platform, file.owner):
        repaired.left.append(
            f"{damage}: the folder of {file.owner} is not in the inbox "
            f"{platform.inbox.location}, so put it back, or `mediafm retire {file.owner}`."
        )
        return
    # The two are written together, and only this one is checked for presence.
    asset = "contextual_embeddings" if file.asset == BESIDE_CONTEXTUAL else file.asset
    store.remove(asset, file.owner, file.variant)
    if asset == "soundtrack":
        store.remove_file(store.key(asset, file.owner, suffix=".flac"))
    store.files.remove(file.key)
    repaired.removed.append(file.key)
    # Artefacts of other models are computed when such a model serves again.
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
        # A writer may have replaced it since it was verified.
        if any(each.copy is None for each in compared(platform.store, damage.file).damaged):
            platform.store.files.remove(damage.file.key)
            repaired.removed.append(damage.file.key)


def _index(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    stem = damage.file.key.rpartition(".")[0]
    for suffix in (".json", ".usearch"):  # the description first, because readers look for it
        platform.store.files.remove(stem + suffix)
    repaired.removed.append(damage.file.key)
    repaired.indexes.add(damage.file.owner)


def _evaluation(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    folder = damage.file.key.rpartition("/")[0]
    platform.store.files.remove(f"{folder}/{EVALUATION_FILE}")  # first, because readers look for it
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
    undamaged = _latest_undamaged(platform, but=model)
    remedy = "copy its folder back"
    if model == serving_model(store):
        remedy += f", or release {undamaged}" if undamaged else ", or train and release another one"
    else:
        remedy += " or delete it; it is not the serving model"
    repaired.left.append(f"{damage}: a model cannot be computed again, so {remedy}.")


def _releases(platform: Platform, damage: DamagedFile, repaired: Repaired) -> None:
    if _correct(platform, damage.file, is_right_json, repaired):
        return
    model = catalogue_model(platform)
    if model is None:
        repaired.left.append(
            f"{damage}: restore it from a backup, or delete it and release a model."
        )
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
    """Return the model version in the published catalogue; None if it cannot be read."""
    try:
        seen = catalogue(platform.store)
    except StoreError:
        return None
    return seen.model if seen else None


def _rebuild(platform: Platform, damaged: Iterable[DamagedFile], repaired: Repaired) -> None:
    """Rewrite damaged shards from the artefacts."""
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
    """Correct a single flipped bit in a document; return True if it was found."""
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


def _latest_undamaged(platform: Platform, but: str) -> str | None:
    """Return the most recently released other model that is undamaged; None without one."""
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
    """Add a digest to a file of an earlier version, unless it is replaced meanwhile."""
    store = platform.store
    if file.kind in ("evaluation", "index", "sound"):
        return False  # the first two are recomputed; a soundtrack's digest is in its record
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
    """Add digests to the training record of a model of an earlier version."""
    from mediafm_core.model.saved_model import load_model
    from mediafm_core.store.model_store import model_folder

    folder = model_folder(platform.store, model)
    try:
        load_model(folder)  # checks the weights against the identity before digests are recorded
        write_training_record(folder, read_json(folder, TRAINING_FILE))
    except (MediaFMError, FileNotFoundError) as error:
        logger.warning("%s has no digests: %s", model, error)
        return False
    upload_model(platform.store, model, again=True)
    return True
