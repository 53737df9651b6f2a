"""Fused vectors beside the contextual ones, through the functions for readers and the commands."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from small_catalogue import (
    ENCODERS,
    FUSED,
    HIDDEN,
    METADATA,
    MODEL,
    SHOT_S,
    SmallCatalogue,
    save_tiny_model,
)

import mediafm_core
from mediafm_core.api.catalogue_reader import embed_span
from mediafm_core.cli.main import main
from mediafm_core.cli.options import VECTOR_CHOICES
from mediafm_core.clips.pooling import pool, span_weights
from mediafm_core.clips.vector_choice import parts_of
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError
from mediafm_core.inference.loaded_title import TitleInContext
from mediafm_core.vectors import to_numpy

SPANS = [(3.0, 40.0), (0.0, SHOT_S), (50.0, 51.5)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Return three titles with fused vectors, in two shards."""
    catalogue = SmallCatalogue(tmp_path_factory.mktemp("catalogue"), fused_vectors=True)
    for title_id, shots in (("alpha", 20), ("beta", 7), ("gamma", 600)):
        catalogue.write(title_id, shots=shots)
    catalogue.publish("alpha", "beta")
    catalogue.publish("gamma")
    return catalogue


def fused_by_hand(
    small: SmallCatalogue, title: str, spans: list[tuple[float, float]]
) -> np.ndarray:
    shots = small.store.read("shots", title)
    fused = to_numpy(small.store.read("fused_embeddings", title)["embedding"])
    return pool(fused, span_weights(shots, spans))


class TestEmbed:
    def test_parts_stand_side_by_side(self, small: SmallCatalogue) -> None:
        def embedded(vectors: str) -> np.ndarray:
            return mediafm_core.embed_many("alpha", SPANS, vectors=vectors, store=small.root)  # type: ignore[arg-type]

        context, fused, both = (embedded(name) for name in VECTOR_CHOICES)
        np.testing.assert_array_equal(fused, fused_by_hand(small, "alpha", SPANS))
        np.testing.assert_array_equal(both, np.concatenate([context, fused], axis=1))
        one = mediafm_core.embed("alpha", *SPANS[0], vectors="both", store=small.root)
        np.testing.assert_array_equal(one, both[0])

    def test_origin_names_parts_and_encoders(self, small: SmallCatalogue) -> None:
        both = embed_span("alpha", 3, 40, vectors="both", store=small.root)
        assert both.ranges == {"context": (0, HIDDEN), "fused": (HIDDEN, HIDDEN + FUSED)}
        assert (both.mode, both.model, both.encoders) == ("in_context", MODEL, ENCODERS)
        fused = embed_span("alpha", 3, 40, vectors="fused", store=small.root)
        assert (fused.mode, fused.ranges) == ("fused", {"fused": (0, FUSED)})
        context = embed_span("alpha", 3, 40, store=small.root)
        assert (context.mode, context.encoders) == ("in_context", {})

    def test_fused_vectors_do_not_depend_on_what_the_model_reads(self, tmp_path: Path) -> None:
        catalogue = SmallCatalogue(tmp_path)  # spans need no published fused vectors
        model = save_tiny_model(catalogue)
        catalogue.write("alpha", model)
        catalogue.publish("alpha", model=model)
        alone = embed_span("alpha", 3, 40, alone=True, vectors="both", store=catalogue.root)
        assert alone.mode == "alone"
        np.testing.assert_array_equal(
            alone.vector[:HIDDEN], mediafm_core.embed("alpha", 3, 40, alone=True, store=tmp_path)
        )
        np.testing.assert_array_equal(
            alone.vector[HIDDEN:], fused_by_hand(catalogue, "alpha", [(3, 40)])[0]
        )
        with pytest.raises(MediaFMError, match="A fused vector has no context"):
            mediafm_core.embed("alpha", 3, 40, alone=True, vectors="fused", store=tmp_path)

    def test_unknown_vectors_are_refused(self, small: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match="no vectors 'own': choose one of context, fused"):
            mediafm_core.embed("alpha", 3, 40, vectors="own", store=small.root)  # type: ignore[arg-type]

    def test_without_a_store(self, small: SmallCatalogue, tmp_path: Path) -> None:
        from mediafm_core.model.saved_model import load_model
        from mediafm_core.store.model_store import model_folder

        catalogue = SmallCatalogue(tmp_path)
        network = load_model(model_folder(catalogue.store, save_tiny_model(catalogue))).network
        shots = small.store.read("shots", "alpha")
        fused = to_numpy(small.store.read("fused_embeddings", "alpha")["embedding"])
        times = [*shots["start_s"].to_pylist(), shots["end_s"][-1].as_py()]
        title = TitleInContext.read(network, fused, np.zeros(METADATA, np.float32), times_s=times)
        np.testing.assert_array_equal(
            title.spans(SPANS, vectors="fused"), fused_by_hand(small, "alpha", SPANS)
        )
        np.testing.assert_array_equal(
            title.shot_ranges([(1, 4)], vectors="both"),
            np.concatenate(
                [title.shot_ranges([(1, 4)]), title.shot_ranges([(1, 4)], vectors="fused")], axis=1
            ),
        )


