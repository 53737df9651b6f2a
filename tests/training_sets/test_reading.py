"""Training sets as Arrow, pandas and numpy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelled_catalogue import TITLES, LabelledCatalogue
from small_catalogue import HIDDEN, MODEL, OTHER_MODEL

import mediafm_core
from mediafm_core import TrainingSet
from mediafm_core.errors import IdentityMismatchError, MediaFMError
from mediafm_core.training_sets.footer import RECORD_KEY
from mediafm_core.vectors import to_numpy

SHARES = {"train": 0.6, "check": 0.2, "test": 0.2}


@pytest.fixture(scope="module")
def split_set(small: LabelledCatalogue, labels: pa.Table, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "set"
    mediafm_core.export(path, labels=labels, split=SHARES, store=small.root)
    return path


class TestViews:
    def test_arrow_equals_the_parquet_files(self, split_set: Path) -> None:
        found = TrainingSet.open(split_set)
        written = pq.read_table(split_set)
        assert found.to_arrow().equals(written)
        assert len(found) == written.num_rows
        assert found.column_names == written.column_names
        assert found.to_arrow(["score", "title_id"]).column_names == ["score", "title_id"]

    def test_any_reader_of_parquet_reads_it(self, split_set: Path) -> None:
        table = pd.read_parquet(split_set)
        assert len(table["embedding"][0]) == HIDDEN

    def test_pandas_has_columns_of_arrow(self, split_set: Path) -> None:
        found = TrainingSet.open(split_set)
        frame = found.to_pandas()
        assert list(frame.columns) == found.column_names
        assert {type(kind) for kind in frame.dtypes} == {pd.ArrowDtype}
        np.testing.assert_array_equal(to_numpy(pa.array(frame["embedding"])), found.matrix())

    def test_the_matrix_is_mapped_and_not_copied(self, split_set: Path) -> None:
        found = TrainingSet.open(split_set)
        for part in (found, found.split("test")):
            matrix = part.matrix()
            assert isinstance(matrix, np.memmap)
            assert not matrix.flags.writeable
            np.testing.assert_array_equal(matrix, to_numpy(part.to_arrow()["embedding"]))

    def test_labels_as_arrays(self, split_set: Path) -> None:
        found = TrainingSet.open(split_set)
        assert found.labels("score").dtype == np.float64
        assert sorted(found.labels("score")) == [number / 4 for number in range(25)]
        with pytest.raises(MediaFMError, match="no column 'mood': it has title_id, "):
            found.labels("mood")
        with pytest.raises(MediaFMError, match="'genre' is a label, not a column of vectors"):
            found.matrix("genre")

    def test_unpacked_vectors_are_removed_with_the_set(
        self, split_set: Path, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        found = TrainingSet.open(split_set).split("test")
        assert not list(tmp_path.iterdir())
        matrix = found.matrix()
        assert list(tmp_path.iterdir())
        del found
        assert not list(tmp_path.iterdir())
        assert np.isfinite(matrix).all()  # what is mapped stays

    def test_a_full_disk_while_unpacking(
        self, split_set: Path, tmp_path: Path, monkeypatch
    ) -> None:
        found = TrainingSet.open(split_set)
        monkeypatch.setattr(np.lib.format, "write_array_header_1_0", _disk_full)
        with pytest.raises(MediaFMError, match=r"cannot be unpacked in .*No space.*TMPDIR"):
            found.matrix()


class TestSplits:
    def test_keep_titles_whole_and_contain_all_rows(self, split_set: Path) -> None:
        found = TrainingSet.open(split_set)
        assert found.split_names == list(SHARES)
        titles = [set(found.split(name).to_arrow()["title_id"].to_pylist()) for name in SHARES]
        assert [len(each) for each in titles] == [3, 1, 1]
        assert set.union(*titles) == set(TITLES)
        assert sum(len(found.split(name)) for name in SHARES) == len(found)

    def test_unknown(self, split_set: Path, small, tmp_path: Path) -> None:
        with pytest.raises(MediaFMError, match="no split 'dev': there are train, check, test"):
            TrainingSet.open(split_set).split("dev")
        mediafm_core.export(tmp_path / "set", store=small.root)
        with pytest.raises(MediaFMError, match="no split 'test': export the set with splits"):
            TrainingSet.open(tmp_path / "set").split("test")

    def test_from_a_column_of_the_labels(self, small, labels: pa.Table, tmp_path: Path) -> None:
        own = ["b" if title == "gamma" else "a" for title in labels["title_id"].to_pylist()]
        own = labels.append_column("split", pa.array(own))
        mediafm_core.export(tmp_path / "set", labels=own, store=small.root)
        found = TrainingSet.open(tmp_path / "set")
        assert set(found.split("b").to_arrow()["title_id"].to_pylist()) == {"gamma"}
        parts = [found.split(name) for name in "ab"]
        assert [len(part.matrix()) for part in parts] == [20, 5]
        expected = found.matrix()[found.labels("split") == "a"]
        np.testing.assert_array_equal(parts[0].matrix(), expected)

    def test_a_title_in_two_is_refused(self, small, labels: pa.Table, tmp_path: Path) -> None:
        for name, seed in (("one", 0), ("other", 1)):
            mediafm_core.export(
                tmp_path / name, labels=labels, split=SHARES, seed=seed, store=small.root
            )
        with pytest.raises(MediaFMError, match=r"titles are in more than one split .*leak"):
            TrainingSet.open(tmp_path / "one", tmp_path / "other")


class TestSeveral:
    def test_follow_each_other(self, small, tmp_path: Path, labels: pa.Table) -> None:
        half = labels.num_rows // 2
        parts = (labels.slice(0, half).drop("score"), labels.slice(half))
        for name, part in zip("ab", parts, strict=True):
            mediafm_core.export(tmp_path / name, labels=part, store=small.root)
        both = TrainingSet.open(tmp_path / "a", tmp_path / "b")
        alone = [TrainingSet.open(tmp_path / name) for name in "ab"]
        np.testing.assert_array_equal(both.matrix(), np.concatenate([s.matrix() for s in alone]))
        assert np.isnan(both.labels("score")).sum() == half
        assert len(both.torch("score")) == labels.num_rows - half

    def test_of_different_models_are_refused(self, tmp_path: Path) -> None:
        small = LabelledCatalogue(tmp_path / "store").filled("alpha")
        mediafm_core.export(tmp_path / "a", store=small.root)
        small.write("alpha", OTHER_MODEL)
        small.publish("alpha", model=OTHER_MODEL)
        mediafm_core.export(tmp_path / "b", store=small.root)
        with pytest.raises(IdentityMismatchError, match=f"a is of {MODEL} and .*{OTHER_MODEL}"):
            TrainingSet.open(tmp_path / "a", tmp_path / "b")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"float16": True}, "is of float32 and .* of float16"),
            ({"fused": True}, "Only some of the sets have 'fused'"),
        ],
    )
    def test_of_other_columns_are_refused(
        self, small, tmp_path: Path, options: dict, message: str
    ) -> None:
        mediafm_core.export(tmp_path / "a", store=small.root)
        mediafm_core.export(tmp_path / "b", store=small.root, **options)
        with pytest.raises(MediaFMError, match=message):
            TrainingSet.open(tmp_path / "a", tmp_path / "b")

    def test_of_other_types_are_refused(self, small, tmp_path: Path, labels: pa.Table) -> None:
        mediafm_core.export(tmp_path / "a", labels=labels, store=small.root)
        words = labels.set_column(3, "score", pa.array(["x"] * labels.num_rows))
        mediafm_core.export(tmp_path / "b", labels=words, store=small.root)
        with pytest.raises(MediaFMError, match="columns of one name and different types"):
            TrainingSet.open(tmp_path / "a", tmp_path / "b")


class TestBadSets:
    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(MediaFMError, match="No training set is named"):
            TrainingSet.open()
        with pytest.raises(MediaFMError, match=r"There is no .*none.parquet"):
            TrainingSet.open(tmp_path / "none.parquet")
        with pytest.raises(MediaFMError, match="a folder without Parquet files"):
            TrainingSet.open(tmp_path)

    def test_other_files(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
        with pytest.raises(MediaFMError, match="is no training set: make one"):
            TrainingSet.open(tmp_path / "a.parquet")
        (tmp_path / "b.parquet").write_bytes(b"PAR1")
        with pytest.raises(MediaFMError, match="cannot be read as Parquet"):
            TrainingSet.open(tmp_path / "b.parquet")

    def test_of_a_later_version(self, tmp_path: Path) -> None:
        table = pa.table({"a": [1]}).replace_schema_metadata({RECORD_KEY: b'{"format_version": 2}'})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(MediaFMError, match=r"a record that cannot be read \(format_version"):
            TrainingSet.open(tmp_path / "a.parquet")

    def test_files_of_two_sets_in_one_folder(self, small, tmp_path: Path) -> None:
        for name in ("a", "b"):
            mediafm_core.export(tmp_path / "set" / f"{name}.parquet", store=small.root)
        with pytest.raises(MediaFMError, match=r"b.parquet is of another set than .*a.parquet"):
            TrainingSet.open(tmp_path / "set")


def _disk_full(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")
