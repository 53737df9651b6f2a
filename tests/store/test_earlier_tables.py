"""Published tables of the version before: they are read, and the next publication replaces them."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from small_catalogue import HIDDEN, MODEL, SCENE_SHOTS, SHOT_S, SmallCatalogue

from mediafm_core.api.catalogue_reader import embed, scenes_of, sql
from mediafm_core.disk.sealed_parquet import open_parquet, write_parquet
from mediafm_core.disk.seals import seal_file
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.pipeline.integrity.stored_files import missing_files
from mediafm_core.store.features import clean, open_features
from mediafm_core.store.features.feature_tables import VERSION
from mediafm_core.store.features.snapshot import read_snapshot, shard_key, write_snapshot
from mediafm_core.store.features.snapshot_writer import writing
from mediafm_core.store.store import FEATURES_FILE

REMEDY = "`mediafm run` publishes them again"


@pytest.fixture
def earlier(tmp_path: Path) -> SmallCatalogue:
    """Return two published titles in tables of version 1, which had no scenes."""
    small = SmallCatalogue(tmp_path / "store").filled("alpha", "beta")
    snapshot = read_snapshot(small.store)
    assert snapshot is not None
    for shard in snapshot.shards:
        key = shard_key(MODEL, "shots", shard.name)
        with open_parquet(small.store.files.path(key)) as file:
            table = file.read()
        with small.store.staging() as folder:
            prepared = folder / "shots.parquet"
            write_parquet(table.drop_columns(["scene_index", "scene_probability"]), prepared)
            small.store.commit(prepared, key)
    with small.store.staging() as folder, writing(small.store) as connection:
        prepared = folder / "features.duckdb"
        of_version_1 = replace(snapshot, schema_version=1)
        write_snapshot(connection, small.store, of_version_1, prepared, local=False)
        seal_file(prepared)
        small.store.commit(prepared, FEATURES_FILE)
    return small


def tables(small: SmallCatalogue) -> set[str]:
    with closing(open_features(small.store)) as connection:
        return {name for (name,) in connection.execute("SHOW TABLES").fetchall()}


def test_other_tables_stay_readable_until_they_are_published_again(
    earlier: SmallCatalogue, tmp_path: Path
) -> None:
    before = {"catalogue", "titles", "shots", "clips", "clip_features", "title_features"}
    assert tables(earlier) == before
    assert embed("alpha", 3.0, 9.0, store=earlier.root).shape == (HIDDEN,)
    moved = SmallCatalogue(tmp_path / "moved")
    shutil.move(earlier.root, moved.root)
    assert tables(moved) == before, "views over this machine's paths stand in for the file's own"
    counts = sql(
        "SELECT title_id, count(*) AS n FROM shots GROUP BY 1 ORDER BY 1", store=moved.root
    )
    assert counts.to_pylist() == [{"title_id": name, "n": 20} for name in ("alpha", "beta")]


def test_a_reader_of_scenes_gets_the_remedy(earlier: SmallCatalogue) -> None:
    with pytest.raises(StoreError, match=f"earlier version, without scenes: {REMEDY}"):
        scenes_of("alpha", store=earlier.root)
    for query in ("FROM scenes", "SELECT scene_probability FROM shots"):
        with pytest.raises(MediaFMError, match=f"scene.* earlier version, .*{REMEDY}") as raised:
            sql(query, store=earlier.root)
        assert len(str(raised.value)) <= 300
    with pytest.raises(MediaFMError, match=r"cannot run: .*films[^`]*$"):
        sql("FROM films", store=earlier.filled("gamma").root)


def test_the_next_publication_rebuilds_all_titles_at_once(earlier: SmallCatalogue) -> None:
    assert earlier.publish("beta").outcome == "published"
    with duckdb.connect(str(earlier.store.features), read_only=True) as connection:
        rows = connection.execute("FROM catalogue").fetchall()
    assert rows == [(MODEL, HIDDEN, VERSION, 2)]
    found = scenes_of("alpha", store=earlier.root).to_pylist()
    assert len(found) == -(-20 // SCENE_SHOTS)
    assert found[1] == {
        "scene_index": 1,
        "start_s": SCENE_SHOTS * SHOT_S,
        "end_s": 2 * SCENE_SHOTS * SHOT_S,
        "first_shot": SCENE_SHOTS,
        "last_shot": 2 * SCENE_SHOTS - 1,
        "shots": SCENE_SHOTS,
        "start_probability": 1.0,
    }


def test_no_file_is_missing_after_the_earlier_shards_are_removed(earlier: SmallCatalogue) -> None:
    earlier.store.remove("scenes", "alpha", MODEL)
    earlier.publish("beta")
    earlier.write("alpha")
    earlier.publish("alpha")
    assert clean(earlier.store, (), grace_s=0.0).files > 0
    earlier.write("beta", edition=2)
    earlier.publish("beta")
    clean(earlier.store, (), grace_s=0.0)
    assert list(missing_files(earlier.store)) == []


def test_a_title_without_scenes_holds_the_new_tables_back(earlier: SmallCatalogue) -> None:
    earlier.store.remove("scenes", "alpha", MODEL)
    publication = earlier.publish("beta")
    assert (publication.outcome, publication.waiting) == ("held back", ("alpha",))
    assert "scenes" not in tables(earlier)
    earlier.write("alpha")
    assert earlier.publish("alpha").outcome == "published"
    assert scenes_of("beta", store=earlier.root).num_rows > 0
