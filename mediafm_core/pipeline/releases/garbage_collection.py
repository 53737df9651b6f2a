"""Remove what nobody needs any more: models of long ago, and shards that readers have left."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL, FROM_MODEL
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.serving import Release, release_history, restored_by_rollback
from mediafm_core.store.features import clean
from mediafm_core.store.features.snapshot import FOLDER, read_snapshot, snapshot_key
from mediafm_core.store.store import Store

_PER_MODEL = (*FROM_MODEL, BESIDE_CONTEXTUAL)


@dataclass(frozen=True)
class Cleaned:
    """What `clean_up` removed.

    Attributes:
        models: versions whose artefacts and features are gone; trained models themselves are kept.
        artefacts: files of contextual vectors, titles' vectors and clip features.
        shards: files of features.
        merged: small or partly superseded shards that others have taken the place of.
        bytes: size of all files that were removed.
    """

    models: tuple[str, ...]
    artefacts: int
    shards: int
    merged: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"{self.artefacts} artefacts of {len(self.models)} models and {self.shards} files of "
            f"features removed, {self.bytes / (1 << 20):.1f} MiB; {self.merged} shards merged"
        )


def clean_up(platform: Platform) -> Cleaned:
    """Remove features of earlier models and of shards that the catalogue no longer consists of.

    What readers see, the version before it, what a rollback would return to and every later release
    are kept: no reader and no run in progress needs anything else. Files that readers may have open
    stay for the time of grace, the setting `publishing.grace_s`.

    Raises:
        StoreError: the record of releases or the features cannot be read.
    """
    store = platform.store
    seen = read_snapshot(store)
    history = release_history(store)
    obsolete = obsolete_models(history, seen.model if seen else None, _served(store))
    cleaned = clean(store, obsolete, platform.settings.publishing.grace_s)
    models, sizes = set(cleaned.models), []
    for asset in _PER_MODEL:
        for model in obsolete & set(store.files.folders(asset)):
            for entry in list(store.files.entries(f"{asset}/{model}")):
                store.files.remove(entry.key)
                sizes.append(entry.size)
                models.add(model)
    return Cleaned(
        models=tuple(sorted(models)),
        artefacts=len(sizes),
        shards=cleaned.files,
        merged=cleaned.merged,
        bytes=cleaned.bytes + sum(sizes),
    )


def obsolete_models(
    history: Sequence[Release], seen: str | None, served: Collection[str] = ()
) -> set[str]:
    """Models that served once and are needed no more.

    Args:
        history: all releases, the first one first.
        seen: the model that readers see, which a later release may not have replaced yet.
        served: models that readers have seen before: a release may have been overtaken by the next
            one, and what readers saw last is then an earlier one.
    """
    latest_first = list(dict.fromkeys(release.model for release in reversed(history)))
    newer = latest_first.index(seen) if seen in latest_first else 0
    needed = {seen, *latest_first[: newer + 2]}
    needed.add(next((model for model in latest_first[newer + 1 :] if model in served), None))
    target = restored_by_rollback(history)
    if target is not None:
        needed.add(history[target].model)
    return set(latest_first) - needed


def _served(store: Store) -> set[str]:
    """Models that readers have seen and could be shown again at once."""
    put_aside = {
        model: read_snapshot(store, snapshot_key(model)) for model in store.files.folders(FOLDER)
    }
    return {model for model, snapshot in put_aside.items() if snapshot and snapshot.served}
