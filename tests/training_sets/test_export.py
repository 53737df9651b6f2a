"""Vectors, conditions and record of exported sets."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from labelled_catalogue import GENRES, TITLES, LabelledCatalogue, export
from small_catalogue import ENCODERS, FUSED, HIDDEN, MODEL, RANGES, SHOT_S

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError
from mediafm_core.store.features import feature_tables
from mediafm_core.vectors import to_numpy


class TestVectors:
    def test_of_clips_equal_those_of_sql(self, small, out: Path, clips, labels) -> None:
        export(small, out, labels=labels)
        found = TrainingSet.open(out).to_arrow()
        for name in ("title_id", "clip_id", "start_s", "end_s", "proposed"):
            assert found[name].equals(clips[name])
        np.testing.assert_array_equal(to_numpy(found["embedding"]), to_numpy(clips["embedding"]))

    def test_of_spans_equal_those_of_embed_many(self, small, out: Path) -> None:
        spans = np.array([[0.0, 4.0], [SHOT_S - 1, 3 * SHOT_S + 2], [50.0, 150.0], [8.01, 8.02]])
        labels = pa.table(
            {
                "title_id": np.repeat(["gamma", "alpha"], len(spans)),
                "start_s": np.tile(spans[:, 0], 2),
                "end_s": np.tile(spans[:, 1], 2),
                "good": [True, False] * 4,
            }
        )
        export(small, out, labels=labels)
        found = TrainingSet.open(out).to_arrow()
        assert found["clip_id"].null_count == found["proposed"].null_count == 8
        assert found["title_id"].to_pylist() == ["alpha"] * 4 + ["gamma"] * 4
        for place, title in ((0, "alpha"), (4, "gamma")):
            of_title = found.slice(place, 4)
            asked = np.stack([of_title["start_s"].to_numpy(), of_title["end_s"].to_numpy()], axis=1)
            assert sorted(map(tuple, asked)) == list(map(tuple, asked))
            np.testing.assert_array_equal(
                to_numpy(of_title["embedding"]),
                mediafm_core.embed_many(title, asked, store=small.root),
            )

    def test_spans_of_titles_in_several_shards_and_published_again(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha", "beta")
        small.write("gamma")
        small.publish("gamma")
        small.write("beta", shots=9, edition=2)
        small.publish("beta")
        labels = pa.table(
            {
                "title_id": ["gamma", "beta", "alpha"],
                "start_s": [3.0] * 3,
                "end_s": [40.0] * 3,
                "good": [1, 2, 3],
            }
        )
        export(small, tmp_path / "set", labels=labels, fused=True)
        found = TrainingSet.open(tmp_path / "set")
        assert found.labels("good").tolist() == [3, 2, 1]
        for row, title in enumerate(("alpha", "beta", "gamma")):
            expected = mediafm_core.embed(title, 3.0, 40.0, store=small.root)
            np.testing.assert_array_equal(found.matrix()[row], expected)

    def test_of_a_store_without_shards(self, small, tmp_path: Path, labels) -> None:
        """In stores of versions without shards, `features.duckdb` contains the rows."""
        old = tmp_path / "store"
        old.mkdir()
        with duckdb.connect(str(old / "features.duckdb")) as connection:
            connection.execute(f"ATTACH '{small.store.features}' AS source (READ_ONLY)")
            for table in feature_tables.TABLES:
                connection.execute(f"CREATE TABLE {table} AS FROM source.{table}")
        spans = pa.table({"title_id": ["beta"], "start_s": [3.0], "end_s": [40.0], "good": [True]})
        for number, source in enumerate((labels, spans)):
            for name, store in ((f"old{number}", old), (f"new{number}", small.root)):
                mediafm_core.export(tmp_path / name, labels=source, store=store)
            one, other = (TrainingSet.open(tmp_path / f"{name}{number}") for name in ("old", "new"))
            assert one.to_arrow().equals(other.to_arrow())

    def test_of_a_damaged_store(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha")
        for shard in small.root.glob("features/*/clips/*.parquet"):
            shard.write_bytes(b"PAR1" + bytes(100))
        with pytest.raises(StoreError, match=r"clips/\w+\.parquet is damaged .*verify --repair"):
            export(small, tmp_path / "set")
        assert not (tmp_path / "set").exists()

    def test_in_float16(self, small, out: Path, clips, labels) -> None:
        export(small, out, labels=labels, float16=True)
        found = TrainingSet.open(out)
        assert found.matrix().dtype == np.float16
        expected = to_numpy(clips["embedding"]).astype(np.float16)
        np.testing.assert_array_equal(found.matrix(), expected)
        assert found.torch("genre")[0][0].numpy().dtype == np.float32
        assert found.records[0].element == "float16"

    def test_fused_vectors_are_added(self, small, out: Path, labels) -> None:
        export(small, out, labels=labels, fused=True)
        found = TrainingSet.open(out)
        assert found.matrix("fused").shape == (labels.num_rows, FUSED)
        title = small.store.read("fused_embeddings", "alpha")
        np.testing.assert_allclose(
            found.matrix("fused")[0], to_numpy(title["embedding"])[:4].mean(axis=0), atol=1e-6
        )
        record = found.records[0]
        assert record.encoders == ENCODERS
        assert record.ranges == {name: tuple(span) for name, span in RANGES.items()}

    def test_fused_vectors_of_different_encoders_are_refused(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha", "beta")
        record = small.store.record("fused_embeddings", "beta")
        others = {**record.details, "encoders": {**ENCODERS, "audio": "a-2@0"}}
        table = small.store.read("fused_embeddings", "beta")
        small.store.write(record.model_copy(update={"details": others}), table)
        with pytest.raises(IdentityMismatchError, match=r"alpha and beta.*audio encoder a-1@0"):
            export(small, tmp_path / "set", fused=True)
        assert not (tmp_path / "set").exists()


class TestWhere:
    def test_on_labels_and_titles(self, small, out: Path, labels) -> None:
        where = "genre = 'drama' AND name LIKE 'The%' AND list_contains(tags, 'a') -- why not"
        exported = export(small, out, labels=labels, where=where)
        found = TrainingSet.open(out)
        assert set(found.to_arrow()["title_id"].to_pylist()) == {"alpha"}
        assert set(found.labels("genre")) == {"drama"}
        assert exported.record.where == where

    def test_a_label_shadows_a_column_of_titles(self, small, out: Path, labels) -> None:
        export(small, out, where="shots = 4")  # titles have 20
        assert TrainingSet.open(out).labels("shots").tolist() == [4] * len(TITLES)
        named = labels.rename_columns(["title_id", "clip_id", "row", 'a "quoted" NAME'])
        export(small, out, labels=named, where='"a ""quoted"" name" < 1', replace=True)
        assert len(TrainingSet.open(out)) == 4

    @pytest.mark.parametrize(
        "where",
        [
            "nonsense = 1",
            "",
            "genre",
            "true; DROP TABLE labelled",
            "1 = 1) UNION SELECT 999 AS row --",
            "EXISTS (FROM read_text('/etc/passwd'))",
            "EXISTS (FROM '/etc/passwd')",
            "true, false",
        ],
    )
    def test_invalid_conditions_are_refused(self, small, out: Path, labels, where: str) -> None:
        with pytest.raises(MediaFMError, match=r"The condition .* cannot be used") as raised:
            export(small, out, labels=labels, where=where)
        assert "\n" not in str(raised.value)

    def test_no_row_left(self, small, out: Path, labels) -> None:
        with pytest.raises(MediaFMError, match="None of 25 labelled clips fulfils 'score < 0'"):
            export(small, out, labels=labels, where="score < 0")
        assert not out.exists()


class TestRecord:
    def test_names_the_origin_of_the_rows(self, small, out: Path, labels) -> None:
        exported = export(small, out, labels=labels, split={"a": 0.6, "b": 0.4}, seed=3)
        (record,) = TrainingSet.open(out).records
        assert record == exported.record
        assert (record.model, record.dimension) == (MODEL, HIDDEN)
        assert record.schema_version == feature_tables.VERSION
        assert (record.rows, record.titles, record.catalogue_titles) == (25, 5, 5)
        assert (record.shares, record.seed) == ({"a": 0.6, "b": 0.4}, 3)
        assert record.encoders is None  # there is no model in this store
        again = export(small, out, labels=labels, replace=True).record
        assert again.set_id != record.set_id
        assert again.label_digest == record.label_digest
        assert again.catalogue_version == record.catalogue_version

    def test_encoders_are_those_of_the_model(self, tmp_path: Path) -> None:
        from small_catalogue import save_tiny_model

        small = LabelledCatalogue(tmp_path / "store")
        model = save_tiny_model(small)
        small.write("alpha", model)
        small.publish("alpha", model=model)
        record = export(small, tmp_path / "set").record
        assert (record.model, record.encoders) == (model, ENCODERS)

    def test_another_catalogue_has_another_version(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha")
        before = export(small, tmp_path / "a").record
        small.write("alpha", edition=2)
        small.publish("alpha")
        assert export(small, tmp_path / "b").record.catalogue_version != before.catalogue_version


def test_genres_are_all_there(small, out: Path) -> None:
    export(small, out)
    assert set(TrainingSet.open(out).labels("genre")) == set(GENRES)
