"""Changing what readers see: titles added, replaced or removed, and another model version.

One file is the truth for readers, `features.duckdb`: the snapshot that they see. A model that is
not served has its own snapshot beside its shards, which nobody reads until it takes the place of
`features.duckdb`, in one step. The snapshot of the model that readers see is that file alone.

There is one writer at a time, by a lock. It first writes shards, which nothing refers to yet, and
then one small file: killed at any moment, it leaves what was there.
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
    writing,
)
from mediafm_core.store.store import FEATURES_FILE, Store


@dataclass(frozen=True)
class Conditions:
    """What the cut-over to another model depends on; asked within the writers' lock.

    Attributes:
        kept: of the titles that readers see, those that they shall go on seeing.
        current: of some titles, those whose features are up to date, with the recorded versions.
    """

    kept: Callable[[Collection[str]], Collection[str]]
    current: Callable[[Collection[str]], Mapping[str, TitleVersions]]


@dataclass(frozen=True)
class Publication:
    """What `publish` did.

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

    Under the model that readers see already, the rows of `title_ids` are replaced where their
    versions differ, and readers see them at once. Under another model they are kept for its
    cut-over: that happens, in one step, when every title that readers see and shall go on seeing
    has features of that model that are up to date.

    Args:
        store: the catalogue's store.
        model: model version, the name of the variant folders.
        title_ids: titles whose features of this model are complete in Parquet.
        conditions: of a cut-over; without any, every title that readers see has to be there.
        again: replace the rows of `title_ids` also where their versions are the same.

    Raises:
        StoreError: an artefact of one of `title_ids` is missing or does not fit the others, or
            another program has opened the file for writing.
    """
    asked = set(title_ids)
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and seen.model == model and seen.is_current:
            return _update(SnapshotWriter(store, connection, seen), asked, again)
        before = read_snapshot(store, snapshot_key(model), connection)
        if before is None or not before.is_current:
            before = Snapshot(model, dimension=0)
        return _migrate(SnapshotWriter(store, connection, before), seen, asked, conditions, again)


def serve(store: Store, model: str) -> Publication | None:
    """Let readers see a model again that they have seen before, with the titles it had then.

    It is one step, however many titles there are. None where that model never served, or its
    snapshot has been cleaned up.
    """
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and seen.model == model:
            return Publication("unchanged", titles=seen.titles)
        target = read_snapshot(store, snapshot_key(model), connection)
        if seen is None or target is None or not (target.served and target.is_current):
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
    """Remove titles from what readers see, and from what a rollback or cut-over would show.

    Returns:
        How many of them readers saw.

    Raises:
        StoreError: what readers see was published by an earlier version of MediaFM.
    """
    with store.files.exclusive(LOCK), writing(store) as connection:
        seen = read_snapshot(store, connection=connection)
        if seen is not None and not seen.is_current:
            raise StoreError(
                f"{store.location}/{FEATURES_FILE} is of an earlier version, from which no title "
                "can be removed: `mediafm run` makes it anew."
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
    """Versions of every title that is published under a model, whether or not readers see it."""
    snapshot = current_snapshot(store, model)
    if snapshot is None or not snapshot.is_current:
        return {}
    with closing(duckdb.connect()) as connection, duckdb_errors(store.features, REMEDY):
        found = titles_in(connection, store, snapshot)
    return {title_id: published.versions for title_id, published in found.items()}


def current_snapshot(store: Store, model: str) -> Snapshot | None:
    """The snapshot of a model: the one that readers see where it is theirs, else its own."""
    seen = read_snapshot(store)
    if seen is not None and seen.model == model and seen.is_current:
        return seen
    return read_snapshot(store, snapshot_key(model))


def shown(
    store: Store, connection: duckdb.DuckDBPyConnection, seen: Snapshot
) -> dict[str, TitleVersions]:
    """Titles that readers see, with their versions."""
    if seen.is_sharded:
        found = titles_in(connection, store, seen)
        return {title_id: published.versions for title_id, published in found.items()}
    connection.execute(f"ATTACH {literal(str(store.features))} AS old (READ_ONLY)")
    try:
        rows = connection.execute("SELECT title_id, data_version, title_version FROM old.titles")
        return {title_id: TitleVersions(*versions) for title_id, *versions in rows.fetchall()}
    finally:
        connection.execute("DETACH old")


def _update(writer: SnapshotWriter, asked: Collection[str], again: bool) -> Publication:
    """Publish titles under the model that readers see."""
    changed = writer.add(asked, again)
    if changed or writer.snapshot.place != place(writer.store.files):
        writer.save(FEATURES_FILE)
    titles = writer.snapshot.titles
    return Publication("published" if changed else "unchanged", titles=titles, changed=changed)


def _migrate(
    writer: SnapshotWriter,
    seen: Snapshot | None,
    asked: Collection[str],
    conditions: Conditions | None,
    again: bool,
) -> Publication:
    """Publish titles under another model, and cut over to it when it is complete."""
    store, model = writer.store, writer.snapshot.model
    now = shown(store, writer.connection, seen) if seen else {}
    kept = set(conditions.kept(now)) if conditions else set(now)
    written = writer.add(asked, again)
    ready = writer.titles()
    waiting = kept - ready.keys()
    if waiting:
        # Computed, but its run was killed before it could publish.
        late = waiting & finished(store, model)
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
