"""Labels of exported sets: their types and selection, and errors for unusable ones."""

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from labelled_catalogue import TITLES, export

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import MediaFMError, StoreError, TitleError


class TestLabels:
    def test_of_the_catalogue_get_the_types_of_their_text(self, small, out: Path) -> None:
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
            r"1 clip of titles it has \(alpha chase\): correct them, or .* --skip-unknown",
            labels=labels,
        )
        exported = export(small, out, labels=labels, skip_unknown=True)
        assert (exported.record.rows, exported.record.left_out) == (1, 3)
        assert TrainingSet.open(out).labels("genre").tolist() == ["a"]

    def test_all_unknown(self, small, out: Path) -> None:
        labels = pa.table({"title_id": ["omega"], "start_s": [0], "end_s": [1], "x": [1]})
        self.refused(small, out, "1 title .omega.: correct them", labels=labels)
        self.refused(small, out, "label clips that it has", labels=labels, skip_unknown=True)

    def test_repeated(self, small, out: Path) -> None:
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
    def test_reserved_column_names(self, small, out: Path, labels, name: str) -> None:
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
    def test_unusable_tables(self, small, out: Path, table, message: str) -> None:
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
    def test_unreadable_files(
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
