"""What is in an exported set, and what is refused."""

import datetime
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from labelled_catalogue import GENRES, TITLES, LabelledCatalogue
from small_catalogue import ENCODERS, FUSED, HIDDEN, MODEL, OTHER_MODEL, RANGES, SHOT_S

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError, TitleError
from mediafm_core.store.features import feature_tables
from mediafm_core.vectors import to_numpy


def export(small: LabelledCatalogue, out: Path, **options: object):
    return mediafm_core.export(out, store=small.root, **options)


class TestVectors:
    def test_of_clips_are_those_that_sql_gives(self, small, out: Path, clips, labels) -> None:
        export(small, out, labels=labels)
        found = TrainingSet.open(out).to_arrow()
        for name in ("title_id", "clip_id", "start_s", "end_s", "proposed"):
            assert found[name].equals(clips[name])
        np.testing.assert_array_equal(to_numpy(found["embedding"]), to_numpy(clips["embedding"]))

    def test_of_spans_are_those_that_embed_many_gives(self, small, out: Path) -> None:
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

    def test_of_a_store_of_the_first_design(self, small, tmp_path: Path, labels) -> None:
        """Before there were shards, `features.duckdb` held the rows themselves."""
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

    def test_halved(self, small, out: Path, clips, labels) -> None:
        export(small, out, labels=labels, float16=True)
        found = TrainingSet.open(out)
        assert found.matrix().dtype == np.float16
        expected = to_numpy(clips["embedding"]).astype(np.float16)
        np.testing.assert_array_equal(found.matrix(), expected)
        assert found.torch("genre")[0][0].numpy().dtype == np.float32
        assert found.records[0].element == "float16"

    def test_without_context_beside(self, small, out: Path, labels) -> None:
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

    def test_without_context_of_different_encoders_are_refused(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha", "beta")
        record = small.store.record("fused_embeddings", "beta")
        others = {**record.details, "encoders": {**ENCODERS, "audio": "a-2@0"}}
        table = small.store.read("fused_embeddings", "beta")
        small.store.write(record.model_copy(update={"details": others}), table)
        with pytest.raises(IdentityMismatchError, match=r"alpha and beta.*audio encoder a-1@0"):
            export(small, tmp_path / "set", fused=True)
        assert not (tmp_path / "set").exists()


class TestLabels:
    def test_of_the_catalogue_have_the_types_that_they_are_written_as(
        self, small, out: Path
    ) -> None:
        exported = export(small, out)
        assert exported.record.labels == {
            "code": "string",
            "explicit": "bool",
            "genre": "string",
            "rating": "double",
            "shots": "int64",
        }
        found = TrainingSet.open(out)
        assert len(found) == 4 * len(TITLES)
        assert found.labels("code")[:4].tolist() == ["000", "001", "002", "004"]
        assert found.labels("rating")[:4].tolist() == [0.5, 1.5, 2.5, 4.5]
        assert found.labels("explicit")[:2].tolist() == [True, None]
        assert exported.record.label_source == "clips.csv"

    def test_chosen_by_name(self, small, out: Path, labels) -> None:
        export(small, out, columns=["shots"])
        found = TrainingSet.open(out)
        assert len(found) == len(TITLES)  # the others have no such label
        assert "genre" not in found.column_names
        export(small, out, labels=labels, columns=["score"], replace=True)
        assert "genre" not in TrainingSet.open(out).column_names

    def test_types_are_kept(self, small, out: Path, clips) -> None:
        columns = {
            "i8": pa.array([1, None], pa.int8()),
            "price": pa.array([Decimal("1.50"), None]),
            "day": pa.array([datetime.date(2026, 2, 23), None]),
            "at": pa.array([datetime.datetime(2026, 2, 23), None], pa.timestamp("us", tz="UTC")),
            "kind": pa.array(["a", None]).dictionary_encode(),
            "tags": pa.array([["x", "y"], None]),
            "box": pa.array([[1.0, 2.0], None], pa.list_(pa.float16(), 2)),
            "more": pa.array([{"x": 1}, None]),
            "raw": pa.array([b"\0", None]),
        }
        labels = pa.table(
            {**dict(zip(clips.column_names, clips.slice(0, 2).columns, strict=True)), **columns}
        )
        labels = labels.drop(["proposed", "embedding"])
        path = out.with_name("labels.parquet")
        pq.write_table(labels, path)
        for source in (labels, path):
            export(small, out, labels=source, replace=True)
            found = TrainingSet.open(out).to_arrow(list(columns))
            assert found.to_pylist() == labels.select(list(columns)).to_pylist()
            assert [found.schema.field(name).type for name in columns] == [
                column.type for column in columns.values()
            ]

    def test_a_file_of_csv(self, small, out: Path, clips) -> None:
        path = out.with_name("labels.csv")
        path.write_text(
            'title_id,clip_id,note,year,good,code\nbeta,proposed-0001,"a, ""b""",1999,TRUE,007\n'
            "alpha,proposed-0000,,2001,false,12\n",
            encoding="utf-8-sig",
        )
        exported = export(small, out, labels=str(path))
        assert exported.record.label_source == "labels.csv"
        assert TrainingSet.open(out).to_arrow(["note", "year", "good", "code"]).to_pylist() == [
            {"note": None, "year": 2001, "good": False, "code": "12"},
            {"note": 'a, "b"', "year": 1999, "good": True, "code": "007"},
        ]

    def test_the_order_of_the_labels_does_not_matter(self, small, tmp_path: Path, labels) -> None:
        mixed = labels.take(pa.array(np.random.default_rng(0).permutation(labels.num_rows)))
        for name, source in (("a", labels), ("b", mixed)):
            export(small, tmp_path / name, labels=source, split={"x": 0.5, "y": 0.5})
        one, other = (TrainingSet.open(tmp_path / name).to_arrow() for name in "ab")
        assert one.equals(other)

    def test_times_that_come_with_clips_are_checked(self, small, out: Path, clips) -> None:
        labels = clips.select(["title_id", "clip_id", "end_s"]).append_column("x", clips["start_s"])
        export(small, out, labels=labels)
        moved = labels.set_column(2, "end_s", pa.array(labels["end_s"].to_numpy() + 1.0))
        with pytest.raises(MediaFMError, match=r"end_s of alpha proposed-0000 is 31, and 30 in"):
            export(small, out, labels=moved, replace=True)


class TestBadLabels:
    def refused(self, small, out: Path, message: str, error=MediaFMError, **options) -> None:
        with pytest.raises(error, match=message) as raised:
            export(small, out, **options)
        assert "\n" not in str(raised.value)
        assert not out.exists()

    def test_of_unknown_clips_and_titles(self, small, out: Path) -> None:
        labels = pa.table(
            {
                "title_id": ["alpha", "alpha", "alhpa", "omega"],
                "clip_id": ["proposed-0001", "chase", "proposed-0001", "chase"],
                "genre": list("abcd"),
            }
        )
        self.refused(
            small,
            out,
            r"table: 3 of 4 rows are unknown to the catalogue, of 2 titles \(alhpa, omega\) and "
            r"1 clip of titles it has \(alpha chase\): mend them, or .* --skip-unknown",
            labels=labels,
        )
        exported = export(small, out, labels=labels, skip_unknown=True)
        assert (exported.record.rows, exported.record.left_out) == (1, 3)
        assert TrainingSet.open(out).labels("genre").tolist() == ["a"]

    def test_all_unknown(self, small, out: Path) -> None:
        labels = pa.table({"title_id": ["omega"], "start_s": [0], "end_s": [1], "x": [1]})
        self.refused(small, out, "1 title .omega.: mend them", labels=labels)
        self.refused(small, out, "label clips that it has", labels=labels, skip_unknown=True)

    def test_there_twice(self, small, out: Path) -> None:
        clips = pa.table({"title_id": ["beta"] * 3, "clip_id": list("aba"), "x": [1, 2, 3]})
        self.refused(small, out, r"1 of 2 title_id clip_id .* \(beta a\): keep one", labels=clips)
        spans = pa.table(
            {"title_id": ["beta"] * 2, "start_s": [1.5, 1.5], "end_s": [2.0, 2.0], "x": [1, 2]}
        )
        self.refused(small, out, r"\(beta 1.5 2\): keep one row of each", labels=spans)

    def test_outside_the_title(self, small, out: Path) -> None:
        labels = pa.table({"title_id": ["beta"], "start_s": [140.0], "end_s": [151.0], "x": [1]})
        self.refused(
            small, out, "beta: no clip goes from 140 to 151 s.* 150.000", TitleError, labels=labels
        )

    @pytest.mark.parametrize("name", ["embedding", "fused", "proposed"])
    def test_columns_that_collide(self, small, out: Path, labels, name: str) -> None:
        named = labels.rename_columns(["title_id", "clip_id", name, "score"])
        self.refused(small, out, f"'{name}' is a column of every training set", labels=named)

    def test_a_split_of_their_own(self, small, out: Path, labels) -> None:
        named = labels.rename_columns(["title_id", "clip_id", "split", "score"])
        half = {"a": 0.5, "b": 0.5}
        self.refused(small, out, "has a column 'split' of its own", labels=named, split=half)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"title_id": ["a"], "x": [1]}, "give title_id and clip_id, or"),
            ({"title_id": ["a"], "start_s": [1.0], "x": [1]}, "give title_id and clip_id, or"),
            ({"title_id": ["a"], "clip_id": ["a"]}, "no label column beside title_id, clip_id"),
            ({"title_id": [], "clip_id": [], "x": []}, "table has no rows"),
            ({"title_id": ["a", None], "clip_id": ["a", "b"], "x": [1, 2]}, "title_id of row 2"),
            ({"title_id": ["a", "b"], "clip_id": ["", "b"], "x": [1, 2]}, "clip_id of row 1"),
            (
                {"title_id": ["a"], "start_s": [float("nan")], "end_s": [1.0], "x": [1]},
                "start_s of row 1 is empty",
            ),
            (
                {"title_id": ["a"], "start_s": ["soon"], "end_s": ["1"], "x": [1]},
                "start_s cannot be used",
            ),
            ({"title_id": ["a"], "clip_id": [[1]], "x": [1]}, "clip_id cannot be used"),
        ],
    )
    def test_tables_that_cannot_be_used(self, small, out: Path, table, message: str) -> None:
        self.refused(small, out, message, labels=pa.table(table))

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("labels.parquet", b"PAR1 but no more", "labels.parquet cannot be read"),
            ("labels.csv", b"title_id,clip_id,x\na,b\n", "labels.csv cannot be read"),
            ("labels.csv", b"", "labels.csv cannot be read"),
            ("labels.csv", b"title_id,clip_id,x\n\xff,b,c\n", "labels.csv cannot be read"),
            ("labels.csv", b"title_id,clip_id,x,x\na,b,c,d\n", "two columns 'x'"),
            ("labels.xlsx", b"", "neither .parquet nor .csv"),
            ("labels.csv", None, "There is no file of labels"),
            ("labels.parquet", None, "There is no file of labels"),
        ],
    )
    def test_files_that_cannot_be_read(
        self, small, out: Path, name: str, content: bytes | None, message: str
    ) -> None:
        path = out.with_name(name)
        if content is not None:
            path.write_bytes(content)
        self.refused(small, out, message, labels=path)

    def test_none_at_all(self, tmp_path: Path, out: Path) -> None:
        from small_catalogue import SmallCatalogue

        small = SmallCatalogue(tmp_path / "store").filled("alpha")
        self.refused(small, out, "No clip of the catalogue has labels: .* --labels")
        with pytest.raises(StoreError, match="There is no store in"):
            mediafm_core.export(out, store=tmp_path / "none")

    def test_unknown_names(self, small, out: Path, labels) -> None:
        self.refused(small, out, "clips.csv has no label 'mood': there are code", columns=["mood"])
        self.refused(
            small, out, "table has no label 'x': there are genre", columns=["x"], labels=labels
        )