class TestSimilar:
    @pytest.mark.parametrize("hold", ["float32", "float16", None])
    @pytest.mark.parametrize(
        ("by", "weight", "factors"),
        [
            ("fused", None, (0.0, 1.0)),
            ("both", None, (0.5, 0.5)),
            ("both", 0.2, (0.8, 0.2)),
            ("both", 0.0, (1.0, 0.0)),
        ],
    )
    def test_is_the_weighted_mean_of_cosines(
        self,
        small: SmallCatalogue,
        hold: str | None,
        by: str,
        weight: float | None,
        factors: tuple[float, float],
    ) -> None:
        clips = mediafm_core.sql(
            "SELECT title_id, clip_id, embedding, fused FROM clip_features", store=small.root
        )
        span = ("gamma", 33.3, 61.7)
        expected = np.zeros(clips.num_rows)
        for column, choice, factor in zip(
            ("embedding", "fused"), ("context", "fused"), factors, strict=True
        ):
            vectors = to_numpy(clips[column]).astype(np.float64)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            query = mediafm_core.embed(*span, vectors=choice, store=small.root).astype(np.float64)  # type: ignore[arg-type]
            expected += factor * (vectors @ (query / np.linalg.norm(query)))
        best = np.argsort(-expected)[:20]
        with mediafm_core.Searcher(small.root, precision=hold, by=by) as searcher:  # type: ignore[arg-type]
            found = searcher.similar(*span, k=20, fused_weight=weight)
        tolerance = 1e-3 if hold == "float16" else 2e-7
        np.testing.assert_allclose(found["similarity"].to_numpy(), expected[best], atol=tolerance)
        if hold != "float16":
            assert found["clip_id"].to_pylist() == clips["clip_id"].take(best).to_pylist()

    def test_diversity_measures_clips_as_the_search_does(self, small: SmallCatalogue) -> None:
        """With a weight of 0 and of 1, both vectors give what one kind alone gives."""
        for weight, alone in ((0.0, "context"), (1.0, "fused")):
            options = {"k": 8, "diversity": 0.7, "store": small.root}
            both = mediafm_core.similar("gamma", 3, 40, by="both", fused_weight=weight, **options)
            single = mediafm_core.similar("gamma", 3, 40, by=alone, **options)  # type: ignore[arg-type]
            assert both["clip_id"].equals(single["clip_id"])

    def test_an_index_serves_contextual_vectors_only(self, small: SmallCatalogue) -> None:
        before = mediafm_core.similar("gamma", 3, 40, by="both", store=small.root)
        from mediafm_core.api.clip_search import build_index

        build_index(small.root)
        assert mediafm_core.similar("gamma", 3, 40, by="both", store=small.root).equals(before)

    def test_vectors_of_embed_are_queries(self, small: SmallCatalogue) -> None:
        query = mediafm_core.embed("beta", 3, 40, vectors="both", store=small.root)
        with mediafm_core.Searcher(small.root, by="both") as searcher:
            found = searcher.nearest(query[None], k=3).drop_columns("query")
            assert found.equals(searcher.similar("beta", 3, 40, k=3))
            with pytest.raises(MediaFMError, match=rf"\[n, {HIDDEN + FUSED}\]"):
                searcher.nearest(query[None, :HIDDEN])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"by": "fused", "fused_weight": 0.5}, "only one kind of vector"),
            ({"fused_weight": 0.5}, "only one kind of vector"),
            ({"by": "both", "fused_weight": 1.5}, "1.5: take 0 to 1"),
            ({"by": "own"}, "choose one of"),
        ],
    )
    def test_bad_options(self, small: SmallCatalogue, options: dict, message: str) -> None:
        with pytest.raises(MediaFMError, match=message):
            mediafm_core.similar("beta", 3, 40, store=small.root, **options)

    def test_missing_vectors_are_refused_with_the_remedy(self, tmp_path: Path) -> None:
        SmallCatalogue(tmp_path).filled("alpha", "beta")
        for by in ("fused", "both"):
            with pytest.raises(StoreError, match=r"publishing\.fused_vectors = true"):
                mediafm_core.similar("alpha", 3, 40, by=by, store=tmp_path)  # type: ignore[arg-type]
        SmallCatalogue(tmp_path, fused_vectors=True).filled("alpha")
        with pytest.raises(StoreError, match=r"1 of 2 published titles .*beta is one"):
            mediafm_core.similar("alpha", 3, 40, by="both", store=tmp_path)
        assert mediafm_core.similar("alpha", 3, 40, store=tmp_path).num_rows

    def test_a_title_of_other_encoders_is_refused(self, tmp_path: Path) -> None:
        catalogue = SmallCatalogue(tmp_path, fused_vectors=True).filled("alpha", "beta")
        record = catalogue.store.record("fused_embeddings", "alpha")
        assert record is not None
        details = {**record.details, "encoders": {**ENCODERS, "text": "t-2@1"}}
        table = catalogue.store.read("fused_embeddings", "alpha")
        catalogue.store.write(record.model_copy(update={"details": details}), table)
        with pytest.raises(IdentityMismatchError, match=r"alpha .*text encoder"):
            mediafm_core.similar("alpha", 3, 40, by="fused", store=tmp_path)


