"""Linear probes: linear models that predict labels from the vectors of unseen titles."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Representation, Task, TaskLabels
from mediafm_core.evaluation.folds import folds_of, require_measurable
from mediafm_core.evaluation.linear import Loss, PrincipalAxes, fit
from mediafm_core.evaluation.metrics import metric_names, value

# Strengths of the penalty that are compared, for features whose mean squared length is one.
_STRENGTHS = 10.0 ** np.arange(0, -6, -1)
# Used where inner folds give no metric, for example with a single training title.
_DEFAULT_STRENGTH = 1e-2
_INNER_FOLDS = 5

_LOSSES: dict[Task, Loss] = {
    "binary": "logistic",
    "retrieval": "logistic",
    "multilabel": "logistic",
    "multiclass": "softmax",
    "ranking": "squared",
}


def out_of_fold_scores(
    representation: Representation,
    labels: TaskLabels,
    titles: np.ndarray,
    fold_of: np.ndarray,
    seed: int,
    progress: Callable[[float], None] = lambda _share: None,
    training_metric: Callable[[int, float], None] = lambda _fold, _value: None,
) -> np.ndarray:
    """Score every labelled unit with a probe that was trained on the titles of the other folds.

    Features are standardised over the training units. Binary, retrieval and multilabel probes are
    logistic regressions, one per label; multiclass probes are multinomial; ranking probes are ridge
    regressions of the unit's rank within its title on the features less their title's mean, because
    they predict an order within titles only. The penalty is the one of a coarse grid with the best
    primary metric in folds of the training titles. Classes are not reweighted, so that scores are
    log-odds with the same meaning for every label. A representation of several parts (late fusion)
    has a probe for each part, and their log-odds are averaged.

    Args:
        representation: Input of the probe.
        labels: Labels of `n` units.
        titles: `[n]`, each unit's title.
        fold_of: `[n]`, each unit's fold, from `folds_of`.
        seed: Seed of the folds within the training titles.
        progress: Callback for the share of folds that is done, called before each fold.
        training_metric: Callback for a fold and the primary metric in folds of its training titles;
            NaN where it is not measurable.

    Returns:
        Scores, `[n]`, or for multilabel and multiclass `[n, c]`, float64: log-odds, logarithms of
        the classes' probabilities, or expected ranks. NaN where never tested: units without label,
        and labels or classes without positives or without negatives in a fold's training titles.

    Raises:
        MediaFMError: The representation has values that are not finite, or not a row per unit.
    """
    require_measurable(titles, labels)
    known = np.flatnonzero(labels.known)
    problem = _Problem.of(labels, titles, known)
    scores = np.full((len(titles), problem.targets.shape[1]), np.nan)
    folds = np.unique(fold_of[known]).tolist()
    for index, fold in enumerate(folds):
        progress(index / len(folds))
        tested = fold_of[known] == fold
        training = problem.subset(~tested)
        if not len(training.learnable):
            continue
        parts = [
            _part_scores(part[known[~tested]], part[known[tested]], training, seed)
            for part in _checked_parts(representation, fold, len(titles))
        ]
        scores[known[tested]] = np.mean([found for found, _ in parts], axis=0)
        within = np.mean([inner for _, inner in parts], axis=0)
        training_metric(fold, _primary_value(within, training))
    return scores if labels.values.ndim == 2 or labels.classes else scores[:, 0]


@dataclass(frozen=True)
class _Problem:
    """Labelled units and the targets of their probe.

    Attributes:
        labels: Labels of these units, all known.
        titles: `[n]`, each unit's title.
        targets: `[n, c]` float32: zeros and ones, or for ranking ranks within the title from -1/2
            to 1/2.
        learnable: Columns of `targets` in which the units differ.
    """

    labels: TaskLabels
    titles: np.ndarray
    targets: np.ndarray
    learnable: np.ndarray

    @classmethod
    def of(cls, labels: TaskLabels, titles: np.ndarray, rows: np.ndarray) -> "_Problem":
        known = TaskLabels(
            labels.name,
            labels.task,
            labels.values[rows],
            labels.classes,
            labels.known[rows],
        )
        if labels.task == "ranking":
            targets = _ranks_within(known.values, titles[rows])[:, None]
        elif labels.task == "multiclass":
            targets = known.values[:, None] == np.arange(len(labels.classes))
        else:
            targets = known.values.reshape(len(rows), -1)
        targets = targets.astype(np.float32)
        learnable = np.flatnonzero((targets != targets[:1]).any(axis=0))
        return cls(known, titles[rows], targets, learnable)

    def subset(self, rows: np.ndarray) -> "_Problem":
        """Select some of the units by a mask."""
        return _Problem.of(self.labels, self.titles, np.flatnonzero(rows))


def _part_scores(
    features: np.ndarray, tested: np.ndarray, training: _Problem, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Train a probe on some units and score others.

    Args:
        features: `[n, d]`, features of the training units.
        tested: `[m, d]`, features of the tested units.
        training: Labels of the training units.
        seed: Seed of the inner folds.

    Returns:
        `[m, c]` float64, NaN in columns that cannot be learnt; and the scores of the training units
        in the inner folds, `[n, c]`.
    """
    if training.labels.task == "ranking":  # a title's mean score changes no order within it
        features = features - _means_within(features, training.titles)
    axes = PrincipalAxes.of(features)
    coordinates = axes.coordinates(features)  # [n, r]
    strength, inner = _best_strength(coordinates, axes.variances, training, seed)
    rows = np.ones(len(coordinates), bool)
    scores = _scores(
        coordinates, axes.variances, training, rows, axes.coordinates(tested), np.array([strength])
    )
    return scores[..., 0], inner


