"""Metrics equal those of scikit-learn and SciPy; a weight counts a title several times."""

from typing import get_args

import numpy as np
import pytest
from labelled_units import labels_of, titles_of
from scipy.stats import kendalltau
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task, TaskLabels
from mediafm_core.evaluation.metrics import (
    find_metric,
    kendall_tau,
    metric_names,
    recall_at,
    statistic,
    value,
)

_CLASSES = ["a", "b", "c"]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def _scores(random: np.random.Generator, values: np.ndarray, ties: bool) -> np.ndarray:
    found = values + random.normal(size=values.shape)
    return np.round(found, 1) if ties else found


@pytest.mark.parametrize("ties", [False, True])
def test_binary_metrics_equal_scikit_learns(random: np.random.Generator, ties: bool) -> None:
    titles = titles_of(9, 30)
    positives = random.random(270) < 0.2
    positives[:30] = False  # a title without positives counts in pooled metrics only
    scores = _scores(random, positives, ties)
    labels = labels_of(positives)
    by_title = [
        (positives[titles == title], scores[titles == title]) for title in np.unique(titles)[1:]
    ]
    expected = {
        "average_precision": np.mean([average_precision_score(*one) for one in by_title]),
        "average_precision_pooled": average_precision_score(positives, scores),
        "roc_auc": np.mean([roc_auc_score(*one) for one in by_title]),
        "roc_auc_pooled": roc_auc_score(positives, scores),
    }
    assert metric_names("binary") == list(expected)
    for metric, wanted in expected.items():
        assert value(metric, scores, labels, titles) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_metrics_of_several_labels_equal_scikit_learns(
    random: np.random.Generator, task: str
) -> None:
    titles = titles_of(6, 40)
    codes = random.integers(3, size=240)
    wanted = codes[:, None] == np.arange(3)
    scores = _scores(random, wanted, ties=True) + np.arange(3)
    labels = labels_of(codes if task == "multiclass" else wanted, task, _CLASSES)
    expected = {
        "average_precision_macro": average_precision_score(wanted, scores, average="macro"),
        "average_precision_micro": average_precision_score(wanted, scores, average="micro"),
        "roc_auc_macro": roc_auc_score(wanted, scores, average="macro"),
    }
    if task == "multiclass":
        expected["accuracy"] = accuracy_score(codes, scores.argmax(axis=1))
    assert metric_names(task) == list(expected)
    for metric, number in expected.items():
        assert value(metric, scores, labels, titles) == pytest.approx(number, abs=1e-6)


@pytest.mark.parametrize("name", ["f1_pooled", "roc_auc_micro", "recall_at_0", "recall_at_"])
def test_an_unknown_metric_is_refused(name: str) -> None:
    scores, labels = np.arange(4.0), labels_of(np.array([True, False, True, False]))
    with pytest.raises(MediaFMError, match=f"no metric '{name}'"):
        value(name, scores, labels, np.zeros(4))
    with pytest.raises(MediaFMError, match=f"no metric '{name}'"):
        statistic(name, scores, labels, np.zeros(4, np.int64), 1)


@pytest.mark.parametrize("task", get_args(Task))
def test_every_metric_of_a_task_is_defined(task: Task) -> None:
    scopes = {find_metric(name).scope for name in metric_names(task)}
    several = task in ("multilabel", "multiclass")
    assert scopes == {"classes"} if several else scopes <= {"title", "pooled"}


def test_ranking_is_scipys_tau_by_title(random: np.random.Generator) -> None:
    titles = titles_of(5, 20)
    values = np.round(random.normal(size=100), 1)
    scores = _scores(random, values, ties=True)
    taus = [kendalltau(scores[titles == t], values[titles == t]).statistic for t in set(titles)]
    found = value("kendall_tau", scores, labels_of(values, "ranking"), titles)
    assert found == pytest.approx(np.mean(taus))


def test_scores_that_are_all_equal_rank_nothing() -> None:
    assert kendall_tau(np.zeros(5), np.arange(5.0)) == 0


def test_recall_looks_at_the_first_k() -> None:
    scores = np.array([5.0, 4, 3, 2, 1])
    positives = np.array([True, False, True, False, True])
    assert [recall_at(k, scores, positives) for k in (1, 2, 3, 9)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 1]
    )
    # Three units share places two to four: each is in with probability 1/3.
    tied = np.array([5.0, 3, 3, 3, 1])
    assert recall_at(2, tied, positives) == pytest.approx((1 + 1 / 3) / 3)


