"""Exact search equals float64 cosines for any precision, portions and order of vectors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clips_with_vectors import names, with_vectors
from small_catalogue import HIDDEN, MODEL, SmallCatalogue, random_units

import mediafm_core
from mediafm_core.errors import MediaFMError
from mediafm_core.vectors import to_numpy

HOLDS = ("float32", "float16", None)
QUERIES = random_units(70, HIDDEN, [7])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Return three titles with about 2,300 clips, in two shards; a row group holds 2,048."""
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"))
    for title_id, shots in (("alpha", 400), ("beta", 20), ("gamma", 8800)):
        catalogue.write(title_id, shots=shots)
    catalogue.publish("alpha", "beta")
    catalogue.publish("gamma")
    return catalogue


def by_hand(small: SmallCatalogue, queries: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Return all clips, and their cosines with queries in float64, `[q, n]`."""
    clips = mediafm_core.sql(
        "SELECT title_id, clip_id, start_s, language, embedding FROM clip_features "
        "JOIN clips USING (title_id, clip_id) JOIN titles USING (title_id)",
        store=small.root,
    )
    vectors = to_numpy(clips["embedding"]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return clips, (
        queries.astype(np.float64) / np.linalg.norm(queries, axis=1)[:, None]
    ) @ vectors.T


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("k", [1, 10, 10_000])
def test_equals_float64_by_hand(small: SmallCatalogue, hold: str | None, k: int) -> None:
    clips, cosines = by_hand(small, QUERIES)
    with mediafm_core.Searcher(small.root, precision=hold) as searcher:
        found = searcher.nearest(3 * QUERIES, k=k)
    expected = -np.sort(-cosines, axis=1)[:, :k]
    similarity = found["similarity"].to_numpy().reshape(len(QUERIES), -1)
    tolerance = 1e-3 if hold == "float16" else 2e-7
    np.testing.assert_allclose(similarity, expected, atol=tolerance)
    np.testing.assert_array_equal(found["query"], np.repeat(np.arange(70), similarity.shape[1]))
    np.testing.assert_array_equal(
        found["rank"][: similarity.shape[1]], range(1, 1 + len(expected[0]))
    )
    if hold != "float16":
        best = np.argsort(-cosines[3])[:k]
        own = found.filter(pa.compute.equal(found["query"], 3))
        assert names(own)[:10] == names(clips.take(best))[:10]


@pytest.mark.parametrize("options", [{}, {"per_title": 3}, {"where": "start_s > 600"}])
def test_does_not_depend_on_portions(
    small: SmallCatalogue, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(hold: str | None) -> pa.Table:
        with mediafm_core.Searcher(small.root, precision=hold) as searcher:
            return searcher.nearest(QUERIES, k=20, **options)

    whole, narrow = found("float32"), found("float16")
    assert found(None).equals(whole)
    monkeypatch.setattr("mediafm_core.search.clip_vectors._PORTION_BYTES", 1)
    monkeypatch.setattr("mediafm_core.search.exact_search._QUERIES_AT_A_TIME", 3)
    monkeypatch.setattr("mediafm_core.search.exact_search._RESCORED_BYTES", 1)
    assert found("float32").equals(whole)
    assert found("float16").equals(narrow)
    assert found(None).equals(whole)


def test_does_not_depend_on_the_order_of_publication(tmp_path: Path) -> None:
    tables = []
    for folder, order in (
        ("one", ("alpha", "beta", "gamma")),
        ("other", ("gamma", "alpha", "beta")),
    ):
        catalogue = SmallCatalogue(tmp_path / folder)
        for title_id in order:
            catalogue.write(title_id, shots=60)
            catalogue.publish(title_id)
        with mediafm_core.Searcher(catalogue.root) as searcher:
            tables.append(searcher.nearest(QUERIES, k=7, per_title=2))
    assert tables[0].equals(tables[1])


def test_ties_are_broken_by_name(tmp_path: Path) -> None:
    small = with_vectors(tmp_path, {"beta": np.tile(QUERIES[:1], (900, 1)), "alpha": QUERIES[:1]})
    with mediafm_core.Searcher(small.root) as searcher:
        found = searcher.nearest(QUERIES[:2], k=3)
    assert names(found)[:3] == [("alpha", "c0000"), ("beta", "c0000"), ("beta", "c0001")]
    assert len(set(found["similarity"][:3].to_pylist())) == 1


def test_vectors_of_zeros_have_no_direction(tmp_path: Path) -> None:
    small = with_vectors(tmp_path, {"alpha": np.stack([np.zeros(HIDDEN), -QUERIES[0], QUERIES[0]])})
    with mediafm_core.Searcher(small.root) as searcher:
        found = searcher.nearest(np.stack([QUERIES[0], np.zeros(HIDDEN)]))
    assert names(found)[:3] == [("alpha", "c0002"), ("alpha", "c0000"), ("alpha", "c0001")]
    np.testing.assert_allclose(found["similarity"], [1, 0, -1, 0, 0, 0], atol=1e-6)


def test_titles_published_again_or_removed_are_up_to_date(tmp_path: Path) -> None:
    from mediafm_core.store.features import remove

    small = SmallCatalogue(tmp_path).filled("alpha", "beta", "gamma")
    small.write("beta", shots=40, edition=2)
    small.publish("beta")
    remove(small.store, ["gamma"])
    clips, cosines = by_hand(small, QUERIES[:1])
    assert {"alpha", "beta"} == set(clips["title_id"].to_pylist())
    for hold in HOLDS[::2]:
        with mediafm_core.Searcher(small.root, precision=hold) as searcher:
            found = searcher.nearest(QUERIES[:1], k=100)
        assert names(found) == names(clips.take(np.argsort(-cosines[0])))


def test_a_searcher_keeps_its_snapshot(tmp_path: Path) -> None:
    small = SmallCatalogue(tmp_path).filled("alpha")
    with mediafm_core.Searcher(small.root, precision=None) as searcher:
        before = searcher.nearest(QUERIES, k=3)
        small.filled("beta")
        assert searcher.nearest(QUERIES, k=3).equals(before)
    assert (
        "beta" in mediafm_core.similar("alpha", 0, 5, k=100, store=tmp_path)["title_id"].to_pylist()
    )


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.ones((2, HIDDEN + 1)), rf"\(2, {HIDDEN + 1}\): clips of {MODEL} .* \[n, {HIDDEN}\]"),
        (np.ones(HIDDEN), r"Queries have the shape"),
        (np.full((1, HIDDEN), np.nan), "not finite"),
    ],
)
def test_unusable_queries(small: SmallCatalogue, queries: np.ndarray, message: str) -> None:
    with (
        mediafm_core.Searcher(small.root, precision=None) as searcher,
        pytest.raises(MediaFMError, match=message),
    ):
        searcher.nearest(queries)


def test_no_queries_are_no_rows(small: SmallCatalogue) -> None:
    found = mediafm_core.similar_many([], store=small.root)
    assert (found.num_rows, found.column_names[:2]) == (0, ["query", "rank"])


def test_several_spans_at_once_equal_each_by_itself(small: SmallCatalogue) -> None:
    spans = [("gamma", 100.0, 160.0), ("alpha", 0.0, 31.0), ("gamma", 7.0, 9.0)]
    options = {"k": 5, "exclude_overlapping": True, "store": small.root}
    together = mediafm_core.similar_many(spans, **options)
    for number, span in enumerate(spans):
        own = together.filter(pa.compute.equal(together["query"], number)).drop_columns("query")
        assert own.equals(mediafm_core.similar(*span, **options))