def _best_strength(
    coordinates: np.ndarray, variances: np.ndarray, training: _Problem, seed: int
) -> tuple[float, np.ndarray]:
    """Return the penalty with the best primary metric in inner folds, and its scores there."""
    labels, titles = training.labels, training.titles
    if len(np.unique(titles)) == 1:
        return _DEFAULT_STRENGTH, np.full(training.targets.shape, np.nan)
    fold_of = folds_of(titles, labels, _INNER_FOLDS, seed)
    scores = np.full((*training.targets.shape, len(_STRENGTHS)), np.nan)  # [n, c, g]
    for fold in np.unique(fold_of):
        tested = fold_of == fold
        scores[tested] = _scores(
            coordinates, variances, training, ~tested, coordinates[tested], _STRENGTHS
        )
    values = [_primary_value(scores[..., index], training) for index in range(len(_STRENGTHS))]
    if np.isnan(values).all():
        return _DEFAULT_STRENGTH, scores[..., 0]
    best = np.nanargmax(values)
    return float(_STRENGTHS[best]), scores[..., best]


def _primary_value(scores: np.ndarray, problem: _Problem) -> float:
    """Compute the task's primary metric of scores `[n, c]`; NaN where it is not measurable."""
    labels = problem.labels
    if labels.values.ndim == 1 and not labels.classes:
        scores = scores[:, 0]
    return value(metric_names(labels.task)[0], scores, labels, problem.titles)


def _scores(
    coordinates: np.ndarray,
    variances: np.ndarray,
    problem: _Problem,
    rows: np.ndarray,
    tested: np.ndarray,
    strengths: np.ndarray,
) -> np.ndarray:
    """Train on some rows of a problem and score others, `[m, c, g]`; NaN where not learnable."""
    training = problem.subset(rows)
    scores = np.full((len(tested), problem.targets.shape[1], len(strengths)), np.nan)
    learnable = training.learnable
    if len(learnable):
        loss = _LOSSES[problem.labels.task]
        targets = training.targets[:, learnable]
        predicted = fit(coordinates[rows], variances, targets, strengths, loss)(tested)
        if loss == "softmax":  # logarithms of probabilities
            peak = predicted.max(axis=1, keepdims=True)
            predicted -= peak + np.log(np.exp(predicted - peak).sum(axis=1, keepdims=True))
        scores[:, learnable] = predicted
    return scores


def _checked_parts(representation: Representation, fold: int, count: int) -> list[np.ndarray]:
    parts = [
        np.concatenate(part, axis=1) if isinstance(part, tuple) else part
        for part in representation.parts(fold)
    ]
    for part in parts:
        if part.ndim != 2 or len(part) != count or not part.shape[1]:
            raise MediaFMError(
                f"Representation {representation.name!r} has a part of shape {part.shape} for "
                f"{count} units: give [{count}, width]."
            )
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            raise MediaFMError(
                f"Representation {representation.name!r} has values that are not finite for "
                f"{np.sum(~finite)} of {count} units, the first in row {np.argmin(finite)}: "
                "fix or leave out their vectors."
            )
    return parts


def _ranks_within(values: np.ndarray, titles: np.ndarray) -> np.ndarray:
    """Rank values within their title, `[n]` float64 from -1/2 to 1/2; ties share a mean rank."""
    import pandas as pd

    ranks = pd.Series(values).groupby(titles).rank(method="average", pct=False).to_numpy()
    _, title_of, sizes = np.unique(titles, return_inverse=True, return_counts=True)
    return (ranks - (sizes[title_of] + 1) / 2) / np.maximum(sizes[title_of] - 1, 1)


def _means_within(features: np.ndarray, titles: np.ndarray) -> np.ndarray:
    """Compute the mean of each unit's title, `[n, d]`."""
    _, title_of, sizes = np.unique(titles, return_inverse=True, return_counts=True)
    order = np.argsort(title_of, kind="stable")
    sums = np.add.reduceat(features[order], np.cumsum(sizes) - sizes, axis=0)
    return (sums / sizes[:, None].astype(features.dtype))[title_of]
