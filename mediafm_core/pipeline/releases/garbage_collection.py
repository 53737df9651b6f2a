"""Garbage collection: artefacts of obsolete models, and shards that are no longer published."""

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
    """Result of a garbage collection.

    Attributes:
        models: versions whose artefacts and features were removed; trained models themselves are
            kept.
        artefacts: number of removed files of contextual vectors, titles' vectors and clip features.
        shards: number of removed files of features.
        merged: small or partly superseded shards that were replaced by others.
        bytes: size of all removed files.
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
    """Remove artefacts and features of obsolete models, and shards that are no longer published.

    The model that readers see, the one before it, the target of a rollback and every later release
    are kept: no reader and no run in progress needs another one. Files that readers may have open
    are kept for the grace period, the setting `publishing.grace_s`.

    Raises:
        StoreError: the record of releases or the features cannot be read.
    """
    store = platform.store
    seen = read_snapshot(store)
    history = release_history(store)
    obsolete = obsolete_models(history, seen.model if seen else None, _published_before(store))
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
    history: Sequence[Release], seen: str | None, published: Collection[str] = ()
) -> set[str]:
    """Return the models that served once and are obsolete.

    Args:
        history: all releases, the first one first.
        seen: the model that readers see, which a later release may not have replaced yet.
        published: models that readers have seen before: where a release was followed by the next
            one before its cutover, the model that readers saw last is an earlier one.
    """
    latest_first = list(dict.fromkeys(release.model for release in reversed(history)))
    newer = latest_first.index(seen) if seen in latest_first else 0
    needed = {seen, *latest_first[: newer + 2]}
    needed.add(next((model for model in latest_first[newer + 1 :] if model in published), None))
    target = restored_by_rollback(history)
    if target is not None:
        needed.add(history[target].model)
    return set(latest_first) - needed


def _published_before(store: Store) -> set[str]:
    """Return the models whose snapshot readers have seen before and could see again at once."""
    kept = {
        model: read_snapshot(store, snapshot_key(model)) for model in store.files.folders(FOLDER)
    }
    return {model for model, snapshot in kept.items() if snapshot and snapshot.was_published}
