"""Tables of shots: valid ones, and errors that name file, title and shot."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_tables import HEARD, SEEN, WIDTHS, made_table, written

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.table_units import read_table, unnormalised
from mediafm_core.evaluation.units import NotMeasurableError, Units, with_zeros_for, without


def plain(**changes: object) -> pa.Table:
    """Return a table of two titles with two shots each."""
    columns: dict[str, object] = {
        "title": ["b", "a", "a", "b"],
        "shot_index": [7, 1, 0, 3],
        "seen": [[3.0, 4.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]],
        "heard": [[5.0], None, [-1.0], [2.0]],
        "label": [True, False, True, None],
    }
    return pa.table({**columns, **changes})


def read(table: pa.Table, folder: Path) -> Units:
    return read_table(written(table, folder / "shots.parquet"), ["seen", "heard"], ["label"])


class TestReading:
    def test_titles_and_shots_in_order(self, tmp_path: Path) -> None:
        units = read(plain(), tmp_path)
        assert units.titles == ["a", "b"]
        assert units.title_of.tolist() == [0, 0, 1, 1]
        assert units.ranges == {"seen": (0, 2), "heard": (2, 3)}
        assert units.labels.values[units.labels.known].tolist() == [True, False, True]
        assert units.labels.known.tolist() == [True, True, False, True]
        assert units.longest == 2

    def test_each_modality_and_the_fused_vector_have_unit_length(self, tmp_path: Path) -> None:
        units = read(plain(), tmp_path)
        half = np.sqrt(0.5)
        np.testing.assert_allclose(units.read(0).fused, [[0, half, -half], [1, 0, 0]], rtol=1e-6)
        np.testing.assert_allclose(units.read(1).fused[1], [0.6 * half, 0.8 * half, half], 1e-6)

    def test_unnormalised_modalities_keep_their_lengths(self, tmp_path: Path) -> None:
        units = read(plain(), tmp_path)
        as_they_are = unnormalised(units, tmp_path / "shots.parquet")
        np.testing.assert_allclose(as_they_are.read(1).fused[1], np.array([3, 4, 5]) / 50**0.5)
        assert as_they_are.digest != units.digest

    @pytest.mark.parametrize(
        "kind",
        [
            pa.list_(pa.float64()),
            pa.large_list(pa.float32()),
            pa.list_(pa.float16(), WIDTHS[SEEN]),
            "text",
        ],
    )
    def test_vectors_of_every_kind(self, kind: pa.DataType | str, tmp_path: Path) -> None:
        table = made_table(titles=3, shots=5)
        rows = table[SEEN].to_pylist()
        expected = read_table(written(table, tmp_path / "first.parquet"), [SEEN], ["label"])
        if kind == "text":
            path = tmp_path / "shots.csv"
            columns = {**table.select(["title", "shot_index", "label"]).to_pydict()}
            lines = [
                f'{title},{shot},{str(label).lower()},"{json.dumps(row)}"'
                for title, shot, label, row in zip(*columns.values(), rows, strict=True)
            ]
            path.write_text("\n".join([f"title,shot_index,label,{SEEN}", *lines]) + "\n")
        else:
            place = table.column_names.index(SEEN)
            path = written(
                table.set_column(place, SEEN, pa.array(rows, kind)), tmp_path / "shots.parquet"
            )
        found = read_table(path, [SEEN], ["label"])
        for place in range(3):
            np.testing.assert_allclose(
                found.read(place).fused, expected.read(place).fused, atol=1e-3
            )
        assert found.labels.values.tolist() == expected.labels.values.tolist()

    def test_an_absent_vector_in_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "shots.csv"
        path.write_text(
            "title,shot_index,seen,heard,label\n"
            'a,0,"[1, 0]",,1\na,1,"[0, 1]","[2]",0\nb,0,,"[3]",\n'
        )
        units = read_table(path, ["seen", "heard"], ["label"])
        assert units.read(0).fused[0].tolist() == [1, 0, 0]
        assert units.read(1).fused[0].tolist() == [0, 0, 1]
        assert units.labels.known.tolist() == [True, True, False]

    def test_order_of_rows_changes_nothing(self, tmp_path: Path) -> None:
        table = made_table(titles=3, shots=9)
        order = np.random.default_rng(0).permutation(table.num_rows)
        shuffled = tmp_path / "shuffled.parquet"
        pq.write_table(table.take(pa.array(order)), shuffled, row_group_size=4)
        one = read_table(written(table, tmp_path / "shots.parquet"), [SEEN, HEARD], ["label"])
        assert read_table(shuffled, [SEEN, HEARD], ["label"]).digest == one.digest


class TestModalities:
    def test_left_out(self, tmp_path: Path) -> None:
        units = read_table(
            written(made_table(titles=2, shots=4), tmp_path / "t.parquet"), [SEEN, HEARD], ["label"]
        )
        alone = read_table(tmp_path / "t.parquet", [HEARD], ["label"])
        fused = without(units, SEEN).read(1).fused
        assert without(units, SEEN).ranges == {HEARD: (0, WIDTHS[HEARD])}
        np.testing.assert_allclose(fused, alone.read(1).fused, atol=1e-6)
        zeroed = with_zeros_for(units, SEEN).read(1).fused
        assert not zeroed[:, : WIDTHS[SEEN]].any()
        np.testing.assert_allclose(zeroed[:, WIDTHS[SEEN] :], fused, atol=1e-6)

    def test_a_shot_without_another_modality_is_not_measurable(self, tmp_path: Path) -> None:
        units = read(plain(), tmp_path)
        with pytest.raises(NotMeasurableError, match=r"a has 1 shots with no vector but seen"):
            without(units, "seen").read(0)


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"shot_index": [7, 0, 0, 3]}, "a, shot 0 occurs twice"),
            ({"shot_index": [7, 1, None, 3]}, "shot_index is missing in 1 rows"),
            ({"shot_index": [7, 1.5, 0, 3]}, "must hold whole numbers"),
            ({"title": ["b", None, "a", "b"]}, "title is missing in 1 rows"),
            ({"seen": [[1.0, float("nan")], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}, "b, shot 7"),
            ({"seen": [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}, "a, shot 1 is all zeros"),
            ({"seen": [[1.0], [1.0, 0.0], [1.0], [1.0]]}, "seen of a, shot 1 has 2 numbers"),
            ({"seen": [[1.0, 1.0], None, [1.0, 0.0], [1.0, 1.0]]}, "a, shot 1 has no vector in"),
            ({"seen": pa.nulls(4, pa.list_(pa.float32()))}, "seen has no vector in any row"),
            ({"seen": [[1.0, None], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]}, "null"),
            ({"seen": [0.5, 1.0, 2.0, 3.0]}, "vectors are lists of floats"),
            ({"seen": ["[1, x]", "[1, 0]", "[1, 0]", "[1, 1]"]}, "holds no vectors"),
            ({"seen": ["[1 2]", "[1 0]", "[1 0]", "[1 1]"]}, "holds no vectors"),
            ({"heard": pa.nulls(4, pa.list_(pa.float32(), 2))}, "heard has no vector in any row"),
            ({"seen": pa.array([[]] * 4, pa.list_(pa.float32()))}, "without a number"),
        ],
    )
    def test_by_title_and_shot(self, changes: dict, message: str, tmp_path: Path) -> None:
        with pytest.raises(MediaFMError, match=message):
            read(plain(**changes), tmp_path)

    def test_files(self, tmp_path: Path) -> None:
        damaged = tmp_path / "shots.parquet"
        damaged.write_bytes(b"PAR1 is not enough")
        empty = written(plain().slice(0, 0), tmp_path / "empty.parquet")
        header = tmp_path / "header.csv"
        header.write_text("title,shot_index,seen,label\n")
        other = tmp_path / "shots.xlsx"
        other.touch()
        for path, message in (
            (damaged, "cannot be read"),
            (empty, "has no rows"),
            (header, "has no rows"),
            (other, "neither Parquet nor CSV"),
            (tmp_path / "none.csv", "There is no file"),
        ):
            with pytest.raises(MediaFMError, match=message):
                read_table(path, ["seen"], ["label"])

    def test_columns(self, tmp_path: Path) -> None:
        path = written(plain(), tmp_path / "shots.parquet")
        with pytest.raises(MediaFMError, match="no column 'felt': it has title, shot_index, seen"):
            read_table(path, ["felt"], ["label"])
        with pytest.raises(MediaFMError, match="'seen' is named twice"):
            read_table(path, ["seen", "seen"], ["label"])
        twice = written(plain().append_column("label", pa.array([1] * 4)), tmp_path / "2.parquet")
        with pytest.raises(MediaFMError, match="has two columns 'label': rename one"):
            read_table(twice, ["seen"], ["label"])
