"""Metrics of an evaluation as functions of the weights of titles, for a fast bootstrap.

A metric is computed into a `Statistic`, a function from the weight of each title to the metric's
value. A metric by title is a weighted mean; for a pooled metric the units are sorted once. A
bootstrap over titles is one call with a row of counts per draw. scikit-learn gives the same
numbers, but with `sample_weight` it sorts the units for each draw and takes 35 to 90 times as long,
and for a single title 30 to 140 times (`python -m benchmarks.libraries`).

Scores of units that were never tested are NaN and left out. Pooled metrics compare scores of
different folds, and so of different probes, without normalisation, in log-odds. Ranking or
standardising scores within each fold would equalise the folds, and with one title per fold remove
all information about a title as a whole (its genre). Metrics by title do not depend on this choice.

`METRICS` is the table of all metrics: how each is computed, and over which units. Everything that
depends on the metric's name reads it by `find_metric`. A new metric also needs a new
`_CODE_VERSION` of `mediafm_core.pipeline.releases.stored_evaluation`, so that stored evaluations
are computed again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task, TaskLabels

Statistic = Callable[[np.ndarray], np.ndarray]
"""Function from weights `[draws, titles]`, the number of times that each title counts, to values
`[draws]`, NaN where the metric is not measurable."""

Scope = Literal["title", "pooled", "classes"]
"""Units that a metric compares with each other: "title": those of one title, and the metric is the
mean over titles; "pooled": those of all titles; "classes": those of all titles, for several labels
or classes."""

DEFAULT_RECALL_AT = (1, 5, 10)

OfRuns = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Function from the weights of positive units and of all units, `[runs, draws]` each, to values
`[draws]`. A run has equal scores; the first run has the highest."""

_RECALL_AT = re.compile(r"recall_at_([1-9][0-9]*)")

_NO_MEASURABLE_CLASS = (
    "No label of {label} has both positive and negative units among those tested."
)

# Number of weights of units held at a time, half a MiB, which fits into the processor's cache.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class ScoredUnits:
    """Scores and labels that a metric is computed from.

    Attributes:
        scores: `[n]` or `[n, c]`, higher for more likely labels; NaN where never tested.
        values: The labels, as in `TaskLabels`.
        positives: Of the shape of `scores`: `values`, for a multiclass task `[n, c]` bool.
        tested: Of the shape of `scores`, bool: True for labelled units with a score.
        title_of: `[n]`, each unit's title as a position below `title_count`.
        title_count: Number of titles.
    """

    scores: np.ndarray
    values: np.ndarray
    positives: np.ndarray
    tested: np.ndarray
    title_of: np.ndarray
    title_count: int


@dataclass(frozen=True)
class Metric:
    """Definition of a metric.

    Attributes:
        scope: Units that are compared with each other.
        compute: Function that returns the metric of some units as a function of title weights.
        why_not: Reason where no unit, title or label is measurable; `{label}` is the task's name.
    """

    scope: Scope
    compute: Callable[[ScoredUnits], Statistic]
    why_not: str


def metric_names(task: Task, recall_at: Sequence[int] = DEFAULT_RECALL_AT) -> list[str]:
    """Return the metrics of a task, the primary one first."""
    macro = ["average_precision_macro", "average_precision_micro", "roc_auc_macro"]
    by_task: dict[Task, list[str]] = {
        "binary": ["average_precision", "average_precision_pooled", "roc_auc", "roc_auc_pooled"],
        "multilabel": macro,
        "multiclass": [*macro, "accuracy"],
        "ranking": ["kendall_tau"],
        "retrieval": ["average_precision", *(f"recall_at_{k}" for k in recall_at)],
    }
    return by_task[task]


def statistic(
    metric: str, scores: np.ndarray, labels: TaskLabels, title_of: np.ndarray, title_count: int
) -> Statistic:
    """Compute a metric as a function of the weights of titles.

    Args:
        metric: One of the task's `metric_names`.
        scores: `[n]` or `[n, c]`, higher for more likely labels; NaN where never tested.
        labels: Labels of the same units.
        title_of: `[n]`, each unit's title as a position below `title_count`.
        title_count: Number of titles.

    Raises:
        MediaFMError: There is no such metric.
    """
    found = find_metric(metric)
    positives = labels.values
    if labels.task == "multiclass":
        positives = labels.values[:, None] == np.arange(len(labels.classes))  # [n, c]
    tested = labels.known.reshape(-1, *[1] * (scores.ndim - 1)) & ~np.isnan(scores)
    units = ScoredUnits(scores, labels.values, positives, tested, title_of, title_count)
    return found.compute(units)


