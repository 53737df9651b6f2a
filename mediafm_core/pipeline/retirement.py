"""Retirement: removal of titles from a catalogue, with all their artefacts."""

from collections.abc import Collection
from dataclasses import dataclass

from mediafm_core.errors import ConfigurationError
from mediafm_core.pipeline.graph import BESIDE_CONTEXTUAL, SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.features import remove
from mediafm_core.store.store import Store

_ASSETS = {name: spec.per_model for name, spec in SPECS.items()} | {BESIDE_CONTEXTUAL: True}
_SUFFIXES = (".parquet", ".json", ".flac")


@dataclass(frozen=True)
class Retired:
    """Result of a retirement.

    Attributes:
        seen: number of titles that readers saw until now.
        files: number of removed files of artefacts.
        bytes: their size.
    """

    seen: int
    files: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.seen} titles removed from readers, {self.files} files deleted"


def retire(platform: Platform, title_ids: Collection[str]) -> Retired:
    """Remove titles: readers no longer see them, and none of their artefacts is kept.

    It is idempotent: after a kill the next call removes the rest. A reader that has the catalogue
    open keeps the rows that it opened; `clean_up` removes them from the disk after the grace
    period.

    Args:
        platform: settings, store and inbox.
        title_ids: titles whose folders are no longer in the inbox.

    Raises:
        ConfigurationError: a folder is still in the inbox, or there is no inbox.
        StoreError: features cannot be published.
    """
    store = platform.store
    in_inbox = {folder.name for folder in platform.inbox.scan()}
    staying = sorted(in_inbox & set(title_ids))
    if staying:
        raise ConfigurationError(
            f"{', '.join(staying)} would be ingested again from {platform.inbox.location}: move "
            "its folder out of the inbox, then retire it."
        )
    seen = remove(store, title_ids)
    sizes = []
    for title_id in title_ids:
        for key in _keys(store, title_id):
            entry = store.files.entry(key)
            if entry is not None:
                store.files.remove(key)
                sizes.append(entry.size)
        Quarantine(store).lift(title_id)
    remove(store, title_ids)  # again: a run may have published one meanwhile
    return Retired(seen, len(sizes), sum(sizes))


def _keys(store: Store, title_id: str) -> list[str]:
    """Return the keys of all files that the assets of a title may have."""
    return [
        store.key(asset, title_id, variant, suffix)
        for asset, per_model in _ASSETS.items()
        for variant in (store.files.folders(asset) if per_model else ("",))
        for suffix in _SUFFIXES
    ]