class TestWhere:
    def test_on_labels_and_titles(self, small, out: Path, labels) -> None:
        where = "genre = 'drama' AND name LIKE 'The%' AND list_contains(tags, 'a') -- why not"
        exported = export(small, out, labels=labels, where=where)
        found = TrainingSet.open(out)
        assert set(found.to_arrow()["title_id"].to_pylist()) == {"alpha"}
        assert set(found.labels("genre")) == {"drama"}
        assert exported.record.where == where

    def test_a_label_is_meant_where_titles_have_a_column_of_its_name(
        self, small, out: Path, labels
    ) -> None:
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
    def test_what_is_no_condition(self, small, out: Path, labels, where: str) -> None:
        with pytest.raises(MediaFMError, match=r"The condition .* cannot be used") as raised:
            export(small, out, labels=labels, where=where)
        assert "\n" not in str(raised.value)

    def test_nothing_left(self, small, out: Path, labels) -> None:
        with pytest.raises(MediaFMError, match="None of 25 labelled clips fulfils 'score < 0'"):
            export(small, out, labels=labels, where="score < 0")
        assert not out.exists()


class TestRecord:
    def test_says_where_rows_come_from(self, small, out: Path, labels) -> None:
        exported = export(small, out, labels=labels, split={"a": 0.6, "b": 0.4}, seed=3)
        (record,) = TrainingSet.open(out).records
        assert record == exported.record
        assert (record.model, record.dimension, record.schema_version) == (MODEL, HIDDEN, 1)
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


