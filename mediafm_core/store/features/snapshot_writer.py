"""Writer of snapshots: rows are added, superseded and merged, within the writers' lock."""

import logging
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

import duckdb
import pyarrow as pa

from mediafm_core.disk.seals import seal_file
from mediafm_core.errors import IdentityMismatchError, StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.store.features import feature_tables
from mediafm_core.store.features.feature_tables import FUSED
from mediafm_core.store.features.shards import (
    Published,
    TitleVersions,
    merge_shards,
    mergeable,
    titles_in,
    write_shards,
)
from mediafm_core.store.features.snapshot import (
    SNAPSHOT_FILE,
    Shard,
    Snapshot,
    duckdb_errors,
    literal,
    snapshot_key,
    write_snapshot,
)
from mediafm_core.store.store import FEATURES_FILE, Store

logger = logging.getLogger(__name__)

LOCK = "features"
"""Name of the lock that one writer at a time holds."""

REMEDY = "see that every title is complete and the disk has space, then run again"
_WRITER_MEMORY = "1GB"  # beyond it DuckDB spills into the staging folder


class SnapshotWriter:
    """Writer of a model's next snapshot from its latest one; used within the writers' lock.

    Args:
        store: the catalogue's store.
        connection: one that may write.
        snapshot: the snapshot before.
    """

    def __init__(
        self, store: Store, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot
    ) -> None:
        self.store = store
        self.connection = connection
        self.snapshot = snapshot

    def titles(self, title_ids: Iterable[str] | None = None) -> dict[str, TitleVersions]:
        """Return the snapshot's titles with their versions, or those among `title_ids`."""
        found = titles_in(self.connection, self.store, self.snapshot, title_ids)
        return {title_id: published.versions for title_id, published in found.items()}

    def add(self, title_ids: Collection[str], again: bool = False) -> int:
        """Add titles whose artefacts are complete, or replace their rows; return how many.

        Args:
            title_ids: the titles.
            again: replace rows even if their versions are the same.

        Raises:
            StoreError: an artefact of one of them is missing or does not match the others.
            IdentityMismatchError: their fused vectors are of other encoders than the snapshot's.
        """
        model = self.snapshot.model
        ready = recorded_versions(self.store, model, title_ids)
        if len(ready) < len(title_ids):
            missing = min(set(title_ids) - set(ready))
            raise StoreError(f"{missing} has no clip features of {model} to publish: run it first.")
        there = titles_in(self.connection, self.store, self.snapshot, ready)
        changed = {
            title_id: versions
            for title_id, versions in ready.items()
            if again or title_id not in there or versions != there[title_id].versions
        }
        if not changed:
            return 0
        if not self.snapshot.dimension:
            dimension = _dimension(self.store, min(changed), model)
            self.snapshot = replace(self.snapshot, dimension=dimension)
        dimension, written = self.snapshot.dimension, []
        for fused, group in self._by_fused_width(changed).items():
            written += write_shards(self.connection, self.store, model, dimension, group, fused)
        self._supersede({name: there[name] for name in changed.keys() & there.keys()})
        self.snapshot = replace(self.snapshot, shards=(*self.snapshot.shards, *written))
        while groups := list(mergeable(self.snapshot.shards)):
            self.merge(groups)
        logger.info("Features of %d titles written", len(changed))
        return len(changed)

    def _by_fused_width(
        self, versions: Mapping[str, TitleVersions]
    ) -> dict[int, dict[str, TitleVersions]]:
        """Group titles by the width of their clips' fused vectors, 0 where they have none."""
        groups: dict[int, dict[str, TitleVersions]] = {}
        has_some = any(shard.fused for shard in self.snapshot.shards if shard.live)
        space = self.snapshot.space if has_some else None
        for title_id in versions:
            record = self.store.record("clip_features", title_id, self.snapshot.model)
            details = record.details.get(FUSED) if record else None
            if details is not None:
                of_title = FusedSpace.from_record(details)
                space = space or of_title
                if mismatch := space.mismatch(of_title):
                    raise IdentityMismatchError(
                        f"The fused vectors of {title_id} are incompatible with those of the "
                        f"published clips ({mismatch}): `mediafm run` brings all titles to the "
                        "settings' encoders."
                    )
            width = details["dimension"] if details is not None else 0
            groups.setdefault(width, {})[title_id] = versions[title_id]
        self.snapshot = replace(self.snapshot, space=space)
        return groups

    def supersede(self, title_ids: Collection[str]) -> int:
        """Mark rows of titles as superseded; return how many titles had any."""
        found = titles_in(self.connection, self.store, self.snapshot, title_ids)
        self._supersede(found)
        return len(found)

    def _supersede(self, found: Mapping[str, Published]) -> None:
        of_shard: dict[str, set[str]] = {}
        for title_id, published in found.items():
            of_shard.setdefault(published.shard, set()).add(title_id)
        shards = tuple(
            replace(shard, superseded=shard.superseded | of_shard.get(shard.name, set()))
            for shard in self.snapshot.shards
        )
        self.snapshot = replace(self.snapshot, shards=shards)

    def merge(self, groups: Iterable[Sequence[Shard]]) -> None:
        """Replace each group of shards by a merged one."""
        for group in groups:
            merged = merge_shards(self.connection, self.store, self.snapshot.model, group)
            left = self.snapshot.without((shard.name for shard in group), time.time())
            self.snapshot = replace(left, shards=(*left.shards, merged))

    def save(self, key: str) -> None:
        """Write the snapshot's file, atomically."""
        empty = [shard.name for shard in self.snapshot.shards if not shard.live]
        if len(empty) == len(self.snapshot.shards):
            empty = empty[1:]  # a view needs at least one file
        self.snapshot = self.snapshot.without(empty, time.time())
        with self.store.staging() as folder:
            prepared = folder / SNAPSHOT_FILE
            write_snapshot(self.connection, self.store, self.snapshot, prepared, local=False)
            seal_file(prepared)
            self.store.commit(prepared, key)

    def cut_over(self, seen: Snapshot | None) -> None:
        """Replace the published snapshot by this one."""
        model = self.snapshot.model
        if seen is not None and seen.is_sharded and seen.model != model:
            # A rollback may publish it again: its file is kept as it is.
            with self.store.staging() as folder:
                kept = folder / SNAPSHOT_FILE
                shutil.copyfile(self.store.features, kept)
                self.store.commit(kept, snapshot_key(seen.model))
        self.snapshot = replace(self.snapshot, was_published=True)
        self.save(FEATURES_FILE)
        # Its file from before the cutover, or of earlier tables, names shards that `clean` removes.
        self.store.files.remove(snapshot_key(model))


