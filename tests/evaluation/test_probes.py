"""Probes predict labels of unseen titles from informative vectors, and none from noise."""

import numpy as np
import pytest
from labelled_units import Vectors, labels_of, titles_of

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.evaluation.folds import folds_of
from mediafm_core.evaluation.metrics import metric_names, value
from mediafm_core.evaluation.probe_splits import by_folds
from mediafm_core.evaluation.probes import out_of_fold_scores

_TITLES = titles_of(12, 30)
_COUNT = len(_TITLES)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def _primary(
    representation: Vectors, labels: TaskLabels, titles: np.ndarray = _TITLES, folds: int = 3
) -> float:
    fold_of = folds_of(titles, labels, folds, seed=0)
    scores = out_of_fold_scores(representation, labels, titles, by_folds(fold_of), seed=0)
    return value(metric_names(labels.task)[0], scores, labels, titles)


def _tasks(hidden: np.ndarray) -> list[TaskLabels]:
    """Return labels of every task that are linear in `hidden`."""
    return [
        labels_of(hidden[:, 0] > 1),
        labels_of(hidden[:, 0] > 1, "retrieval"),
        labels_of(hidden[:, :3] > 1, "multilabel", ["a", "b", "c"]),
        labels_of(hidden[:, :3].argmax(axis=1), "multiclass", ["a", "b", "c"]),
        labels_of(hidden[:, 0], "ranking"),
    ]


def test_linear_labels_are_predicted_for_every_task(random: np.random.Generator) -> None:
    hidden = random.normal(size=(_COUNT, 8))
    mixed = hidden @ random.normal(size=(8, 40)) + 3
    for labels in _tasks(hidden):
        assert _primary(Vectors("mixed", mixed), labels) > 0.9, labels.task


def test_noise_predicts_no_label(random: np.random.Generator) -> None:
    hidden = random.normal(size=(_COUNT, 8))
    noise = Vectors("noise", random.normal(size=(_COUNT, 40)))
    # Base rates of 16 % (a little more by title, where few units are ranked), 16 %, a third, none.
    for labels, chance in zip(_tasks(hidden), (0.2, 0.2, 0.16, 0.33, 0), strict=True):
        assert _primary(noise, labels) == pytest.approx(chance, abs=0.08), labels.task


def test_vectors_of_titles_do_not_predict_labels_of_unseen_titles(
    random: np.random.Generator,
) -> None:
    # A probe trained on a tested title could predict its share of positives from these vectors.
    often = np.arange(12) % 2 == 0
    positives = random.random(_COUNT) < np.where(np.repeat(often, 30), 0.8, 0.1)
    of_title = np.repeat(np.eye(12), 30, axis=0)
    labels = labels_of(positives)
    fold_of = folds_of(_TITLES, labels, 10, seed=0)
    scores = out_of_fold_scores(
        Vectors("of_title", of_title), labels, _TITLES, by_folds(fold_of), seed=0
    )
    assert value("roc_auc_pooled", scores, labels, _TITLES) < 0.6


