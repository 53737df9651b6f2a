"""Publication of features: add, replace and remove titles, and cut over to another model.

Readers open one file, `features.duckdb`: the published snapshot, and the published model is that of
this file. Any other model has its own snapshot beside its shards, which readers do not open until
it replaces `features.duckdb`, atomically. The serving model, which contextualises titles, is
another one than the published model between a release and the cutover.

A lock admits one writer at a time. It first writes shards, which no snapshot refers to yet, and
then one small file: killed at any moment, it leaves the published features as they were.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import duckdb

from mediafm_core.errors import StoreError
from mediafm_core.store.features.shards import (
    TitleVersions,
    titles_in,
)
from mediafm_core.store.features.snapshot import (
    FOLDER,
    Snapshot,
    duckdb_errors,
    literal,
    place,
    read_snapshot,
    snapshot_key,
)
from mediafm_core.store.features.snapshot_writer import (
    LOCK,
    REMEDY,
    SnapshotWriter,
    finished,
    has_artefacts,
    writing,
)
from mediafm_core.store.store import FEATURES_FILE, Store


@dataclass(frozen=True)
class Conditions:
    """Conditions of the cutover to another model, evaluated within the writers' lock.

    Attributes:
        kept: returns those of the published titles that stay published.
        current: returns those of some titles whose features are current, with recorded versions.
    """

    kept: Callable[[Collection[str]], Collection[str]]
    current: Callable[[Collection[str]], Mapping[str, TitleVersions]]


@dataclass(frozen=True)
class Publication:
    """Result of `publish`.

    Attributes:
        outcome: "published": readers see something new; "unchanged": everything was up to date;
            "held back": the new model waits for titles, readers keep the old one.
        titles: titles that readers see now.
        changed: titles whose rows were written, or all where readers see another model.
        removed: titles that readers no longer see.
        waiting: titles without current features of the new model, where it is "held back".
        ready: titles that have features of the new model, where it is "held back".
        following: after a rollback, titles that the next run has to bring to the earlier model.
    """

    outcome: Literal["published", "unchanged", "held back"]
    titles: int
    changed: int = 0
    removed: int = 0
    waiting: tuple[str, ...] = ()
    ready: int = 0
    following: int = 0

    def __str__(self) -> str:
        if self.outcome == "held back":
            return f"held back: {self.ready} of {self.ready + len(self.waiting)} titles ready"
        if self.outcome == "unchanged":
            return f"unchanged: {self.titles} titles"
        work = f"{self.changed} titles written, {self.removed} removed"
        follow = f"; {self.following} follow with the next run" if self.following else ""
        return f"published: {work}, {self.titles} in all{follow}"


def publish(
    store: Store,
    model: str,
    title_ids: Iterable[str],
    conditions: Conditions | None = None,
    again: bool = False,
) -> Publication:
    """Publish the clip features of titles.

    Under the published model, the rows of `title_ids` are replaced where their versions differ, and
    readers see them at once. Under another model they are kept for its cutover, which happens
    atomically when every title that stays published has current features of that model.

    Args:
        store: the catalogue's store.
        model: model version, the name of the variant folders.
        title_ids: titles whose features of this model are complete in Parquet.
        conditions: of a cut-over; without any, every title that readers see has to be there.
        again: replace the rows of `title_ids` even if their versions are the same.

    Raises:
        StoreError: an artefact of one of `title_ids` is missing or does not match the others, or
            another program has opened the file for writing.
    """
    requested = set(title_ids)
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and seen.model == model and seen.is_current:
            return _update(SnapshotWriter(store, connection, seen), requested, again)
        before = read_snapshot(store, snapshot_key(model), connection)
        if before is None or not before.is_current:
            before = Snapshot(model, dimension=0)
        return _migrate(
            SnapshotWriter(store, connection, before), seen, requested, conditions, again
        )


def publish_earlier_model(store: Store, model: str) -> Publication | None:
    """Publish an earlier model again, with the titles that readers saw of it last.

    This replaces one file, however many titles there are. None if that model never was published,
    or its snapshot was removed.
    """
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and seen.model == model:
            return Publication("unchanged", titles=seen.titles)
        target = read_snapshot(store, snapshot_key(model), connection)
        if seen is None or target is None or not (target.was_published and target.is_current):
            return None
        writer = SnapshotWriter(store, connection, target)
        now, again = shown(store, connection, seen), writer.titles()
        following = sum(
            title_id not in again or again[title_id].title_version != versions.title_version
            for title_id, versions in now.items()
        )
        removed = len(now.keys() - again.keys())
        writer.cut_over(seen)
        return Publication(
            "published",
            titles=len(again),
            changed=len(again),
            removed=removed,
            following=following,
        )


def remove(store: Store, title_ids: Collection[str]) -> int:
    """Remove titles from the published features, and from those of other models' snapshots.

    Returns:
        How many of them readers saw.

    Raises:
        StoreError: the features were published by an earlier version of MediaFM.
    """
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and not seen.is_current:
            raise StoreError(
                f"{store.location}/{FEATURES_FILE} is of an earlier version, from which no title "
                "can be removed: `mediafm run` rebuilds it."
            )
        removed = 0
        for model in store.files.folders(FOLDER):
            if seen is not None and seen.model == model:
                continue
            snapshot = read_snapshot(store, snapshot_key(model), connection)
            if snapshot is not None and snapshot.is_current:
                writer = SnapshotWriter(store, connection, snapshot)
                if writer.supersede(title_ids):
                    writer.save(snapshot_key(model))
        if seen is not None:
            writer = SnapshotWriter(store, connection, seen)
            removed = writer.supersede(title_ids)
            if removed:
                writer.save(FEATURES_FILE)
        return removed


def published_versions(store: Store, model: str) -> dict[str, TitleVersions]:
    """Return the versions of all titles in a model's snapshot, published or not."""
    snapshot = current_snapshot(store, model)
    if snapshot is None or not snapshot.is_current:
        return {}
    with closing(duckdb.connect()) as connection, duckdb_errors(store.features, REMEDY):
        found = titles_in(connection, store, snapshot)
    return {title_id: published.versions for title_id, published in found.items()}


