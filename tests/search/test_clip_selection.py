"""Selection of clips by conditions in SQL, limits per title, and diversity."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from clips_with_vectors import names, with_vectors
from hypothesis import given
from hypothesis import strategies as st
from small_catalogue import HIDDEN, SmallCatalogue, random_units

import mediafm_core
from mediafm_core.errors import MediaFMError
from mediafm_core.search.clip_numbers import Clips
from mediafm_core.search.top_k import Candidates, SearchLimits, best, concatenate

QUERIES = random_units(3, HIDDEN, [7])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"))
    for title_id, shots in (("alpha", 100), ("beta", 30), ("gamma", 200)):
        catalogue.write(title_id, shots=shots)
    catalogue.publish("alpha", "beta", "gamma")
    return catalogue


class TestWhere:
    @pytest.mark.parametrize(
        ("where", "parameters"),
        [
            ("title_id = 'beta'", None),
            ("start_s >= 100 AND end_s < 400 AND kind = 'film'", None),
            ("list_contains(tags, 'b''c') AND title_id <> 'gamma'", None),
            ("name = $name OR clip_id LIKE '%-0001'", {"name": "Béta d'été"}),
            ("title_id = ? OR start_s < ?", ["alpha", 50]),
            ("labels['genre'] IS NULL AND proposed AND duration_s > 300 -- long ones", None),
            ("title_id IN (SELECT title_id FROM shots WHERE text LIKE '%beta%')", None),
        ],
    )
    @pytest.mark.parametrize("hold", ["float32", None])
    def test_chooses_as_sql_does(
        self, small: SmallCatalogue, where: str, parameters: object, hold: str | None
    ) -> None:
        chosen = mediafm_core.sql(
            f"SELECT title_id, clip_id FROM clips JOIN titles USING (title_id) WHERE {where}\n",
            parameters,
            store=small.root,
        )
        with mediafm_core.Searcher(small.root, precision=hold) as searcher:
            everything = searcher.nearest(QUERIES, k=1000)
            found = searcher.nearest(QUERIES, k=1000, where=where, parameters=parameters)
        assert 0 < chosen.num_rows < everything.num_rows / len(QUERIES)
        wanted = set(names(chosen))
        assert names(found) == [name for name in names(everything) if name in wanted]

    def test_a_condition_without_matches(self, small: SmallCatalogue) -> None:
        found = mediafm_core.similar("alpha", 0, 30, where="language = 'xx'", store=small.root)
        assert found.num_rows == 0

    @pytest.mark.parametrize(
        "where",
        [
            "true); DROP TABLE clips --",
            "true; ATTACH ':memory:' AS other",
            "true) UNION SELECT 'x', 'y' --",
            "true) OR (true",
            "true FROM clips",
            "true UNION SELECT false",
            "true /*",
            "*",
            "",
            "title_id, clip_id",
            "'sintel'",
            "count(*) > 1",
            "nam = 'x'",
            "EXISTS (FROM read_text('/etc/passwd'))",
            "EXISTS (FROM glob('/etc/*'))",
            "EXISTS (FROM '/etc/passwd')",
            "EXISTS (FROM local_variable)",
            "title_id = $missing",
            "getenv('HOME') = '/root'",
        ],
    )
    def test_invalid_conditions_are_refused(self, small: SmallCatalogue, where: str) -> None:
        local_variable = mediafm_core.sql("FROM titles", store=small.root)  # not a table to SQL
        with pytest.raises(MediaFMError, match=r"The condition .* cannot be used") as error:
            mediafm_core.similar("alpha", 0, 30, where=where, store=small.root)
        assert "\n" not in str(error.value)
        assert local_variable.num_rows == 3


class TestPerTitle:
    @pytest.mark.parametrize("per_title", [1, 2, 7])
    @pytest.mark.parametrize("k", [1, 3, 10, 1000])
    def test_takes_the_best_of_each_title(
        self, small: SmallCatalogue, per_title: int, k: int
    ) -> None:
        with mediafm_core.Searcher(small.root) as searcher:
            everything = searcher.nearest(QUERIES, k=1000)
            found = searcher.nearest(QUERIES, k=k, per_title=per_title)
        expected = []
        for query in range(len(QUERIES)):
            seen: dict[str, int] = {}
            given = 0
            for name in names(everything.filter(pc.equal(everything["query"], query))):
                seen[name[0]] = seen.get(name[0], 0) + 1
                if seen[name[0]] <= per_title and given < k:
                    expected.append(name)
                    given += 1
        assert names(found) == expected

    @given(st.data())
    def test_the_best_of_two_sets_are_the_best_of_their_best(self, data: st.DataObject) -> None:
        count, queries = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
        names = {
            "title_id": data.draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count)),
            "clip_id": [str(row) for row in range(count)],
        }
        clips = Clips("m", 2, (), pa.table(names), np.ones(count, dtype=bool))
        similarity = data.draw(
            st.lists(
                st.sampled_from([0.0, 0.25, 0.5, 1.0]),
                min_size=queries * count,
                max_size=queries * count,
            )
        )
        whole = Candidates(
            np.repeat(np.arange(queries), count),
            np.tile(np.arange(count), queries),
            np.array(similarity, dtype=np.float32),
        )
        limits = SearchLimits(
            data.draw(st.integers(1, 6)), data.draw(st.none() | st.integers(1, 3))
        )
        first = whole.row < data.draw(st.integers(0, count))
        parts = (best(whole.take(part), limits, clips) for part in (first, ~first))
        for together, directly in zip(
            best(concatenate(*parts), limits, clips), best(whole, limits, clips), strict=True
        ):
            np.testing.assert_array_equal(together, directly)


class TestDiversity:
    def test_known_answer(self, tmp_path: Path) -> None:
        """Diversity replaces one of two near duplicates by a more distant clip."""
        directions = np.zeros((3, HIDDEN))
        directions[:, 0] = [0.95, 0.94, 0.80]
        directions[0, 1] = directions[1, 1] = 0.3
        directions[2, 2] = 0.6
        small = with_vectors(tmp_path, {"alpha": directions})
        query = np.eye(1, HIDDEN)
        with mediafm_core.Searcher(small.root) as searcher:
            nearest = searcher.nearest(query, k=2)
            diverse = searcher.nearest(query, k=2, diversity=0.5)
        assert [clip for _, clip in names(nearest)] == ["c0000", "c0001"]
        assert [clip for _, clip in names(diverse)] == ["c0000", "c0002"]
        assert diverse["rank"].to_pylist() == [1, 2]
        assert diverse["similarity"][1].as_py() == pytest.approx(0.8)

    @pytest.mark.parametrize("hold", ["float32", None])
    def test_first_is_the_nearest_and_the_others_are_less_similar(
        self, small: SmallCatalogue, hold: str | None
    ) -> None:
        def alike(found) -> float:
            spans = mediafm_core.sql(
                "SELECT title_id, clip_id, embedding FROM clip_features", store=small.root
            ).to_pandas()
            vectors = spans.set_index(["title_id", "clip_id"]).embedding.loc[names(found)]
            unit = np.stack(list(vectors))
            unit /= np.linalg.norm(unit, axis=1, keepdims=True)
            return float((unit @ unit.T)[~np.eye(len(unit), dtype=bool)].mean())

        with mediafm_core.Searcher(small.root, precision=hold) as searcher:
            means = []
            for diversity in (0.0, 0.3, 0.9):
                found = searcher.nearest(QUERIES[:1], k=8, diversity=diversity, per_title=4)
                assert found["rank"].to_pylist() == list(range(1, 9))
                assert names(found)[0] == names(searcher.nearest(QUERIES[:1], k=1))[0]
                assert max(pc.value_counts(found["title_id"]).field("counts").to_pylist()) <= 4
                means.append(alike(found))
        assert means[0] > means[1] > means[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"per_title": 0}, "limit per title is 0"),
        ({"diversity": 1.5}, "diversity is 1.5: take one from 0"),
        ({"diversity": float("nan")}, "diversity is nan"),
    ],
)
def test_numbers_out_of_range(small: SmallCatalogue, options: dict, message: str) -> None:
    with pytest.raises(MediaFMError, match=message):
        mediafm_core.similar("alpha", 0, 5, **options, store=small.root)
