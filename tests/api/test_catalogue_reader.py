"""Functions for readers: SQL that can only read, and vectors of any span."""

import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from small_catalogue import (
    ENCODERS,
    HIDDEN,
    MODEL,
    OTHER_MODEL,
    SHOT_S,
    SmallCatalogue,
    save_tiny_model,
)

import mediafm_core
from mediafm_core.api.catalogue_reader import embed_span
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError
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


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Return a catalogue of one title, and its serving model."""
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("modelled"))
    model = save_tiny_model(catalogue)
    catalogue.write("alpha", model)
    catalogue.publish("alpha", model=model)
    return catalogue


def contextual(small: SmallCatalogue, title_id: str) -> np.ndarray:
    return to_numpy(small.store.read("contextual_embeddings", title_id, MODEL)["embedding"])


class TestSql:
    def test_returns_arrow_with_vectors_as_fixed_size_lists(self, small: SmallCatalogue) -> None:
        found = mediafm_core.sql(
            "SELECT embedding FROM shots WHERE title_id = $title ORDER BY shot_index",
            {"title": "beta"},
            store=small.root,
        )
        np.testing.assert_array_equal(to_numpy(found["embedding"]), contextual(small, "beta"))

    def test_store_comes_from_the_environment(
        self, small: SmallCatalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDIAFM_STORE", str(small.root))
        assert mediafm_core.sql("SELECT count(*) AS n FROM titles")["n"].to_pylist() == [3]

    @pytest.mark.parametrize(
        "query",
        [
            "SHOW TABLES",
            "DESCRIBE clips",
            "FROM titles LIMIT 1",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE FROM titles",
            "-- why?\nEXPLAIN (FORMAT json) SELECT 1",
            "PIVOT clips ON proposed USING count(*) GROUP BY title_id",
            "SELECT labels['genre'] FROM clips",
        ],
    )
    def test_all_statements_that_read_work(self, small: SmallCatalogue, query: str) -> None:
        assert mediafm_core.sql(query, store=small.root).num_rows

    @pytest.mark.parametrize(
        "query",
        [
            "CREATE TABLE more (a INTEGER)",
            "CREATE TABLE memory.more (a INTEGER)",
            "CREATE TABLE more (a INTEGER); SELECT 1",
            "INSERT INTO catalogue VALUES ('x', 1, 1, 1)",
            "UPDATE titles SET name = 'x'",
            "DELETE FROM clips",
            "DROP TABLE clips",
            "ATTACH 'other.duckdb'",
            "ATTACH ':memory:' AS other",
            "DETACH features",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM read_parquet('https://localhost/x.parquet')",
            "COPY titles TO 'titles.csv'",
            "EXPORT DATABASE 'copy'",
            "EXPLAIN ANALYZE COPY titles TO 'titles.csv'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "RESET lock_configuration",
            "SELECT 1; SET threads = 1",
            "SELECT * FROM local_variable",
            "",
        ],
    )
    def test_writes_and_other_files_are_refused(
        self,
        small: SmallCatalogue,
        query: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        local_variable = mediafm_core.sql("FROM titles", store=small.root)  # not a table to SQL
        monkeypatch.chdir(tmp_path)
        before = small.store.features.read_bytes()
        with pytest.raises(MediaFMError) as error:
            mediafm_core.sql(query, store=small.root)
        assert "\n" not in str(error.value)
        assert small.store.features.read_bytes() == before
        assert not list(tmp_path.iterdir())
        assert local_variable.num_rows == 3

    @pytest.mark.parametrize(
        "query",
        [
            "COPY (SELECT 1) TO '{shard}' (USE_TMP_FILE false)",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '{shard}' (USE_TMP_FILE false)",
            "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{shard}' (USE_TMP_FILE false)",
            "EXPLAIN /* ( */ ANALYZE COPY (SELECT 1) TO '{shard}' (USE_TMP_FILE false)",
            "SELECT 1; EXPLAIN ANALYZE COPY (SELECT 1) TO '{shard}' (USE_TMP_FILE false)",
            "ATTACH '{shard}.duckdb' AS other",
            "SELECT * FROM read_parquet('{shard}', '/etc/passwd')",
            "SELECT * FROM read_parquet('{folder}/*.parquet')",
            "SELECT * FROM glob('{folder}/*')",
            "SELECT * FROM read_text('{store}/features.duckdb')",
            "SELECT * FROM read_parquet('{store}/clip_features/**')",
        ],
    )
    def test_direct_access_to_files_of_the_catalogue_is_refused(
        self, small: SmallCatalogue, query: str
    ) -> None:
        shard = next(small.root.glob("features/*/shots/*.parquet"))
        before = shard.read_bytes()
        with pytest.raises(MediaFMError):
            mediafm_core.sql(
                query.format(shard=shard, folder=shard.parent, store=small.root), store=small.root
            )
        assert shard.read_bytes() == before
        assert list(shard.parent.iterdir()) == [shard]

    def test_an_invalid_query_raises_with_the_reason(self, small: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match='Referenced column "nam" not found'):
            mediafm_core.sql("SELECT nam FROM titles", store=small.root)

    def test_works_beside_a_connection_of_the_same_process(self, small: SmallCatalogue) -> None:
        with duckdb.connect(str(small.store.features), read_only=True):
            assert mediafm_core.sql("FROM titles", store=small.root).num_rows == 3

    def test_an_empty_store_raises(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=f"There is no store in {tmp_path}: correct the path"):
            mediafm_core.sql("SELECT 1", store=tmp_path)
        (tmp_path / "title").mkdir()
        with pytest.raises(StoreError, match="has no features yet: `mediafm run` makes them"):
            mediafm_core.sql("SELECT 1", store=tmp_path)


class TestEmbed:
    def test_spans_of_clips_equal_the_published_vectors(self, small: SmallCatalogue) -> None:
        clips = small.store.read("clip_features", "gamma", MODEL)
        published = to_numpy(clips["embedding"])
        for row, clip in enumerate(clips.select(["start_s", "end_s"]).to_pylist()):
            vector = mediafm_core.embed("gamma", clip["start_s"], clip["end_s"], store=small.root)
            assert vector.dtype == np.float32
            np.testing.assert_allclose(vector, published[row], atol=1e-6)

    def test_shots_are_weighted_by_seconds_of_overlap(self, small: SmallCatalogue) -> None:
        vectors = contextual(small, "alpha")
        vector = mediafm_core.embed("alpha", SHOT_S - 1.0, SHOT_S + 3.0, store=small.root)
        np.testing.assert_allclose(vector, 0.25 * vectors[0] + 0.75 * vectors[1], atol=1e-6)
        inside = mediafm_core.embed("alpha", 8.01, 8.02, store=small.root)
        np.testing.assert_allclose(inside, vectors[1], atol=1e-6)

    @pytest.mark.parametrize(
        ("start", "end"), [(-1, 5), (5, 5), (6, 5), (0, 1000), (200, 201), (float("nan"), 1)]
    )
    def test_span_outside_the_title(self, small: SmallCatalogue, start: float, end: float) -> None:
        with pytest.raises(MediaFMError, match=r"alpha: .* between 0\.000 and 150\.000 s"):
            mediafm_core.embed("alpha", start, end, store=small.root)

    @pytest.mark.parametrize(
        ("title", "hint"),
        [
            ("alhpa", "did you mean alpha?"),
            ("The Alpha", "did you mean alpha?"),
            ("zzzzzzzz", "FROM titles"),
        ],
    )
    def test_unknown_title(self, small: SmallCatalogue, title: str, hint: str) -> None:
        with pytest.raises(MediaFMError) as error:
            mediafm_core.embed(title, 0, 5, store=small.root)
        assert hint in str(error.value)

    def test_alone_runs_the_serving_model_on_the_spans_own_shots(
        self, modelled: SmallCatalogue
    ) -> None:
        from mediafm_core.inference.whole_title import contextualise

        network, fused, metadata = model_input(modelled)
        span = (2 * SHOT_S, 3.5 * SHOT_S)
        vector = mediafm_core.embed("alpha", *span, alone=True, store=modelled.root)

        shots = contextualise(network, fused[2:4], metadata).shots
        np.testing.assert_allclose(vector, (2 * shots[0] + shots[1]) / 3, atol=1e-5)
        in_context = mediafm_core.embed("alpha", *span, store=modelled.root)
        assert np.abs(vector - in_context).max() > 1e-3

    @pytest.mark.parametrize(("look_back", "first"), [(None, 0), (2, 2), (3, 1)])
    def test_a_prefix_includes_the_shots_before(
        self, modelled: SmallCatalogue, look_back: int | None, first: int
    ) -> None:
        from mediafm_core.inference.whole_title import contextualise

        network, fused, metadata = model_input(modelled)
        span = (2 * SHOT_S, 3.5 * SHOT_S)
        read = embed_span("alpha", *span, prefix=True, look_back=look_back, store=modelled.root)

        shots = contextualise(network, fused[first:4], metadata).shots[-2:]
        np.testing.assert_allclose(read.vector, (2 * shots[0] + shots[1]) / 3, atol=1e-5)
        assert (read.mode, read.model) == ("prefix", next(modelled.store.models.iterdir()).name)
        np.testing.assert_array_equal(
            read.vector,
            mediafm_core.embed(
                "alpha", *span, prefix=True, look_back=look_back, store=modelled.root
            ),
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"alone": True, "prefix": True}, "alone or as a prefix, not both"),
            ({"look_back": 4}, "look-back of 4 is for a prefix"),
            ({"alone": True, "look_back": 4}, "look-back of 4 is for a prefix"),
            ({"prefix": True, "look_back": 0}, "look-back is 0 shots: take one from 1 to 512"),
            ({"prefix": True, "look_back": 513}, "look-back is 513 shots"),
            ({"prefix": True, "look_back": 1}, "alpha: the span has 2 shots"),
        ],
    )
    def test_incompatible_options_are_refused(
        self, modelled: SmallCatalogue, options: dict, message: str
    ) -> None:
        with pytest.raises(MediaFMError, match=message):
            mediafm_core.embed("alpha", SHOT_S, 3 * SHOT_S, **options, store=modelled.root)

    @pytest.mark.parametrize("shots", [19, 20, 21])
    @pytest.mark.parametrize("mode", ["alone", "prefix"])
    def test_a_title_with_new_shots_is_refused_until_published(
        self, tmp_path: Path, shots: int, mode: str
    ) -> None:
        small = SmallCatalogue(tmp_path)
        model = save_tiny_model(small)
        small.write("alpha", model)
        small.publish("alpha", model=model)
        small.write("alpha", model, shots=shots, edition=2)
        table, record = small.store.read("shots", "alpha"), small.store.record("shots", "alpha")
        assert record is not None
        moved = pa.array(table["start_s"].to_numpy() + 0.5)  # the same number, other cuts
        small.store.write(record, table.set_column(2, "start_s", moved))
        with pytest.raises(StoreError, match=r"alpha has been cut into other shots .*mediafm run"):
            mediafm_core.embed("alpha", 0, 5, **{mode: True}, store=small.root)
        small.write("alpha", model, shots=shots, edition=2)
        small.publish("alpha", model=model)
        assert mediafm_core.embed("alpha", 0, 5, **{mode: True}, store=small.root).any()

    def test_a_missing_model_raises(self, small: SmallCatalogue) -> None:
        with pytest.raises(StoreError, match=f"published model {MODEL} is gone .*release"):
            mediafm_core.embed("alpha", 0, 5, alone=True, store=small.root)

    def test_alone_refuses_fused_vectors_of_other_encoders(self, tmp_path: Path) -> None:
        small = SmallCatalogue(tmp_path)
        model = save_tiny_model(small, {**ENCODERS, "audio": "another-1@1"})
        small.write("alpha", model)
        small.publish("alpha", model=model)
        with pytest.raises(IdentityMismatchError):
            mediafm_core.embed("alpha", 0, 5, alone=True, store=small.root)


class TestEmbedMany:
    def test_each_row_is_the_vector_of_its_span(self, small: SmallCatalogue) -> None:
        spans = np.sort(np.random.default_rng(0).uniform(30.0, 450.0, (300, 2)), axis=1)
        vectors = mediafm_core.embed_many("gamma", spans, store=small.root)
        assert vectors.shape == (300, HIDDEN)
        assert vectors.dtype == np.float32
        for row in (0, 137, 299):
            one = mediafm_core.embed("gamma", *spans[row], store=small.root)
            np.testing.assert_allclose(vectors[row], one, atol=1e-6)

    def test_no_spans_are_no_vectors(self, small: SmallCatalogue) -> None:
        assert mediafm_core.embed_many("beta", [], store=small.root).shape == (0, HIDDEN)

    def test_an_invalid_span_raises(self, small: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match="alpha: no clip goes from 149 to 151 s"):
            mediafm_core.embed_many("alpha", [(0, 5), (149, 151), (3, 1)], store=small.root)
        with pytest.raises(MediaFMError, match=r"Spans have the shape \(3,\)"):
            mediafm_core.embed_many("alpha", np.ones(3), store=small.root)
        with pytest.raises(MediaFMError, match="did you mean alpha"):
            mediafm_core.embed_many("alhpa", [], store=small.root)

    def test_loads_no_network(self, small: SmallCatalogue) -> None:
        code = (
            "import sys, mediafm_core\n"
            f"mediafm_core.embed('alpha', 0, 5, store={str(small.root)!r})\n"
            f"mediafm_core.embed_many('alpha', [(0, 5)] * 100, store={str(small.root)!r})\n"
            "print({'torch', 'transformers'} & set(sys.modules))"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert result.stdout == "set()\n"


def test_reads_the_new_model_as_soon_as_it_is_published(tmp_path: Path) -> None:
    small = SmallCatalogue(tmp_path).filled("alpha")
    before = mediafm_core.embed("alpha", 0, 5, store=tmp_path)
    small.write("alpha", OTHER_MODEL)
    np.testing.assert_array_equal(mediafm_core.embed("alpha", 0, 5, store=tmp_path), before)
    small.publish("alpha", model=OTHER_MODEL)
    assert not np.allclose(mediafm_core.embed("alpha", 0, 5, store=tmp_path), before)


def test_importing_the_package_is_light() -> None:
    heavy = "{'torch', 'duckdb', 'pyarrow', 'dagster'}"
    code = f"import sys, mediafm_core; print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"


def model_input(small: SmallCatalogue) -> tuple:
    """Return the serving network, and the fused vectors and metadata of `alpha`."""
    from mediafm_core.model.saved_model import load_model

    (folder,) = small.store.models.iterdir()
    fused = to_numpy(small.store.read("fused_embeddings", "alpha")["embedding"])
    metadata = to_numpy(small.store.read("title_metadata_embedding", "alpha")["embedding"])[0]
    return load_model(folder).network, fused, metadata


class TestScenes:
    def test_partition_the_title_in_the_order_of_time(self, small: SmallCatalogue) -> None:
        found = mediafm_core.scenes_of("beta", store=small.root)
        assert found["scene_index"].to_pylist() == [0, 1, 2]
        starts, ends = found["start_s"].to_pylist(), found["end_s"].to_pylist()
        assert starts == [0.0, *ends[:-1]]
        assert ends[-1] == 7 * SHOT_S
        assert sum(found["shots"].to_pylist()) == 7
        frame = found.to_pandas()
        assert list(frame["last_shot"] - frame["first_shot"] + 1) == list(frame["shots"])

    def test_an_unknown_title_gets_the_nearest_names(self, small: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match="no title 'alhpa': did you mean alpha"):
            mediafm_core.scenes_of("alhpa", store=small.root)
