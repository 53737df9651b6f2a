"""Published fused vectors of clips: complete or absent, in stores of any age."""

import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from small_catalogue import (
    ENCODERS,
    FUSED,
    HIDDEN,
    MODEL,
    OTHER_MODEL,
    RANGES,
    SmallCatalogue,
)

import mediafm_core
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError
from mediafm_core.store.equality import differences
from mediafm_core.store.features import (
    clean,
    open_features,
    publish_earlier_model,
    remove,
    shards,
)
from mediafm_core.store.features.published_fused import require_fused
from mediafm_core.store.features.rebuild import rebuild_features
from mediafm_core.store.features.snapshot import read_snapshot
from mediafm_core.vectors import to_numpy

CLIP_COLUMNS = ["title_id", "clip_id", "model_version", "embedding"]
SPACE = [
    (modality, ENCODERS[modality], *RANGES[modality]) for modality in ("video", "audio", "text")
]


@pytest.fixture
def small(tmp_path: Path) -> SmallCatalogue:
    """Return a catalogue whose titles have fused vectors."""
    return SmallCatalogue(tmp_path / "store", fused_vectors=True)


def without(small: SmallCatalogue) -> SmallCatalogue:
    """Return a writer of the same store whose titles have none."""
    return SmallCatalogue(small.root)