class TestCommands:
    def test_similar(self, small: SmallCatalogue) -> None:
        arguments = ["similar", "beta", "3", "40", "-k", "2", "--json", "--store", str(small.root)]
        result = CliRunner().invoke(main, [*arguments, "--by", "both", "--fused-weight", "0.3"])
        assert result.exit_code == 0, result.output
        expected = mediafm_core.similar(
            "beta", 3, 40, k=2, by="both", fused_weight=0.3, store=small.root
        )
        assert json.loads(result.output) == pa.Table.to_pylist(expected)

    def test_embed(self, small: SmallCatalogue) -> None:
        arguments = ["embed", "beta", "3", "40", "--store", str(small.root)]
        found = {}
        for vectors in VECTOR_CHOICES:
            result = CliRunner().invoke(main, [*arguments, "--json", "--vectors", vectors])
            assert result.exit_code == 0, result.output
            found[vectors] = json.loads(result.output)
        common = {"title_id", "start_s", "end_s", "mode", "model"}
        assert found["context"].keys() == common | {"embedding"}
        assert found["fused"].keys() == common | {"fused", "encoders"}
        assert found["both"] == {
            **found["context"],
            "fused": found["fused"]["fused"],
            "encoders": ENCODERS,
        }
        shown = CliRunner().invoke(main, [*arguments, "--vectors", "both"]).output
        assert f"context: {HIDDEN} values" in shown
        assert f"fused: {FUSED} values" in shown


def test_commands_offer_every_choice() -> None:
    assert [parts_of(name) for name in VECTOR_CHOICES] == [  # type: ignore[arg-type]
        ("context",),
        ("fused",),
        ("context", "fused"),
    ]


def test_sql_computes_the_same_similarity(small: SmallCatalogue) -> None:
    query = (
        "SELECT b.clip_id, (array_cosine_similarity(a.embedding, b.embedding) "
        "+ array_cosine_similarity(a.fused, b.fused)) / 2 AS similarity "
        "FROM clip_features a, clip_features b "
        "WHERE a.title_id = 'beta' AND a.clip_id = ? ORDER BY similarity DESC, b.clip_id LIMIT 3"
    )
    first = mediafm_core.sql(
        "SELECT clip_id, start_s, end_s FROM clips WHERE title_id = 'beta' ORDER BY start_s",
        store=small.root,
    ).to_pylist()[0]
    found = mediafm_core.sql(query, [first["clip_id"]], store=small.root)
    similar = mediafm_core.similar(
        "beta", first["start_s"], first["end_s"], k=3, by="both", store=small.root
    )
    np.testing.assert_allclose(found["similarity"], similar["similarity"], atol=1e-6)