def test_perfect_scores_give_one_and_constant_scores_the_base_rate(
    random: np.random.Generator,
) -> None:
    titles = titles_of(8, 50)
    positives = random.random(400) < 0.3
    labels = labels_of(positives)
    base_rate = np.mean([positives[titles == title].mean() for title in set(titles)])
    expected = [base_rate, positives.mean(), 0.5, 0.5]
    for metric, chance in zip(metric_names("binary"), expected, strict=True):
        assert value(metric, positives.astype(float), labels, titles) == pytest.approx(1)
        assert value(metric, np.zeros(400), labels, titles) == pytest.approx(chance)
    perfect = positives.astype(float)
    assert value("recall_at_50", perfect, labels_of(positives, "retrieval"), titles) == 1


def _several(random: np.random.Generator) -> list[tuple[TaskLabels, np.ndarray]]:
    binary = random.random(120) < 0.3
    codes = random.integers(3, size=120)
    many = random.random((120, 3)) < 0.3
    numbers = random.normal(size=120)
    return [
        (labels_of(binary), _scores(random, binary, ties=True)),
        (labels_of(binary, "retrieval"), _scores(random, binary, ties=False)),
        (labels_of(many, "multilabel", _CLASSES), _scores(random, many, ties=True)),
        (
            labels_of(codes, "multiclass", _CLASSES),
            _scores(random, codes[:, None] == np.arange(3), ties=False),
        ),
        (labels_of(numbers, "ranking"), _scores(random, numbers, ties=False)),
    ]


def test_a_weight_is_how_often_a_title_occurs(random: np.random.Generator) -> None:
    titles = titles_of(6, 20)
    names, title_of = np.unique(titles, return_inverse=True)
    weights = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 3, 1, 0, 0]])
    for labels, scores in _several(random):
        for metric in metric_names(labels.task):
            found = statistic(metric, scores, labels, title_of, len(names))(weights)
            assert found[0] == pytest.approx(value(metric, scores, labels, titles), abs=1e-6)
            # The same as with real copies of titles.
            copies = [(title, copy) for title in range(6) for copy in range(weights[1, title])]
            rows = np.concatenate([np.flatnonzero(title_of == title) for title, _ in copies])
            copied = np.repeat([f"{title}-{copy}" for title, copy in copies], 20)
            repeated = TaskLabels(
                labels.name,
                labels.task,
                labels.values[rows],
                labels.classes,
                labels.known[rows],
            )
            expected = value(metric, scores[rows], repeated, copied)
            assert found[1] == pytest.approx(expected, abs=1e-6), metric


def test_neither_order_nor_names_nor_unknown_units_matter(random: np.random.Generator) -> None:
    titles = titles_of(6, 20)
    order = random.permutation(120)
    renamed = np.array([f"{hash(title) % 1000:03d}{title}" for title in titles])
    for labels, scores in _several(random):
        known = np.arange(140) < 120
        # Units without label, with arbitrary values and scores, in a title of their own.
        more = TaskLabels(
            labels.name,
            labels.task,
            np.concatenate([labels.values, labels.values[:20]]),
            labels.classes,
            known,
        )
        more_scores = np.concatenate([scores, np.full_like(scores[:20], 9)])
        shuffled = TaskLabels(
            labels.name, labels.task, labels.values[order], labels.classes, labels.known
        )
        for metric in metric_names(labels.task):
            expected = pytest.approx(value(metric, scores, labels, titles), abs=1e-9)
            assert value(metric, scores[order], shuffled, titles[order]) == expected
            assert value(metric, scores, labels, renamed) == expected
            more_titles = np.concatenate([titles, np.repeat("unlabelled", 20)])
            assert value(metric, more_scores, more, more_titles) == expected


def test_units_that_were_never_tested_are_left_out(random: np.random.Generator) -> None:
    titles = titles_of(4, 30)
    positives = random.random(120) < 0.4
    scores = _scores(random, positives, ties=False)
    missing = np.where(titles == "film-001", np.nan, scores)
    rest = titles != "film-001"
    for metric in metric_names("binary"):
        assert value(metric, missing, labels_of(positives), titles) == pytest.approx(
            value(metric, scores[rest], labels_of(positives[rest]), titles[rest])
        )


def test_an_unmeasurable_metric_is_nan() -> None:
    titles = titles_of(2, 3)
    by_title = np.repeat([True, False], 3)  # the same within each title
    scores = np.arange(6.0)
    assert np.isnan(value("average_precision", scores, labels_of(by_title), titles))
    assert value("roc_auc_pooled", scores, labels_of(by_title), titles) == 0
    untested = np.full(6, np.nan)
    for metric in metric_names("binary"):
        assert np.isnan(value(metric, untested, labels_of(by_title), titles))