def test_a_signal_is_found_among_more_features_than_units(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    vectors = random.normal(size=(_COUNT, 1500))
    vectors[:, :20] += 0.7 * positives[:, None]
    assert _primary(Vectors("wide", vectors), labels_of(positives), folds=3) > 0.6


def test_scales_and_offsets_of_features_do_not_matter(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    vectors = random.normal(size=(_COUNT, 5)) + positives[:, None]
    labels = labels_of(positives)
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    found, scaled = (
        out_of_fold_scores(Vectors("x", one), labels, _TITLES, by_folds(fold_of), seed=0)
        for one in (vectors, vectors * [1e-4, 1, 10, 1e3, 1e5] + [1, 2, -30, 4, 5])
    )
    np.testing.assert_allclose(scaled, found, atol=0.02)


def test_ranking_predicts_order_within_titles_of_any_level(
    random: np.random.Generator,
) -> None:
    level = np.repeat(100 * random.normal(size=12), 30)
    hidden = random.normal(size=(_COUNT, 3))
    # Across titles the first feature runs against the order that it has within each.
    vectors = hidden + np.column_stack([-level, level, level])
    labels = labels_of(level + hidden[:, 0], "ranking")
    assert _primary(Vectors("x", vectors), labels, folds=10) > 0.8


def test_late_fusion_averages_the_scores_of_its_parts(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    parts = [random.normal(size=(_COUNT, 4)) + 0.5 * positives[:, None] for _ in range(2)]
    labels = labels_of(positives)
    fused = _primary(Vectors("late_fusion", *parts), labels)
    assert fused > max(_primary(Vectors("part", part), labels) for part in parts)
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    each = [
        out_of_fold_scores(Vectors("part", part), labels, _TITLES, by_folds(fold_of), 0)
        for part in parts
    ]
    both = out_of_fold_scores(Vectors("late_fusion", *parts), labels, _TITLES, by_folds(fold_of), 0)
    np.testing.assert_allclose(both, np.mean(each, axis=0))


def test_each_block_of_columns_has_a_penalty_of_its_own(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    strong = random.normal(size=(_COUNT, 2)) + 1.2 * positives[:, None]
    noise = random.normal(size=(_COUNT, 400))
    labels = labels_of(positives)
    blocks = Vectors("blocks")
    blocks._parts = [(strong.astype(np.float32), noise.astype(np.float32))]
    alone = _primary(Vectors("strong", strong), labels)
    together = _primary(Vectors("together", np.hstack([strong, noise])), labels)
    assert _primary(blocks, labels) > max(together + 0.1, alone - 0.03)


def test_one_block_is_scored_like_its_matrix(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    vectors = (random.normal(size=(_COUNT, 6)) + positives[:, None]).astype(np.float32)
    labels = labels_of(positives)
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    block = Vectors("block")
    block._parts = [(vectors,)]
    found, same = (
        out_of_fold_scores(one, labels, _TITLES, by_folds(fold_of), seed=0)
        for one in (Vectors("matrix", vectors), block)
    )
    np.testing.assert_array_equal(found, same)


def test_progress_moves_within_a_fold_and_ends_with_the_last(random: np.random.Generator) -> None:
    positives = random.random(_COUNT) < 0.3
    labels = labels_of(positives)
    shares: list[float] = []
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    vectors = Vectors("x", random.normal(size=(_COUNT, 4)))
    out_of_fold_scores(vectors, labels, _TITLES, by_folds(fold_of), 0, shares.append)
    assert len(shares) > 30
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def test_the_vectors_of_each_fold_are_those_of_its_own_network(
    random: np.random.Generator,
) -> None:
    positives = random.random(_COUNT) < 0.3
    labels = labels_of(positives)
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    asked = []

    class PerFold(Vectors):
        def parts(self, fold: int) -> list[np.ndarray]:
            asked.append(fold)
            turned = np.random.default_rng(fold).normal(size=(6, 6))  # differs between networks
            return [part @ turned.astype(np.float32) for part in self._parts]

    vectors = random.normal(size=(_COUNT, 6)) + 2 * positives[:, None]
    scores = out_of_fold_scores(PerFold("x", vectors), labels, _TITLES, by_folds(fold_of), seed=0)
    assert asked == [0, 1, 2]
    assert value("average_precision_pooled", scores, labels, _TITLES) > 0.9


def test_units_without_label_are_neither_trained_on_nor_tested(
    random: np.random.Generator,
) -> None:
    positives = random.random(_COUNT) < 0.3
    vectors = random.normal(size=(_COUNT, 6)) + 2 * positives[:, None]
    known = random.random(_COUNT) < 0.7
    labels = labels_of(positives, known=known)
    misled = labels_of(positives ^ ~known, known=known)
    fold_of = folds_of(_TITLES, labels, 3, seed=0)
    found, same = (
        out_of_fold_scores(Vectors("x", vectors), one, _TITLES, by_folds(fold_of), seed=0)
        for one in (labels, misled)
    )
    assert np.array_equal(np.isnan(found), ~known)
    np.testing.assert_array_equal(found, same)


def test_a_fold_whose_training_titles_have_no_positives_is_not_tested() -> None:
    titles = titles_of(3, 10)
    positives = (titles == "film-000") & (np.arange(30) % 2 == 0)
    labels = labels_of(positives)
    fold_of = folds_of(titles, labels, 3, seed=0)
    vectors = Vectors("x", np.random.default_rng(0).normal(size=(30, 4)))
    scores = out_of_fold_scores(vectors, labels, titles, by_folds(fold_of), seed=0)
    assert np.array_equal(np.isnan(scores), titles == "film-000")
    # The same for one of several labels, and for a class.
    many = np.column_stack([positives, np.arange(30) % 3 == 0])
    found = out_of_fold_scores(
        vectors, labels_of(many, "multilabel", ["a", "b"]), titles, by_folds(fold_of), seed=0
    )
    assert np.array_equal(np.isnan(found[:, 0]), titles == "film-000")
    assert not np.isnan(found[:, 1]).any()
    codes = np.where(positives, 2, np.arange(30) % 2)
    found = out_of_fold_scores(
        vectors, labels_of(codes, "multiclass", ["a", "b", "c"]), titles, by_folds(fold_of), seed=0
    )
    assert np.array_equal(np.isnan(found[:, 2]), titles == "film-000")
    assert not np.isnan(found[:, :2]).any()


def test_two_titles_are_enough() -> None:
    titles = titles_of(2, 40)
    positives = np.arange(80) % 4 == 0
    vectors = np.random.default_rng(0).normal(size=(80, 3)) + 3 * positives[:, None]
    assert _primary(Vectors("x", vectors), labels_of(positives), titles, folds=9) > 0.9


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_name(wrong: float) -> None:
    vectors = np.zeros((_COUNT, 3))
    vectors[[7, 9], 1] = wrong
    labels = labels_of(np.arange(_COUNT) % 3 == 0)
    with pytest.raises(MediaFMError, match=r"'broken' .* 2 of 360 units, the first in row 7"):
        _primary(Vectors("broken", vectors), labels)


@pytest.mark.parametrize("shape", [(_COUNT - 1, 3), (_COUNT, 0), (_COUNT,)])
def test_vectors_of_another_shape_are_refused_by_name(shape: tuple[int, ...]) -> None:
    labels = labels_of(np.arange(_COUNT) % 3 == 0)
    with pytest.raises(MediaFMError, match="'short' has a part of shape"):
        _primary(Vectors("short", np.zeros(shape)), labels)
