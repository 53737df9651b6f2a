"""Rebuild damaged shards from the artefacts of their titles."""

import logging
import time
from collections.abc import Collection
from dataclasses import replace

from mediafm_core.errors import StoreError
from mediafm_core.store.features import feature_tables
from mediafm_core.store.features.shards import titles_in
from mediafm_core.store.features.snapshot import (
    Snapshot,
    read_snapshot,
    shard_key,
    snapshot_key,
)
from mediafm_core.store.features.snapshot_writer import (
    LOCK,
    SnapshotWriter,
    finished,
    has_artefacts,
    recorded_versions,
    writing,
)
from mediafm_core.store.store import FEATURES_FILE, Store

logger = logging.getLogger(__name__)


def rebuild_features(store: Store, model: str, damaged: Collection[str]) -> int:
    """Write the rows of damaged shards of a model again, and update its snapshot.

    The snapshot is replaced atomically. Titles whose artefacts are missing follow when they are
    published. Damaged files are removed.

    Args:
        store: the catalogue's store.
        model: model version.
        damaged: names (keys) of files of its shards.

    Returns:
        Titles whose rows were written.

    Raises:
        StoreError: the snapshot is damaged, or an artefact of a published title.
    """
    lost_names = {key.rpartition("/")[2].partition(".")[0] for key in damaged}
    written = 0
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        is_seen = seen is not None and seen.model == model
        key = FEATURES_FILE if is_seen else snapshot_key(model)
        snapshot = seen if is_seen else read_snapshot(store, key, connection)
        lost = [
            shard
            for shard in (snapshot.shards if snapshot and snapshot.is_current else ())
            if shard.name in lost_names
        ]
        if snapshot is not None and lost:
            titles_files = {shard_key(model, "titles", shard.name) for shard in lost}
            readable = titles_files.isdisjoint(damaged)
            of_lost = replace(snapshot, shards=tuple(lost) if readable else ())
            left = snapshot.without((shard.name for shard in lost), time.time())
            writer = SnapshotWriter(store, connection, left)
            # If the list of titles is damaged as well: every title that has features and no row.
            there = set(titles_in(connection, store, of_lost))
            if not readable:
                there = finished(store, model)
            ready = {title_id for title_id in there if has_artefacts(store, model, title_id)}
            wanted = recorded_versions(store, model, ready - writer.titles().keys())
            try:
                written = writer.add(wanted)
            except StoreError:
                if is_seen:
                    raise
                # Its titles have changed since: a rollback computes their features again.
                logger.warning(
                    "The damaged features of %s are removed and not written again",
                    model,
                    exc_info=True,
                )
                writer.snapshot = Snapshot(model, dimension=0)
            _save(store, writer, key)
        for name in lost_names:
            for file in feature_tables.FILES:
                store.files.remove(shard_key(model, file, name))
    return written


def _save(store: Store, writer: SnapshotWriter, key: str) -> None:
    if writer.snapshot.shards:
        writer.save(key)
    else:
        store.files.remove(key)