def current_snapshot(store: Store, model: str) -> Snapshot | None:
    """Return the snapshot of a model: `features.duckdb` if it is published, else its own."""
    seen = read_snapshot(store)
    if seen is not None and seen.model == model and seen.is_current:
        return seen
    return read_snapshot(store, snapshot_key(model))


def shown(
    store: Store, connection: duckdb.DuckDBPyConnection, seen: Snapshot
) -> dict[str, TitleVersions]:
    """Return the titles that readers see, with their versions."""
    if seen.is_sharded:
        found = titles_in(connection, store, seen)
        return {title_id: published.versions for title_id, published in found.items()}
    connection.execute(f"ATTACH {literal(str(store.features))} AS old (READ_ONLY)")
    try:
        rows = connection.execute("SELECT title_id, data_version, title_version FROM old.titles")
        return {title_id: TitleVersions(*versions) for title_id, *versions in rows.fetchall()}
    finally:
        connection.execute("DETACH old")


def _update(writer: SnapshotWriter, requested: Collection[str], again: bool) -> Publication:
    """Publish titles under the model that readers see."""
    changed = writer.add(requested, again)
    if changed or writer.snapshot.place != place(writer.store.files):
        writer.save(FEATURES_FILE)
    titles = writer.snapshot.titles
    return Publication("published" if changed else "unchanged", titles=titles, changed=changed)


def _migrate(
    writer: SnapshotWriter,
    seen: Snapshot | None,
    requested: Collection[str],
    conditions: Conditions | None,
    again: bool,
) -> Publication:
    """Publish titles under another model, and cut over to it when it is complete."""
    store, model = writer.store, writer.snapshot.model
    now = shown(store, writer.connection, seen) if seen else {}
    kept = set(conditions.kept(now)) if conditions else set(now)
    written = writer.add(requested, again)
    ready = writer.titles()
    waiting = kept - ready.keys()
    if waiting:
        # Computed, but its run was killed before it could publish. After an upgrade, a title may
        # have features and lack an artefact that the tables of this version need.
        done = waiting & finished(store, model)
        late = {title_id for title_id in done if has_artefacts(store, model, title_id)}
        written += writer.add(late)
        waiting -= late
    if not waiting and conditions:
        current = conditions.current(kept)
        waiting = kept - current.keys()
        written += writer.add({name for name in current if current[name] != ready.get(name)})
    titles = writer.snapshot.titles
    if waiting or not titles:
        if written:
            writer.save(snapshot_key(model))
        return Publication(
            "held back",
            titles=len(now),
            waiting=tuple(sorted(waiting)),
            ready=titles - len(waiting & ready.keys()),
        )
    writer.supersede(now.keys() - kept)
    writer.cut_over(seen)
    titles = writer.snapshot.titles
    return Publication("published", titles=titles, changed=titles, removed=len(now.keys() - kept))