class TestWhole:
    def test_is_of_one_model_whatever_is_released_meanwhile(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha", "beta")
        for title_id in ("alpha", "beta"):
            small.write(title_id, OTHER_MODEL)
        expected = mediafm_core.sql(
            "SELECT embedding FROM clip_features JOIN clips USING (title_id, clip_id) "
            "WHERE cardinality(labels) > 0 ORDER BY title_id, start_s",
            store=small.root,
        )
        seen = []

        def release(done: int, total: int) -> None:
            seen.append((done, total))
            small.publish("alpha", "beta", model=OTHER_MODEL)

        exported = export(small, tmp_path / "set", progress=release, fused=True)
        assert seen[-1] == (16, 16)
        assert exported.record.model == MODEL
        found = TrainingSet.open(tmp_path / "set")
        np.testing.assert_array_equal(found.matrix(), to_numpy(expected["embedding"]))
        assert mediafm_core.sql("FROM catalogue", store=small.root)["model_version"][0].as_py() == (
            OTHER_MODEL
        )

    @pytest.mark.parametrize("name", ["set", "set.parquet"])
    def test_killed_leaves_nothing_that_looks_finished(
        self, small, tmp_path: Path, name: str
    ) -> None:
        # Killed when all is written and only the last step is missing.
        script = (
            "import os, signal, sys\n"
            "import mediafm_core\n"
            "from mediafm_core.training_sets.destination import Destination\n"
            "Destination.require_free = lambda self, replace, calls=[]: (\n"
            "    calls.append(1), len(calls) > 1 and os.kill(os.getpid(), signal.SIGKILL))\n"
            "mediafm_core.export(sys.argv[1], store=sys.argv[2])\n"
        )
        target = tmp_path / name
        killed = subprocess.run(
            [sys.executable, "-c", script, str(target), str(small.root)], check=False
        )
        assert killed.returncode == -signal.SIGKILL
        assert [found.name for found in tmp_path.iterdir()] == [".staging"]
        with pytest.raises(MediaFMError, match="There is no"):
            TrainingSet.open(target)
        export(small, target)
        assert not list((tmp_path / ".staging").iterdir())
        assert len(TrainingSet.open(target)) == 4 * len(TITLES)

    def test_what_is_there_is_kept_unless_it_is_to_be_replaced(
        self, small, tmp_path: Path, labels
    ) -> None:
        for target in (tmp_path / "set", tmp_path / "set.parquet"):
            export(small, target)
            with pytest.raises(MediaFMError, match="is there already: pass --replace"):
                export(small, target, labels=labels)
            with pytest.raises(MediaFMError, match="title_id of row 1 is empty"):
                export(
                    small,
                    target,
                    labels=pa.table({"title_id": [""], "clip_id": ["a"], "x": [1]}),
                    replace=True,
                )
            assert len(TrainingSet.open(target)) == 4 * len(TITLES)
            export(small, target, labels=labels, replace=True)
            assert len(TrainingSet.open(target)) == labels.num_rows

    def test_something_else_is_never_replaced(self, small, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
        (tmp_path / "tables").mkdir()
        pq.write_table(pa.table({"a": [1]}), tmp_path / "tables" / "a.parquet")
        pq.write_table(pa.table({"a": [1]}), tmp_path / "labels.parquet")
        (tmp_path / "notes").write_text("mine")
        (tmp_path / "set.parquet").mkdir()
        for name in ("photos", "tables", "labels.parquet", "notes", "set.parquet"):
            expected = f"{name}.*(Parquet|no training set|is a folder|is a file)"
            with pytest.raises(MediaFMError, match=expected):
                export(small, tmp_path / name, replace=True)
        assert (tmp_path / "notes").read_text() == "mine"
        assert pq.read_table(tmp_path / "labels.parquet").column_names == ["a"]
        assert (tmp_path / "photos" / "cat.jpg").exists()
        assert (tmp_path / "tables" / "a.parquet").exists()

    def test_a_place_that_cannot_be_written(self, small, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError, match=r"cannot be written .*: make space, or take"):
            export(small, tmp_path / "file" / "set.parquet")
        for place in ("s3://bucket/prefix", "http://host/set.parquet", "s3://b/x.parquet"):
            with pytest.raises(MediaFMError, match=r"names|usable|no file"):
                mediafm_core.export(place, store=small.root)

    def test_a_set_of_many_files(self, small, tmp_path: Path, labels, monkeypatch) -> None:
        from mediafm_core.training_sets import parquet_files

        monkeypatch.setattr(parquet_files, "ROWS_READ_TOGETHER", 4)
        monkeypatch.setattr(parquet_files, "_FILE_BYTES", 4 * HIDDEN * 8)
        exported = export(small, tmp_path / "set", labels=labels)
        assert exported.files == 4
        names = [f"part-{number:05d}-of-00004.parquet" for number in range(4)]
        assert sorted(path.name for path in (tmp_path / "set").iterdir()) == names
        assert TrainingSet.open(tmp_path / "set").labels("score").tolist() == sorted(
            labels["score"].to_pylist()
        )
        (tmp_path / "set" / names[2]).unlink()
        with pytest.raises(MediaFMError, match="has 17 of 25 rows: a file is missing"):
            TrainingSet.open(tmp_path / "set")


def test_genres_are_all_there(small, out: Path) -> None:
    export(small, out)
    assert set(TrainingSet.open(out).labels("genre")) == set(GENRES)
