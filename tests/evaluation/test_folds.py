"""Folds keep titles whole and balance rare labels; unmeasurable labels are refused."""

import numpy as np
import pytest
from labelled_units import labels_of, titles_of

from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.folds import folds_of, require_measurable


def test_titles_are_whole_and_every_fold_is_used() -> None:
    random = np.random.default_rng(0)
    titles = random.permutation(titles_of(23, 7))
    found = folds_of(titles, labels_of(random.random(len(titles)) < 0.2), 5, seed=1)
    assert found.dtype == np.int64
    assert all(len(np.unique(found[titles == title])) == 1 for title in np.unique(titles))
    assert np.array_equal(np.unique(found), np.arange(5))


def test_rare_positives_are_spread_over_folds() -> None:
    titles = titles_of(40, 10)
    positives = np.isin(titles, np.unique(titles)[:5]) & (np.arange(len(titles)) % 10 == 0)
    for seed in range(10):
        found = folds_of(titles, labels_of(positives), 5, seed)
        assert np.array_equal(np.bincount(found[positives], minlength=5), np.ones(5))


def test_large_titles_do_not_share_a_fold() -> None:
    titles = np.concatenate([np.repeat(["large-a", "large-b"], 100), titles_of(8, 25)])
    labels = labels_of(np.arange(len(titles)) % 3 == 0)
    found = folds_of(titles, labels, 4, seed=0)
    assert np.bincount(found).max() <= 125
    assert len({found[0], found[100]}) == 2


def test_as_many_folds_as_titles_leave_one_title_out() -> None:
    titles = titles_of(6, 4)
    found = folds_of(titles, labels_of(np.arange(24) % 4 == 0), 99, seed=0)
    assert len(np.unique(found)) == 6


def test_every_fold_tests_labelled_titles_and_unlabelled_ones_are_spread_too() -> None:
    titles = titles_of(12, 5)
    known = np.isin(titles, np.unique(titles)[:3])
    labels = labels_of(np.arange(60) % 5 == 0, known=known)
    found = folds_of(titles, labels, 5, seed=0)
    assert sorted(np.unique(found[known])) == [0, 1, 2]
    assert np.array_equal(np.bincount(found), [20, 20, 20])


def test_another_seed_gives_other_folds_and_the_same_seed_the_same() -> None:
    random = np.random.default_rng(0)
    titles = titles_of(20, 8)
    labels = labels_of(random.random(len(titles)) < 0.3)
    folds = [tuple(folds_of(titles, labels, 4, seed)) for seed in (0, 0, 1, 2)]
    assert folds[0] == folds[1]
    assert len(set(folds)) == 3


def test_folds_do_not_depend_on_the_order_of_units() -> None:
    random = np.random.default_rng(0)
    titles, values = titles_of(15, 6), random.random(90) < 0.3
    order = random.permutation(90)
    found = folds_of(titles, labels_of(values), 4, seed=3)
    assert np.array_equal(folds_of(titles[order], labels_of(values[order]), 4, 3), found[order])


def test_classes_and_labels_are_spread() -> None:
    titles = titles_of(30, 4)
    code = np.repeat(np.arange(30) % 3, 4)  # a genre: the same for a whole title
    found = folds_of(titles, labels_of(code, "multiclass", ["a", "b", "c"]), 5, seed=0)
    for fold in range(5):
        assert np.array_equal(np.bincount(code[found == fold], minlength=3), [8, 8, 8])
    many = code[:, None] == np.arange(3)
    found = folds_of(titles, labels_of(many, "multilabel", ["a", "b", "c"]), 5, seed=0)
    assert all(many[found == fold].any(axis=0).all() for fold in range(5))


@pytest.mark.parametrize(
    ("values", "task", "shown"),
    [
        (np.ones(6, int), "multiclass", "'calm'"),
        (np.tile([True, False], (6, 1)), "multilabel", "'loud'"),
        (np.ones((6, 2), bool), "multilabel", "'loud' and 'calm'"),
        (np.zeros((6, 2), bool), "multilabel", "none of its labels"),
    ],
)
def test_a_constant_label_is_refused_with_its_value(
    values: np.ndarray, task: Task, shown: str
) -> None:
    with pytest.raises(MediaFMError, match=rf"all 6 labelled units \({shown}\): name a label"):
        require_measurable(titles_of(3, 2), labels_of(values, task, ["loud", "calm"]))


@pytest.mark.parametrize(
    ("values", "task", "titles", "known", "message"),
    [
        (np.ones(6, bool), "binary", titles_of(3, 2), None, r"all 6 labelled units \(true\)"),
        (np.arange(6) < 3, "binary", titles_of(1, 6), None, "one title only, 'film-000'"),
        (np.arange(6) < 3, "binary", titles_of(3, 2), np.zeros(6, bool), "none of the 6 units"),
        (np.arange(6) < 3, "binary", titles_of(2, 2), None, "labels 6 units, there are 4"),
        (np.full(6, 2.5), "ranking", titles_of(3, 2), None, r"all 6 labelled units \(2.5\)"),
        (np.array([1, np.nan, 2, 3]), "ranking", titles_of(2, 2), None, "1 values that are not"),
    ],
)
def test_unmeasurable_labels_are_refused(
    values: np.ndarray, task: str, titles: np.ndarray, known: np.ndarray | None, message: str
) -> None:
    with pytest.raises(MediaFMError, match=message):
        folds_of(titles, labels_of(values, task, known=known), 3, seed=0)


def test_one_fold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 2"):
        folds_of(titles_of(3, 2), labels_of(np.arange(6) % 2 == 0), 1, seed=0)