@contextmanager
def writing(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that writes shards and snapshots, and spills into the staging folder."""
    with (
        store.staging() as folder,
        duckdb_errors(store.features, REMEDY),
        closing(duckdb.connect(config={"memory_limit": _WRITER_MEMORY})) as connection,
    ):
        connection.execute(f"SET temp_directory = {literal(str(folder / 'spill'))}")
        yield connection


def recorded_versions(
    store: Store, model: str, title_ids: Iterable[str]
) -> dict[str, TitleVersions]:
    """Return the recorded versions of those titles that are complete under a model."""
    versions = {}
    for title_id in title_ids:
        features = store.record("clip_features", title_id, model)
        title = store.json_record("title", title_id) if features else None
        if features and title:
            versions[title_id] = TitleVersions(features.data_version, title[0].data_version)
    return versions


def finished(store: Store, model: str) -> set[str]:
    """Return the titles that have clip features of a model in Parquet."""
    entries = store.files.entries(f"clip_features/{model}")
    return {PurePosixPath(entry.key).stem for entry in entries}


def has_artefacts(store: Store, model: str, title_id: str) -> bool:
    """Return True if all artefacts of a title's rows exist."""
    return store.has("title", title_id, suffix=".json") and all(
        store.has(asset, title_id, model if source.per_model else "")
        for asset, source in feature_tables.ARTEFACTS.items()
    )


def _dimension(store: Store, title_id: str, model: str) -> int:
    asset = "contextual_embeddings"
    kind = store.schema(asset, title_id, model).field("embedding").type
    if not pa.types.is_fixed_size_list(kind):
        key = f"{store.location}/{store.key(asset, title_id, model)}"
        raise StoreError(f"{key} holds {kind} and no vectors: delete it and run again.")
    return int(kind.list_size)
