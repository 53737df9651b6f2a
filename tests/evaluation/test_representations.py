"""Representations without a network, and the names of defaults and ablations."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_tables import HEARD, SEEN, WIDTHS, made_table, written

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.fixed_representations import fixed_representation
from mediafm_core.evaluation.network_vectors import VectorRequest
from mediafm_core.evaluation.representations import (
    NetworkVariant,
    ablations,
    default_names,
    network_request,
    require_free_names,
    without_training,
)
from mediafm_core.evaluation.table_units import read_table
from mediafm_core.evaluation.units import Units

SHOTS = 7


@pytest.fixture
def units(tmp_path: Path) -> Units:
    table = written(made_table("chance", titles=2, shots=SHOTS), tmp_path / "shots.parquet")
    return read_table(table, [SEEN, HEARD], ["label"])


def parts(name: str, units: Units) -> list[np.ndarray]:
    found = fixed_representation(name, units)
    assert found is not None
    return found.parts(0)


def test_flat_is_the_fused_vector(units: Units) -> None:
    (flat,) = parts("flat", units)
    np.testing.assert_array_equal(flat, np.concatenate([units.read(0).fused, units.read(1).fused]))


def test_modalities_have_unit_length(units: Units) -> None:
    (seen,), (heard,) = parts(SEEN, units), parts(HEARD, units)
    assert (seen.shape[1], heard.shape[1]) == (WIDTHS[SEEN], WIDTHS[HEARD])
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, rtol=1e-5)
    for part, modality in zip(parts("late_fusion", units), (seen, heard), strict=True):
        np.testing.assert_array_equal(part, modality)


def test_neighbours_stop_at_the_ends_of_a_title(units: Units) -> None:
    (flat,), (beside,) = parts("flat", units), parts("neighbours", units)
    width = flat.shape[1]
    for title in range(2):
        for shot in range(SHOTS):
            row = title * SHOTS + shot
            before = flat[row - 1] if shot else np.zeros(width)
            after = flat[row + 1] if shot + 1 < SHOTS else np.zeros(width)
            np.testing.assert_array_equal(beside[row], np.concatenate([before, flat[row], after]))


def test_similarities_are_those_across_the_start_of_a_shot(units: Units) -> None:
    (found,) = parts("similarities", units)
    assert found.shape == (2 * SHOTS, 20)
    fused = units.read(1).fused
    for shot in range(SHOTS):
        expected = [  # the first and the last shot are repeated beyond the ends
            fused[max(shot - back, 0)] @ fused[min(shot + on, SHOTS - 1)]
            for back in range(1, 5)
            for on in range(5)
        ]
        np.testing.assert_allclose(found[SHOTS + shot], expected, atol=1e-6)


@pytest.mark.parametrize(("modality", "columns"), [(SEEN, slice(0, 6)), (HEARD, slice(6, 10))])
def test_similarities_of_a_modality(units: Units, modality: str, columns: slice) -> None:
    (found,) = parts(f"similarities_{modality}", units)
    vectors = units.read(0).fused[:, columns]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(found[3, 0], vectors[2] @ vectors[3], atol=1e-6)
    np.testing.assert_allclose(found[3, 8], vectors[1] @ vectors[6], atol=1e-6)


def test_a_single_modality_has_no_similarities_of_its_own(tmp_path: Path) -> None:
    table = written(made_table(titles=2, shots=SHOTS), tmp_path / "shots.parquet")
    one = read_table(table, [SEEN], ["label"])
    assert fixed_representation(f"similarities_{SEEN}", one) is None


class TestNames:
    def test_without_training(self, units: Units) -> None:
        names = ["both", "flat", SEEN, "alone", "inputs", "untrained", f"similarities_{SEEN}"]
        assert without_training(names, units) == [
            "flat",
            SEEN,
            "inputs",
            "untrained",
            f"similarities_{SEEN}",
        ]

    def test_default_names(self, units: Units, tmp_path: Path) -> None:
        assert default_names(units) == [
            SEEN,
            HEARD,
            "flat",
            "late_fusion",
            "neighbours",
            "similarities",
            "inputs",
            "untrained",
            "alone",
            "in_context",
            "both",
            "prefix",
        ]
        table = made_table(titles=2, shots=SHOTS)
        words = pa.array(np.where(table["label"].to_numpy(), "yes!", "no!"))
        path = written(table.append_column("mood", words), tmp_path / "words.parquet")
        one = read_table(path, [SEEN], ["mood"])
        assert default_names(one)[0] == "flat"
        assert "late_fusion" not in default_names(one)
        assert default_names(one)[-1] == "title"
        assert ablations(one, trained=True) == ["published"]

    def test_ablations_are_those_that_apply(self, units: Units) -> None:
        names = ablations(units, trained=True)
        assert f"in_context_zeroed_{SEEN}" in names
        assert "published" in names
        assert all(name.startswith("in_context_zeroed") for name in ablations(units, trained=False))

    def test_network_requests(self, units: Units) -> None:
        in_context = VectorRequest("in_context")
        assert network_request("prefix", units) == (NetworkVariant(), VectorRequest("prefix"))
        assert network_request("untrained", units) == (NetworkVariant(trained=False), in_context)
        assert network_request("in_context_window_32", units) == (
            NetworkVariant(window=32),
            in_context,
        )
        assert network_request("in_context@ab12", units) == (
            NetworkVariant(model="ab12"),
            in_context,
        )
        assert network_request(f"in_context_zeroed_{HEARD}", units) == (
            NetworkVariant(),
            VectorRequest("in_context", HEARD),
        )
        assert network_request("published", units) == (
            NetworkVariant(preset="published"),
            in_context,
        )
        for name in ("in_context_zeroed_taste", "in_context_window_0", "sideways", "my_in_context"):
            with pytest.raises(MediaFMError, match="There is no representation"):
                network_request(name, units)

    @pytest.mark.parametrize("name", ["flat", "both", "strongest", "similarities_seen"])
    def test_a_column_with_a_name_of_a_representation_is_refused(
        self, tmp_path: Path, name: str
    ) -> None:
        table = made_table(titles=2, shots=SHOTS).rename_columns(
            ["title", "shot_index", name, HEARD, "label"]
        )
        units = read_table(written(table, tmp_path / "t.parquet"), [name], ["label"])
        with pytest.raises(MediaFMError, match=f"'{name}' has the name of a representation"):
            require_free_names(units)
