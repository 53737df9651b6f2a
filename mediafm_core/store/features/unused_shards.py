"""Removal of shards that no reader uses, and merging of the remaining ones."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mediafm_core.runtime.clock import is_ahead
from mediafm_core.storage.files import Entry
from mediafm_core.store.features.indexes import latest_index
from mediafm_core.store.features.shards import is_full, portions
from mediafm_core.store.features.snapshot import (
    FOLDER,
    SNAPSHOT_FILE,
    Snapshot,
    read_snapshot,
    snapshot_key,
)
from mediafm_core.store.features.snapshot_writer import LOCK, SnapshotWriter, writing
from mediafm_core.store.store import FEATURES_FILE, Store


@dataclass(frozen=True)
class CleanedFeatures:
    """Result of `clean`.

    Attributes:
        models: versions whose files were all removed.
        files: files that were removed.
        bytes: their size.
        merged: shards that were replaced by merged ones.
    """

    models: tuple[str, ...]
    files: int
    bytes: int
    merged: int


def clean(store: Store, obsolete: Collection[str], grace_s: float) -> CleanedFeatures:
    """Merge shards, and remove the files that no snapshot refers to.

    A client that opened an earlier snapshot reads its shards for as long as it is open. So a shard
    is removed only when no snapshot has referred to it for the grace period.

    Args:
        store: the catalogue's store.
        obsolete: model versions that are not needed any more; never the published one.
        grace_s: seconds for which unreferenced files are kept.
    """
    removed: list[Entry] = []
    models, merged = [], 0
    with store.files.exclusive(LOCK), writing(store) as connection:
        now = time.time()
        before = now - grace_s
        seen = read_snapshot(store, connection=connection)
        for model in store.files.folders(FOLDER):
            entries = [
                _dated(store, entry, now) for entry in store.files.entries(f"{FOLDER}/{model}")
            ]
            is_seen = seen is not None and seen.model == model and seen.is_current
            if model in obsolete and not (seen and seen.model == model):
                # Readers left it when its snapshot was replaced, or later.
                if entries and max(entry.modified_s for entry in entries) <= before:
                    models.append(model)
                    # The snapshot first: a rollback must not find a model whose shards are removed.
                    removed += sorted(entries, key=lambda entry: not _is_snapshot(entry))
                continue
            key = FEATURES_FILE if is_seen else snapshot_key(model)
            snapshot = seen if is_seen else read_snapshot(store, key, connection)
            if snapshot is not None and snapshot.is_current:
                writer = SnapshotWriter(store, connection, snapshot)
                merged += _tidy(writer, key, before, now)
                snapshot = writer.snapshot
            removed += _unneeded(entries, snapshot, before)
        for entry in removed:
            store.files.remove(entry.key)
    return CleanedFeatures(
        tuple(models), len(removed), sum(entry.size for entry in removed), merged
    )


def _dated(store: Store, entry: Entry, now: float) -> Entry:
    """Start the grace period of a file that is dated in the future now."""
    if is_ahead(entry.modified_s, now):
        store.files.touch(entry.key)
        return entry._replace(modified_s=now)
    return entry


def _tidy(writer: SnapshotWriter, key: str, before: float, now: float) -> int:
    """Merge small shards, drop superseded rows, and forget shards that were dropped long ago."""
    small = [shard for shard in writer.snapshot.shards if shard.superseded or not is_full(shard)]
    groups = [
        group
        for fused in sorted({shard.fused for shard in small})
        for group in portions([shard for shard in small if shard.fused == fused])
        if sum(shard.live for shard in group)
    ]
    writer.merge(groups)
    dropped = tuple(
        (name, now if is_ahead(since, now) else since)
        for name, since in writer.snapshot.dropped
        if since > before
    )
    if groups or dropped != writer.snapshot.dropped:
        writer.snapshot = replace(writer.snapshot, dropped=dropped)
        writer.save(key)
    return sum(map(len, groups))


def _unneeded(entries: list[Entry], snapshot: Snapshot | None, before: float) -> list[Entry]:
    """Return files of shards that a model's snapshot does not name; killed writers leave some too.

    A dropped shard is named for the grace period. Younger files may belong to a writer that has
    not finished. The latest search index is kept.
    """
    needed = set()
    if snapshot is not None:
        needed = {shard.name for shard in snapshot.shards} | {name for name, _ in snapshot.dropped}
        needed |= latest_index(entries)
    return [
        entry
        for entry in entries
        if not _is_snapshot(entry)
        and PurePosixPath(entry.key).stem not in needed
        and entry.modified_s <= before
    ]


def _is_snapshot(entry: Entry) -> bool:
    return PurePosixPath(entry.key).name == SNAPSHOT_FILE