def value(metric: str, scores: np.ndarray, labels: TaskLabels, titles: np.ndarray) -> float:
    """Compute a metric over all titles, each with weight one; NaN where it is not measurable.

    Args:
        metric: One of the task's `metric_names`.
        scores: `[n]` or `[n, c]`, NaN where never tested.
        labels: Labels of the same units.
        titles: `[n]`, each unit's title.

    Raises:
        MediaFMError: There is no such metric.
    """
    names, title_of = np.unique(titles, return_inverse=True)
    if find_metric(metric).scope != "title":
        names, title_of = names[:1], np.zeros_like(title_of)  # pooled: independent of titles
    found = statistic(metric, scores, labels, title_of, len(names))
    return float(found(np.ones((1, len(names))))[0])


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float:
    """Compute the average precision of units ranked by score, with ties as one threshold.

    Equal to scikit-learn's `average_precision_score`: the sum over thresholds of the gain in recall
    times precision.

    Args:
        scores: `[n]`.
        positives: `[n]` bool, at least one true.
    """
    order = np.argsort(-scores)
    hits = np.cumsum(positives[order])
    last = np.flatnonzero(np.diff(scores[order], append=np.nan))  # of each run of equal scores
    hits, gained = hits[last], np.diff(hits[last], prepend=0)
    return float(np.sum(gained * hits / (last + 1)) / hits[-1])


def roc_auc(scores: np.ndarray, positives: np.ndarray) -> float:
    """Compute the share of pairs of positive and negative units in order; ties count half.

    Args:
        scores: `[n]`.
        positives: `[n]` bool, both kinds present.
    """
    negatives = np.sort(scores[~positives])
    above = np.searchsorted(negatives, scores[positives], side="left")
    not_below = np.searchsorted(negatives, scores[positives], side="right")
    return float((above + not_below).mean() / 2 / len(negatives))


def recall_at(k: int, scores: np.ndarray, positives: np.ndarray) -> float:
    """Compute the share of the positive units among the `k` with the highest scores.

    Where units with equal scores straddle the limit, it is the mean over their possible orders.

    Args:
        k: Number of units with the highest scores.
        scores: `[n]`.
        positives: `[n]` bool, at least one true.
    """
    if k >= len(scores):
        return 1.0
    limit = np.partition(scores, -k)[-k]
    above, level = scores > limit, scores == limit
    share = (k - above.sum()) / level.sum()
    return float((positives[above].sum() + share * positives[level].sum()) / positives.sum())


def kendall_tau(scores: np.ndarray, values: np.ndarray) -> float:
    """Compute Kendall's tau-b, or zero where all scores are equal and give no order.

    Args:
        scores: `[n]`.
        values: `[n]`, not all equal.
    """
    from scipy.stats import kendalltau

    if (scores == scores[0]).all():
        return 0.0
    return float(kendalltau(scores, values).statistic)


