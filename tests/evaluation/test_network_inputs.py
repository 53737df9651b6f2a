"""Inputs of a network as a representation: their blocks, and what they are fitted on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from made_tables import HEARD, SEEN, WIDTHS, made_table, written

from mediafm_core.evaluation.network_inputs import (
    COMPONENTS,
    REACHES,
    CompactInputs,
    Components,
    FittedInputs,
    neighbour_means,
)
from mediafm_core.evaluation.table_units import read_table
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.training.novelty_statistics import fit_novelty
from mediafm_core.overlaps import OverlappingPairs
from mediafm_core.vectors import unit_length

TITLES, SHOTS = 4, 25
FOLD_OF = np.repeat([0, 1, 1, 0], SHOTS)


def read(table: pa.Table, folder: Path) -> Units:
    return read_table(written(table, folder / "shots.parquet"), [SEEN, HEARD], ["label"])


@pytest.fixture
def units(tmp_path: Path) -> Units:
    return read(made_table(titles=TITLES, shots=SHOTS), tmp_path)


def compact(units: Units, folder: Path) -> CompactInputs:
    return CompactInputs("compact", units, FOLD_OF, 0, folder)


class TestNeighbourMeans:
    def test_are_over_the_neighbours_that_are_present(self) -> None:
        random = np.random.default_rng(0)
        present = np.arange(20) % 4 != 1
        vectors = random.standard_normal((20, 3)).astype(np.float32) * present[:, None]
        found = neighbour_means(vectors, present).reshape(20, len(REACHES), 2, 3)
        for shot in range(20):
            for place, reach in enumerate(REACHES):
                sides = (range(shot - reach, shot), range(shot + 1, shot + reach + 1))
                for side, shots in enumerate(sides):
                    near = [each for each in shots if 0 <= each < 20 and present[each]]
                    expected = vectors[near].mean(axis=0) if near else np.zeros(3)
                    np.testing.assert_allclose(found[shot, place, side], expected, atol=1e-6)

    def test_of_a_single_shot_are_zero(self) -> None:
        assert not neighbour_means(np.ones((1, 2), np.float32), np.array([True])).any()


class TestComponents:
    @pytest.mark.parametrize("shots", [500, 40])
    def test_of_a_wide_modality_are_its_leading_ones(self, shots: int) -> None:
        random = np.random.default_rng(1)
        spread = np.linspace(3, 0.1, 60)
        vectors = unit_length((random.standard_normal((shots, 60)) * spread).astype(np.float32))
        title = TitleUnits("film", vectors, None, np.zeros((0, 2), np.int64))
        fitted = FittedInputs.of([title], [(0, 60)])
        (found,) = fitted.modalities
        assert found.axes.shape == (60, COMPONENTS)
        np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(COMPONENTS), atol=1e-4)
        variances = found(vectors).var(axis=0)
        assert (np.diff(variances) < 0).all()
        others = np.linalg.svd(vectors - vectors.mean(axis=0))[1] ** 2 / shots
        np.testing.assert_allclose(variances, others[:COMPONENTS], rtol=1e-3)
        np.testing.assert_allclose(
            Components.of(vectors)(vectors).var(axis=0), variances, rtol=1e-3
        )

    def test_of_a_missing_vector_are_the_mean(self) -> None:
        vectors = np.random.default_rng(2).standard_normal((50, 3)).astype(np.float32) + 1
        vectors[::5] = 0
        found = Components.of(vectors)(vectors)
        assert not found[::5].any()
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)

    def test_without_any_vector(self, units: Units) -> None:
        title = units.read(0)
        deaf = title.fused.copy()
        deaf[:, WIDTHS[SEEN] :] = 0
        silent = replace(title, fused=unit_length(deaf))
        fitted = FittedInputs.of([silent], sorted(units.ranges.values()))
        assert not fitted.blocks(silent)[0][:, WIDTHS[SEEN] :].any()
        assert np.isfinite(np.concatenate(fitted.blocks(title), axis=1)).all()


class TestBlocks:
    def test_are_components_novelty_and_means(self, units: Units, tmp_path: Path) -> None:
        ((components, novelty, means),) = compact(units, tmp_path).parts(1)
        width = sum(WIDTHS.values())
        assert components.shape == (TITLES * SHOTS, width)
        assert means.shape == (TITLES * SHOTS, 2 * len(REACHES) * width)
        outside = [torch.tensor(units.read(index).fused) for index in (0, 3)]
        features = NoveltyFeatures(sorted(units.ranges.values()))
        fit_novelty(features, outside)
        expected = features(torch.tensor(units.read(2).fused)[None])[0].numpy()
        np.testing.assert_allclose(novelty[2 * SHOTS : 3 * SHOTS], expected, atol=1e-4)

    def test_are_fitted_on_the_titles_outside_the_fold(self, units: Units, tmp_path: Path) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        other = made_table(titles=TITLES, shots=SHOTS, seed=5)
        tested = FOLD_OF == 0
        changed = pa.concat_tables(
            [other.filter(pa.array(tested)), table.filter(pa.array(~tested))]
        )
        (tmp_path / "other").mkdir()
        others = read(changed, tmp_path / "other")
        for fold, is_same in ((0, True), (1, False)):
            before = compact(units, tmp_path).parts(fold)[0]
            after = compact(others, tmp_path).parts(fold)[0]
            for one, two in zip(before, after, strict=True):
                assert np.array_equal(one[~tested], two[~tested]) == is_same

    def test_are_read_from_files_the_next_time(self, units: Units, tmp_path: Path) -> None:
        first = compact(units, tmp_path).parts(0)[0]

        def unreadable(index: int) -> TitleUnits:
            raise AssertionError(index)

        again = compact(replace(units, read=unreadable), tmp_path).parts(0)[0]
        for one, two in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, two)

    def test_of_clips_are_pooled_by_their_seconds(self, units: Units) -> None:
        title = units.read(0)
        weights = OverlappingPairs(
            np.array([0, 0, 1]), np.array([2, 3, 7]), np.array([1.0, 3.0, 5.0])
        )
        clips = replace(title, spans=np.array([[2, 4], [7, 8]]), weights=weights)
        fitted = FittedInputs.of([title], sorted(units.ranges.values()))
        for shots, pooled in zip(fitted.blocks(title), fitted.blocks(clips), strict=True):
            expected = np.stack([(shots[2] + 3 * shots[3]) / 4, shots[7]])
            np.testing.assert_allclose(pooled, expected, atol=1e-5)

    def test_metadata_stand_beside_the_components(self, units: Units) -> None:
        random = np.random.default_rng(3)
        titles = [
            replace(units.read(index), metadata=random.standard_normal(8).astype(np.float32))
            for index in range(3)
        ]
        fitted = FittedInputs.of(titles, sorted(units.ranges.values()))
        width = sum(WIDTHS.values())
        described, undescribed = fitted.blocks(titles[0])[0], fitted.blocks(units.read(3))[0]
        assert described.shape == undescribed.shape == (SHOTS, width + 3)
        assert described[0, width:].any()
        np.testing.assert_array_equal(described[0, width:], described[-1, width:])
        assert not undescribed[:, width:].any()