def rows_of(small: SmallCatalogue, sql: str) -> list[tuple]:
    """Query as any DuckDB client would."""
    with duckdb.connect(str(small.store.features), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def columns(small: SmallCatalogue) -> list[str]:
    return [name for name, *_ in rows_of(small, "DESCRIBE clip_features")]


def refusal(small: SmallCatalogue) -> str:
    with (
        closing(open_features(small.store)) as connection,
        pytest.raises(StoreError) as refused,
    ):
        require_fused(connection, small.store)
    assert len(str(refused.value)) <= 300
    return str(refused.value)


def test_a_title_has_the_vectors_of_its_artefact(small: SmallCatalogue) -> None:
    small.filled("alpha", "beta")
    found = mediafm_core.sql(
        "SELECT fused FROM clip_features JOIN clips USING (title_id, clip_id) "
        "WHERE title_id = 'beta' ORDER BY start_s",
        store=small.root,
    )
    assert found.schema.field("fused").type == pa.list_(pa.float32(), FUSED)
    written = small.store.read("clip_features", "beta", MODEL)["fused"]
    np.testing.assert_array_equal(to_numpy(found["fused"]), to_numpy(written))
    assert rows_of(small, "FROM fused_space ORDER BY start") == SPACE
    nearest = rows_of(
        small,
        "SELECT other.clip_id FROM clip_features mine, clip_features other "
        "WHERE mine.title_id = 'beta' AND mine.clip_id = other.clip_id "
        "AND array_cosine_similarity(mine.fused, other.fused) > 0.999 "
        "AND other.title_id = 'beta'",
    )
    assert len(nearest) == found.num_rows


def test_without_them_a_store_has_the_columns_and_tables_of_before(small: SmallCatalogue) -> None:
    without(small).filled("alpha")
    assert columns(small) == CLIP_COLUMNS
    tables = rows_of(small, "SELECT table_name FROM duckdb_tables() ORDER BY 1")
    assert tables == [("catalogue",), ("dropped",), ("shards",), ("state",)]
    assert "publishing.fused_vectors = true" in refusal(small)


def test_the_column_appears_with_the_last_title_and_goes_with_the_first(
    small: SmallCatalogue,
) -> None:
    without(small).filled("alpha", "beta")
    small.filled("alpha")
    assert columns(small) == CLIP_COLUMNS
    assert "1 of 2 published titles have no fused vectors (beta is one)" in refusal(small)
    small.filled("beta")
    assert columns(small) == [*CLIP_COLUMNS, "fused"]
    assert rows_of(small, "SELECT count(*) FROM clip_features WHERE fused IS NULL") == [(0,)]
    without(small).filled("alpha")
    assert columns(small) == CLIP_COLUMNS
    assert "(alpha is one)" in refusal(small)
    without(small).filled("beta")
    assert "1 of" not in refusal(small)
    assert columns(small) == CLIP_COLUMNS


def test_a_title_without_them_no_longer_counts_when_it_is_removed(small: SmallCatalogue) -> None:
    without(small).filled("alpha", "beta")
    small.filled("alpha")
    remove(small.store, ["beta"])
    assert columns(small) == [*CLIP_COLUMNS, "fused"]


def test_shards_of_both_kinds_are_merged_each_with_its_own(
    small: SmallCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARDS_OF_A_TIER", 3)
    names = [f"title-{number}" for number in range(6)]
    for number, name in enumerate(names):
        (small if number % 2 else without(small)).filled(name)
    clean(small.store, (), grace_s=0.0)
    found = read_snapshot(small.store)
    assert found is not None
    assert sorted((shard.live, shard.fused) for shard in found.shards) == [(3, 0), (3, FUSED)]
    assert rows_of(small, "SELECT count(*) FROM clips") == [(6 * 5,)]
    small.filled(*names[::2])
    clean(small.store, (), grace_s=0.0)
    once = SmallCatalogue(tmp_path / "once", fused_vectors=True).filled(*names)
    assert differences(small.store, once.store) == []


def test_a_damaged_shard_is_rebuilt_with_them(small: SmallCatalogue, tmp_path: Path) -> None:
    small.filled("alpha", "beta")
    shutil.copytree(small.root, tmp_path / "copy")
    [key] = [entry.key for entry in small.store.files.entries(f"features/{MODEL}/clips")]
    small.store.files.path(key).write_bytes(b"PAR1")
    assert rebuild_features(small.store, MODEL, [key]) == 2
    assert differences(small.store, SmallCatalogue(tmp_path / "copy").store) == []


def test_a_moved_store_serves_them(small: SmallCatalogue, tmp_path: Path) -> None:
    small.filled("alpha")
    small.root.rename(tmp_path / "moved")
    moved = SmallCatalogue(tmp_path / "moved")
    with closing(open_features(moved.store)) as connection:
        width, space = require_fused(connection, moved.store)
    assert (width, space.encoders) == (FUSED, ENCODERS)
    found = mediafm_core.sql("SELECT fused FROM clip_features", store=moved.root)
    assert found.num_rows == 5


def test_a_rollback_shows_what_that_model_had(small: SmallCatalogue) -> None:
    small.filled("alpha")
    without(small).write("alpha", OTHER_MODEL)
    small.publish("alpha", model=OTHER_MODEL)
    assert columns(small) == CLIP_COLUMNS
    publish_earlier_model(small.store, MODEL)
    assert columns(small) == [*CLIP_COLUMNS, "fused"]
    assert rows_of(small, "SELECT model_version, dimension FROM catalogue") == [(MODEL, HIDDEN)]


def test_vectors_of_other_encoders_are_refused(small: SmallCatalogue) -> None:
    small.filled("alpha")
    small.write("beta")
    record = small.store.record("clip_features", "beta", MODEL)
    assert record is not None
    other = {**ENCODERS, "audio": "a-2@1"}
    details = {"fused": {**record.details["fused"], "encoders": other}}
    table = small.store.read("clip_features", "beta", MODEL)
    small.store.write(record.model_copy(update={"details": details}), table, MODEL)
    with pytest.raises(IdentityMismatchError, match=r"fused vectors of beta .*audio encoder"):
        small.publish("beta")


@pytest.mark.parametrize(
    "query",
    ["SELECT fused FROM clip_features", "SELECT f.fused FROM clip_features f", "FROM fused_space"],
)
def test_sql_names_the_remedy(small: SmallCatalogue, query: str) -> None:
    without(small).filled("alpha")
    with pytest.raises(MediaFMError, match=r"no fused vectors.*publishing\.fused_vectors"):
        mediafm_core.sql(query, store=small.root)