def _mean_by_title(function: Callable[[np.ndarray, np.ndarray], float]) -> Metric:
    """Return the metric that is computed within each title and averaged over titles.

    Titles whose tested units all have one label are left out.
    """

    def compute(units: ScoredUnits) -> Statistic:
        found = np.full(units.title_count, np.nan)
        rows = np.flatnonzero(units.tested)
        rows = rows[np.argsort(units.title_of[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(units.title_of[rows], prepend=-1))
        for title in np.split(rows, starts[1:]) if len(rows) else []:
            values = units.values[title]
            if (values != values[0]).any():
                found[units.title_of[title[0]]] = function(units.scores[title], values)
        measurable = np.isfinite(found)
        return _ratio_of_sums(np.where(measurable, found, 0), measurable)

    reason = "No title has units with and units without {label} among those tested."
    return Metric("title", compute, reason)


def _pooled_over_titles(of_runs: OfRuns) -> Metric:
    """Return the metric of the ranking of all titles' units."""
    return Metric("pooled", _ranking(of_runs), "{label} is the same for all units tested.")


def _micro(of_runs: OfRuns) -> Metric:
    """Return the metric of one ranking of all units by all labels or classes together."""
    return Metric("classes", _ranking(of_runs), _NO_MEASURABLE_CLASS)


def _macro(of_runs: OfRuns) -> Metric:
    """Return the mean over labels or classes of the metric of all titles' units."""

    def compute(units: ScoredUnits) -> Statistic:
        return _mean_over_targets(
            [
                _pooled(
                    of_runs,
                    units.scores[rows, target],
                    units.positives[rows, target],
                    units.title_of[rows],
                )
                for target, rows in enumerate(units.tested.T)
            ]
        )

    return Metric("classes", compute, _NO_MEASURABLE_CLASS)


def _ranking(of_runs: OfRuns) -> Callable[[ScoredUnits], Statistic]:
    def compute(units: ScoredUnits) -> Statistic:
        shape = (-1, *[1] * (units.scores.ndim - 1))
        title_of = np.broadcast_to(units.title_of.reshape(shape), units.scores.shape)
        tested = units.tested
        return _pooled(of_runs, units.scores[tested], units.positives[tested], title_of[tested])

    return compute


def _accuracy(units: ScoredUnits) -> Statistic:
    """Compute the share of units whose class has the highest score."""
    rows = units.tested.any(axis=1)
    best = np.argmax(np.where(units.tested, units.scores, -np.inf), axis=1)
    hits = (best == units.values) & rows
    return _ratio_of_sums(
        np.bincount(units.title_of[hits], minlength=units.title_count),
        np.bincount(units.title_of[rows], minlength=units.title_count),
    )


def _ratio_of_sums(numerators: np.ndarray, denominators: np.ndarray) -> Statistic:
    """Return the ratio of two sums over the titles of a draw, from `[titles]` each."""
    return lambda weights: _divide(weights @ numerators, weights @ denominators)


def _mean_over_targets(statistics: list[Statistic]) -> Statistic:
    """Average over the labels or classes that are measurable in a draw."""

    def of(weights: np.ndarray) -> np.ndarray:
        values = np.stack([one(weights) for one in statistics])  # [c, draws]
        return _divide(np.nansum(values, axis=0), np.isfinite(values).sum(axis=0))

    return of


def _pooled(
    of_runs: OfRuns,
    scores: np.ndarray,
    positives: np.ndarray,
    title_of: np.ndarray,
) -> Statistic:
    """Return a metric of the ranking of all titles' units, which are sorted once.

    Args:
        of_runs: Metric of runs of equal scores.
        scores: `[n]`, finite.
        positives: `[n]` bool.
        title_of: `[n]`, each unit's title.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan))
    positives, title_of = positives[order], title_of[order]
    if not len(order):
        return lambda weights: np.full(len(weights), np.nan)

    def of(weights: np.ndarray) -> np.ndarray:
        found = np.empty(len(weights))
        size = max(1, _BLOCK // len(order))
        for start in range(0, len(weights), size):
            block = slice(start, start + size)
            among = weights[block].T[title_of].astype(np.float64)  # [n, draws]
            hits = np.where(positives[:, None], among, 0)
            if len(starts) < len(order):
                hits, among = (np.add.reduceat(kind, starts, axis=0) for kind in (hits, among))
            found[block] = of_runs(hits, among)
        return found

    return of


def _average_precision_of_runs(hits: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Sum the gain in recall times precision over thresholds; see `average_precision`."""
    so_far, looked_at = np.cumsum(hits, axis=0), np.cumsum(among, axis=0)
    precision = np.divide(so_far, looked_at, out=np.zeros_like(so_far), where=looked_at > 0)
    return _divide(np.einsum("rd,rd->d", hits, precision), so_far[-1])


def _roc_auc_of_runs(hits: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Compute the share of pairs of positive and negative units in order; see `roc_auc`."""
    misses = among - hits
    above = np.cumsum(misses, axis=0)
    right = np.einsum("rd,rd->d", hits, above[-1] - above + misses / 2)
    return _divide(right, hits.sum(axis=0) * above[-1])


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divide, with NaN where the denominator is zero."""
    return np.divide(
        numerators,
        denominators,
        out=np.full(np.shape(numerators), np.nan),
        where=denominators > 0,
    )


METRICS: dict[str, Metric] = {
    "accuracy": Metric("classes", _accuracy, _NO_MEASURABLE_CLASS),
    "average_precision": _mean_by_title(average_precision),
    "average_precision_macro": _macro(_average_precision_of_runs),
    "average_precision_micro": _micro(_average_precision_of_runs),
    "average_precision_pooled": _pooled_over_titles(_average_precision_of_runs),
    "kendall_tau": replace(
        _mean_by_title(kendall_tau), why_not="No title has two tested units that differ in {label}."
    ),
    "roc_auc": _mean_by_title(roc_auc),
    "roc_auc_macro": _macro(_roc_auc_of_runs),
    "roc_auc_pooled": _pooled_over_titles(_roc_auc_of_runs),
}
"""All metrics but `recall_at_<k>`, of which there is one for each k; see `find_metric`."""


def find_metric(name: str) -> Metric:
    """Return the metric of a name.

    Raises:
        MediaFMError: There is no such metric.
    """
    recall = _RECALL_AT.fullmatch(name)
    if recall:
        return _mean_by_title(partial(recall_at, int(recall.group(1))))
    if name not in METRICS:
        raise MediaFMError(
            f"There is no metric {name!r}: use recall_at_<k> or one of {', '.join(METRICS)}."
        )
    return METRICS[name]
