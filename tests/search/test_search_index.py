"""Search with the index: recall, clips that it does not cover, and damaged files."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from clips_with_vectors import names
from small_catalogue import HIDDEN, MODEL, OTHER_MODEL, SmallCatalogue, random_units

import mediafm_core
from mediafm_core.api.clip_search import build_index
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.store.features import clean, remove

QUERIES = random_units(50, HIDDEN, [7])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"))
    for title_id, shots in (("alpha", 2000), ("beta", 40), ("gamma", 6000)):
        catalogue.write(title_id, shots=shots)
    catalogue.publish("alpha", "beta", "gamma")
    build_index(catalogue.root)
    return catalogue


@pytest.fixture
def indexed(whole: SmallCatalogue, tmp_path: Path) -> SmallCatalogue:
    """Return a copy of two thousand clips with an index, which a test may change."""
    import shutil

    shutil.copytree(whole.root, tmp_path / "store")
    return SmallCatalogue(tmp_path / "store")


def index_files(small: SmallCatalogue, suffix: str) -> list[Path]:
    return sorted(small.root.glob(f"features/*/index/*.{suffix}"))


def recall(small: SmallCatalogue, **options: object) -> float:
    """Return the recall of a search with the index against exact search."""
    with mediafm_core.Searcher(small.root, precision=None) as searcher:
        exact = searcher.nearest(QUERIES, exact=True, **options)
        found = searcher.nearest(QUERIES, **options)
        assert searcher._search._index is not None  # the index was opened
    assert found.num_rows == exact.num_rows
    rows = [
        set(zip(table["query"].to_pylist(), names(table), strict=True)) for table in (exact, found)
    ]
    return len(rows[0] & rows[1]) / len(rows[0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 1},
        {"k": 60},
        {"per_title": 2},
        {"where": "title_id = 'gamma'"},
        {"where": "title_id = 'beta'"},
        {"where": "start_s < 3000", "per_title": 3},
        {"diversity": 0.4},
    ],
    ids=str,
)
def test_finds_nearly_all_that_exact_search_finds(whole: SmallCatalogue, options: dict) -> None:
    assert recall(whole, **options) > 0.95


@pytest.mark.parametrize("hold", ["float32", "float16", None])
def test_similarities_are_those_of_exact_search(whole: SmallCatalogue, hold: str | None) -> None:
    with mediafm_core.Searcher(whole.root, precision=hold) as searcher:
        found = searcher.nearest(QUERIES[:1], k=5)
        exact = searcher.nearest(QUERIES[:1], k=5, exact=True)
    np.testing.assert_allclose(found["similarity"], exact["similarity"], atol=1e-3)


def test_clips_that_overlap_the_query_are_left_out(whole: SmallCatalogue) -> None:
    options = {"k": 8, "exclude_overlapping": True, "store": whole.root}
    found = mediafm_core.similar("gamma", 100, 400, **options)
    assert names(found) == names(mediafm_core.similar("gamma", 100, 400, exact=True, **options))
    assert not any(
        row["title_id"] == "gamma" and row["start_s"] < 400 and row["end_s"] > 100
        for row in found.to_pylist()
    )


def test_later_clips_are_found_and_removed_ones_are_not(indexed: SmallCatalogue) -> None:
    indexed.filled("delta")
    assert mediafm_core.similar("delta", 0, 30, k=1, store=indexed.root)["title_id"][0].as_py() == (
        "delta"
    )
    indexed.write("alpha", shots=80, edition=2)
    indexed.publish("alpha")
    remove(indexed.store, ["beta"])
    assert recall(indexed) > 0.95
    found = mediafm_core.similar("gamma", 0, 30, k=200, store=indexed.root)
    clips = mediafm_core.sql("SELECT title_id, clip_id FROM clips", store=indexed.root)
    assert set(names(found)) <= set(names(clips))
    assert len(set(names(found))) == 200


def test_merged_shards_are_searched_exactly(indexed: SmallCatalogue) -> None:
    remove(indexed.store, ["beta"])
    assert clean(indexed.store, [], grace_s=0.0).merged
    with mediafm_core.Searcher(indexed.root) as searcher:
        found = searcher.nearest(QUERIES)
        assert found.equals(searcher.nearest(QUERIES, exact=True))


def test_another_model_has_an_index_of_its_own(tmp_path: Path) -> None:
    small = SmallCatalogue(tmp_path).filled("alpha")
    built = build_index(tmp_path)
    small.write("alpha", OTHER_MODEL)
    small.publish("alpha", model=OTHER_MODEL)
    exact = mediafm_core.similar("alpha", 0, 30, exact=True, store=tmp_path)
    assert mediafm_core.similar("alpha", 0, 30, store=tmp_path).equals(exact)
    other = build_index(tmp_path)
    assert (built.model, other.model) == (MODEL, OTHER_MODEL)
    assert len(index_files(small, "usearch")) == 2


def test_building_again_does_nothing_until_a_publication(
    indexed: SmallCatalogue,
) -> None:
    (file,) = index_files(indexed, "usearch")
    before = file.stat().st_mtime_ns
    built = build_index(indexed.root)
    assert file.stat().st_mtime_ns == before
    indexed.filled("delta")
    assert build_index(indexed.root).name != built.name
    assert len(index_files(indexed, "usearch")) == 2


def test_garbage_collection_keeps_the_latest_index(indexed: SmallCatalogue) -> None:
    (old,) = index_files(indexed, "usearch")
    past = time.time() - 1000
    for path in (old, *index_files(indexed, "json")):
        os.utime(path, (past, past))
    clean(indexed.store, [], grace_s=500.0)
    assert index_files(indexed, "usearch") == [old]
    indexed.filled("delta")
    latest = build_index(indexed.root).name
    clean(indexed.store, [], grace_s=500.0)
    assert [path.stem for path in index_files(indexed, "usearch")] == [latest]
    assert [path.stem for path in index_files(indexed, "json")] == [latest]


@pytest.mark.parametrize("damage", ["cut short", "a byte changed", "other content", "removed"])
def test_a_damaged_index_is_refused_and_built_again(indexed: SmallCatalogue, damage: str) -> None:
    (file,) = index_files(indexed, "usearch")
    content = file.read_bytes()
    middle = len(content) // 2
    file.unlink()
    if damage != "removed":
        file.write_bytes(
            {
                "cut short": content[:middle],
                "a byte changed": content[:middle]
                + bytes([content[middle] ^ 1])
                + content[middle + 1 :],
                "other content": b"no index",
            }[damage]
        )
    with pytest.raises(StoreError, match=r"search index .* is damaged .*mediafm index.*--exact"):
        mediafm_core.similar("alpha", 0, 30, store=indexed.root)
    assert mediafm_core.similar("alpha", 0, 30, exact=True, store=indexed.root).num_rows == 10
    build_index(indexed.root)
    assert recall(indexed) > 0.95


@pytest.mark.parametrize("content", ["{", "[]", '{"model": 1}', '{"shards": 3, "rows": 4}'])
def test_a_damaged_description_is_refused(indexed: SmallCatalogue, content: str) -> None:
    (file,) = index_files(indexed, "json")
    file.write_text(content)
    with pytest.raises(StoreError, match=r"json is damaged: delete it, .* `mediafm index`"):
        mediafm_core.similar("alpha", 0, 30, store=indexed.root)
    file.unlink()
    build_index(indexed.root)
    assert recall(indexed) > 0.95


def test_nothing_to_index(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no store in"):
        build_index(tmp_path)
    small = SmallCatalogue(tmp_path).filled("alpha")
    remove(small.store, ["alpha"])
    with pytest.raises(MediaFMError, match="no clips: there is nothing to index"):
        build_index(tmp_path)
