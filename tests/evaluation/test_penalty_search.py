"""Penalties are chosen inside the training titles, on a grid that is extended at its ends."""

import numpy as np
import pytest
from labelled_units import labels_of, titles_of

from mediafm_core.evaluation.penalty_search import STRENGTHS, Penalty, choose_penalty
from mediafm_core.evaluation.probe_blocks import MOST_AXES, BlockAxes
from mediafm_core.evaluation.probe_problem import ProbeProblem

_TITLES = titles_of(10, 40)
_COUNT = len(_TITLES)


def _chosen(labels_values: np.ndarray, *blocks: np.ndarray) -> Penalty:
    features = [block.astype(np.float32) for block in blocks]
    problem = ProbeProblem.of(labels_of(labels_values), _TITLES, np.arange(_COUNT))
    axes = BlockAxes.of(features)
    fold_of = np.arange(_COUNT) // 40 % 3
    inner = [(fold_of != fold, fold_of == fold) for fold in range(3)]
    return choose_penalty(axes.coordinates(features), axes, problem, inner, _COUNT)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def test_noise_in_a_block_of_its_own_costs_less_than_beside_the_signal(
    random: np.random.Generator,
) -> None:
    positives = random.random(_COUNT) < 0.3
    signal = random.normal(size=(_COUNT, 3)) + positives[:, None]
    noise = random.normal(size=(_COUNT, 200))
    apart = _chosen(positives, signal, noise)
    assert apart.strengths.shape == (2,)
    assert apart.value > _chosen(positives, np.hstack([signal, noise])).value + 0.05


def test_where_the_penalty_has_no_effect_the_stronger_one_is_taken(
    random: np.random.Generator,
) -> None:
    positives = random.random(_COUNT) < 0.3
    penalty = _chosen(positives, random.normal(size=(_COUNT, 1)) + positives[:, None])
    assert (penalty.strengths[0], penalty.end) == (STRENGTHS[0], None)


def test_an_end_of_the_extended_grid_is_named(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    # Only the weights of all axes together separate the labels, however weak the penalty: the sum
    # of the first columns is the label, and its variance is 1e-7 of theirs.
    common = 300 * random.normal(size=_COUNT)
    narrow = np.stack([common, 0.3 * positives + 0.03 * random.normal(size=_COUNT) - common], 1)
    assert _chosen(positives, narrow).end == "weakest"
    wide = random.normal(size=(_COUNT, 3)) + positives[:, None]
    assert _chosen(positives, wide).end is None


def test_the_grid_goes_beyond_its_first_ends(random: np.random.Generator) -> None:
    # Many weak features: the direction of the difference of the means is best.
    positives = random.random(_COUNT) < 0.5
    wide = random.normal(size=(_COUNT, 1200)) + 0.1 * positives[:, None]
    assert _chosen(positives, wide).strengths[0] >= STRENGTHS[1]


def test_without_inner_folds_or_a_metric_there_is_a_default(random: np.random.Generator) -> None:
    vectors = random.normal(size=(_COUNT, 3)).astype(np.float32)
    axes = BlockAxes.of([vectors])
    rows = np.arange(_COUNT) < 40
    constant = ProbeProblem.of(labels_of(rows), _TITLES, np.arange(_COUNT))
    coordinates = axes.coordinates([vectors])
    for inner in ([], [(rows, ~rows)]):  # trained on positives only
        penalty = choose_penalty(coordinates, axes, constant, inner, _COUNT)
        assert np.isnan(penalty.value)
        assert 0 < penalty.strengths[0] < 1


def test_several_blocks_keep_a_number_of_axes_each(random: np.random.Generator) -> None:
    wide = random.normal(size=(_COUNT, MOST_AXES + 50)).astype(np.float32)
    narrow = np.hstack([random.normal(size=(_COUNT, 3)), np.ones((_COUNT, 2))]).astype(np.float32)
    assert len(BlockAxes.of([wide]).variances) == MOST_AXES + 50
    axes = BlockAxes.of([wide, narrow])
    assert np.bincount(axes.block_of).tolist() == [MOST_AXES, 3]
    assert axes.penalties(np.array([[1.0, 2.0]])).shape == (MOST_AXES + 3, 1)
    assert axes.penalties(np.array([[1.0, 2.0]]))[-1] == 2
