"""Shards: a catalogue that grew by additions equals one that was published at once."""

import math
import os
import shutil
from pathlib import Path

import duckdb
import pytest
from small_catalogue import MODEL, OTHER_MODEL, SmallCatalogue

import mediafm_core
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.store.equality import differences
from mediafm_core.store.features import (
    catalogue,
    clean,
    publish,
    publish_earlier_model,
    remove,
    shards,
)
from mediafm_core.store.features.feature_tables import FILES
from mediafm_core.store.features.snapshot import Snapshot, read_snapshot, shard_key

DAY_S = 24 * 3600.0


@pytest.fixture
def small_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set small tiers: shards of 3, and full ones of 9."""
    monkeypatch.setattr(shards, "SHARDS_OF_A_TIER", 3)
    monkeypatch.setattr(shards, "FULL_TITLES", 9)


@pytest.fixture
def small(tmp_path: Path) -> SmallCatalogue:
    return SmallCatalogue(tmp_path / "store")


def snapshot(small: SmallCatalogue) -> Snapshot:
    found = read_snapshot(small.store)
    assert found is not None
    return found


def shard_files(small: SmallCatalogue) -> set[str]:
    return {entry.key for entry in small.store.files.entries("features") if "/shots/" in entry.key}


def listed(small: SmallCatalogue) -> set[str]:
    found = snapshot(small)
    return {shard_key(found.model, "shots", shard.name) for shard in found.shards}


def age(small: SmallCatalogue, seconds: float) -> None:
    """Date every file of features back."""
    for path in (small.root / "features").rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


@pytest.mark.usefixtures("small_tiers")
def test_grown_catalogue_equals_one_that_was_published_at_once(tmp_path: Path) -> None:
    grown, once = SmallCatalogue(tmp_path / "grown"), SmallCatalogue(tmp_path / "once")
    names = [f"title-{number * 7 % 15:02d}" for number in range(15)]
    most = 0
    for number, name in enumerate(names):
        grown.filled(name)
        if number % 5 == 4:  # one of the earlier ones again, with other shots
            grown.write(names[number // 2], shots=8, edition=2)
            grown.publish(names[number // 2])
        most = max(most, len(snapshot(grown).shards))
    for number, name in enumerate(names):
        edition = 2 if number in {number // 2 for number in range(4, 15, 5)} else 1
        once.write(name, shots=8 if edition == 2 else 20, edition=edition)
    once.publish(*names)
    assert differences(grown.store, once.store) == []
    full = sum(shard.live >= 9 for shard in snapshot(grown).shards)
    tiers = math.ceil(math.log(9, 3))
    assert most <= full + tiers * (3 - 1) + 1
    assert len(snapshot(once).shards) == 2, "of nine titles at most"

    clean(grown.store, obsolete=(), grace_s=DAY_S)
    assert differences(grown.store, once.store) == []
    assert not any(shard.superseded for shard in snapshot(grown).shards)


@pytest.mark.usefixtures("small_tiers")
def test_title_is_written_again_a_bounded_number_of_times(
    small: SmallCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    finish = shards.ShardWriter.finish
    monkeypatch.setattr(
        shards.ShardWriter,
        "finish",
        lambda writer: written.append(writer.titles) or finish(writer),
    )
    names = [f"title-{number:02d}" for number in range(13)]
    for name in names:
        small.filled(name)
    assert sum(written) <= len(names) * (1 + math.ceil(math.log(9, 3)))
    assert max(written) < 2 * 9


def test_other_titles_files_are_not_touched_by_an_addition(small: SmallCatalogue) -> None:
    small.filled("alpha")
    before = {path: path.stat().st_mtime_ns for path in small.root.glob("features/*/*/*")}
    small.filled("beta")
    after = {path: path.stat().st_mtime_ns for path in small.root.glob("features/*/*/*")}
    assert before.items() < after.items()
    assert len(after) - len(before) == len(FILES)


def test_shards_of_which_nothing_counts_leave_the_catalogue(small: SmallCatalogue) -> None:
    small.filled("alpha").filled("beta")
    small.write("alpha", shots=5, edition=2)
    small.publish("alpha")
    assert len(snapshot(small).shards) == 2
    assert len(shard_files(small)) == 3, "readers that opened the catalogue before may read it"


def test_moved_store_is_read_at_once_and_updated_by_the_next_publication(tmp_path: Path) -> None:
    old = SmallCatalogue(tmp_path / "old place's").filled("alpha", "beta")
    before = catalogue(old.store)
    small = SmallCatalogue(tmp_path / "new [place]")
    shutil.move(old.root, small.root)

    assert catalogue(small.store) == before
    found = mediafm_core.similar("alpha", 0, 30, k=3, store=small.root)
    assert found.num_rows == 3
    with pytest.raises(MediaFMError, match="it calls read_text"):
        mediafm_core.sql("FROM read_text('/etc/passwd')", store=small.root)
    with (
        duckdb.connect(str(small.store.features), read_only=True) as connection,
        pytest.raises(duckdb.IOException, match="No files found"),
    ):
        connection.execute("SELECT count(*) FROM shots")

    assert small.publish("alpha").outcome == "unchanged"
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shots").fetchall() == [(40,)]


def test_copied_store_does_not_read_the_original(tmp_path: Path) -> None:
    original = SmallCatalogue(tmp_path / "original").filled("alpha")
    copy = SmallCatalogue(tmp_path / "copy")
    shutil.copytree(original.root, copy.root)
    copy.filled("beta")
    shutil.rmtree(original.root)
    with duckdb.connect(str(copy.store.features), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shots").fetchall() == [(40,)]


def test_file_of_the_first_design_is_read_and_replaced(small: SmallCatalogue) -> None:
    """Before there were shards, `features.duckdb` held the rows themselves."""
    for title_id in ("alpha", "beta"):
        small.write(title_id)
    source = SmallCatalogue(small.root.parent / "source").filled("alpha", "beta")
    with duckdb.connect(str(small.store.features)) as connection:
        connection.execute(f"ATTACH '{source.store.features}' AS source (READ_ONLY)")
        for view in ("catalogue", "titles", "shots", "clips", "clip_features", "title_features"):
            connection.execute(f"CREATE TABLE {view} AS FROM source.{view}")
    before = catalogue(small.store)
    assert before is not None
    assert set(before.versions) == {"alpha", "beta"}
    assert publish_earlier_model(small.store, OTHER_MODEL) is None
    with pytest.raises(StoreError, match=r"earlier version.*mediafm run"):
        remove(small.store, ["alpha"])
    clean(small.store, obsolete=(), grace_s=0.0)

    small.write("gamma")
    publication = small.publish("gamma")
    assert (publication.outcome, publication.titles) == ("published", 3)
    source.filled("gamma")
    assert differences(small.store, source.store) == []


class TestClean:
    def test_keeps_what_was_dropped_until_the_time_of_grace_is_over(
        self, small: SmallCatalogue
    ) -> None:
        for title_id in ("alpha", "beta"):
            small.filled(title_id)
        with duckdb.connect(str(small.store.features), read_only=True) as connection:
            remove(small.store, ["alpha"])
            before = mediafm_core.sql("FROM titles", store=small.root)
            age(small, 3 * DAY_S)  # written long ago, but in use until now
            cleaned = clean(small.store, obsolete=(), grace_s=DAY_S)
            assert cleaned.files == 0
            assert connection.execute("SELECT count(*) FROM shots").fetchall() == [(40,)]
        age(small, 3 * DAY_S)
        cleaned = clean(small.store, obsolete=(), grace_s=0.0)
        assert (cleaned.files, cleaned.bytes > 0) == (len(FILES), True)
        assert shard_files(small) == listed(small)
        assert mediafm_core.sql("FROM titles", store=small.root).equals(before)

    def test_removes_what_a_killed_writer_left_but_not_what_one_is_writing(
        self, small: SmallCatalogue
    ) -> None:
        small.filled("alpha")
        stray = small.root / shard_key(MODEL, "shots", "of-a-killed-writer")
        stray.write_bytes(b"half")
        assert clean(small.store, obsolete=(), grace_s=DAY_S).files == 0
        age(small, 2 * DAY_S)
        assert clean(small.store, obsolete=(), grace_s=DAY_S).files == 1
        assert not stray.exists()
        assert shard_files(small) == listed(small)

    def test_removes_obsolete_models_but_never_the_one_that_readers_see(
        self, small: SmallCatalogue
    ) -> None:
        small.filled("alpha")
        small.write("alpha", OTHER_MODEL)
        small.publish("alpha", model=OTHER_MODEL)
        assert clean(small.store, {MODEL, OTHER_MODEL}, grace_s=DAY_S).models == ()
        age(small, 2 * DAY_S)
        assert clean(small.store, {MODEL, OTHER_MODEL}, grace_s=DAY_S).models == (MODEL,)
        assert not list((small.root / "features" / MODEL).rglob("*.*"))
        assert publish_earlier_model(small.store, MODEL) is None
        assert mediafm_core.sql("FROM shots", store=small.root).num_rows == 20

    def test_a_second_time_there_is_nothing_to_do(self, small: SmallCatalogue) -> None:
        for title_id in ("alpha", "beta", "gamma"):
            small.filled(title_id)
        assert clean(small.store, obsolete=(), grace_s=DAY_S).merged == 3
        before = small.store.features.stat().st_ino
        assert clean(small.store, obsolete=(), grace_s=DAY_S).merged == 0
        assert small.store.features.stat().st_ino == before
        assert len(snapshot(small).shards) == 1

    def test_empties_a_catalogue_that_has_no_titles(self, small: SmallCatalogue) -> None:
        small.filled("alpha")
        remove(small.store, ["alpha"])
        clean(small.store, obsolete=(), grace_s=0.0)
        assert mediafm_core.sql("FROM shots", store=small.root).num_rows == 0
        assert publish(small.store, MODEL, ["alpha"]).titles == 1
