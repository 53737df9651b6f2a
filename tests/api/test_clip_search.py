"""Nearest clips to a span of a title, through the functions for readers."""

from pathlib import Path

import numpy as np
import pytest
from small_catalogue import MODEL, SmallCatalogue

import mediafm_core
from mediafm_core.errors import MediaFMError
from mediafm_core.vectors import to_numpy


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Return three titles; `beta` has few shots, `gamma` many."""
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"))
    catalogue.write("alpha")
    catalogue.write("beta", shots=7)
    catalogue.write("gamma", shots=60)
    catalogue.publish("alpha", "beta", "gamma")
    return catalogue


class TestSimilar:
    def test_equals_a_search_by_hand(self, small: SmallCatalogue) -> None:
        clips = mediafm_core.sql(
            "SELECT title_id, clip_id, start_s, end_s, embedding "
            "FROM clip_features JOIN clips USING (title_id, clip_id)",
            store=small.root,
        )
        vectors = to_numpy(clips["embedding"]).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        query = mediafm_core.embed("gamma", 33.3, 61.7, store=small.root).astype(np.float64)
        cosines = vectors @ (query / np.linalg.norm(query))
        best = np.argsort(-cosines)[:5]

        found = mediafm_core.similar("gamma", 33.3, 61.7, k=5, store=small.root)

        assert found.column_names == [
            *("rank", "title_id", "clip_id", "start_s", "end_s", "proposed", "similarity")
        ]
        assert found["rank"].to_pylist() == [1, 2, 3, 4, 5]
        assert found["clip_id"].to_pylist() == clips["clip_id"].take(best).to_pylist()
        assert found["start_s"].to_pylist() == clips["start_s"].take(best).to_pylist()
        np.testing.assert_allclose(found["similarity"].to_numpy(), cosines[best], atol=1e-5)

    def test_nearest_to_a_clip_is_itself_unless_excluded(self, small: SmallCatalogue) -> None:
        query = "SELECT end_s FROM clips WHERE title_id = 'beta' AND start_s = 0"
        end_s = mediafm_core.sql(query, store=small.root)["end_s"][0].as_py()
        first = mediafm_core.similar("beta", 0.0, end_s, k=1, store=small.root).to_pylist()[0]
        assert (first["title_id"], first["start_s"]) == ("beta", 0.0)
        assert first["similarity"] == pytest.approx(1.0, abs=1e-6)
        others = mediafm_core.similar(
            "beta", 0.0, end_s, k=100, exclude_overlapping=True, store=small.root
        )
        overlapping = [
            row
            for row in others.to_pylist()
            if row["title_id"] == "beta" and row["start_s"] < end_s
        ]
        assert not overlapping
        assert {"alpha", "beta", "gamma"} == set(others["title_id"].to_pylist())

    def test_k_beyond_the_catalogue_gives_every_clip_once(self, small: SmallCatalogue) -> None:
        clips = mediafm_core.sql("SELECT count(*) AS n FROM clips", store=small.root)
        found = mediafm_core.similar("alpha", 0, 5, k=10_000, store=small.root)
        assert found.num_rows == clips["n"][0].as_py()
        assert len({*zip(*map(list, (found["title_id"], found["clip_id"])), strict=True)}) == (
            found.num_rows
        )

    def test_batches_and_ties_do_not_change_the_result(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = SmallCatalogue(tmp_path)
        for title_id in ("beta", "alpha"):
            small.write(title_id, shots=4400)  # some 1,100 clips each: two batches
        # The same vectors under two names.
        table = small.store.read("clip_features", "alpha", MODEL)
        record = small.store.record("clip_features", "beta", MODEL)
        assert record is not None
        twin = table.set_column(0, "title_id", [["beta"] * table.num_rows])
        small.store.write(record, twin, MODEL)
        small.publish("beta", "alpha")
        whole = mediafm_core.similar("alpha", 0, 30, k=7, store=small.root)
        assert whole["title_id"].to_pylist() == ["alpha", "beta"] * 3 + ["alpha"]
        monkeypatch.setattr("mediafm_core.search.clip_vectors._PORTION_BYTES", 1)
        assert mediafm_core.similar("alpha", 0, 30, k=7, store=small.root).equals(whole)

    def test_k_of_zero_is_refused(self, small: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match="k is 0"):
            mediafm_core.similar("alpha", 0, 5, k=0, store=small.root)
