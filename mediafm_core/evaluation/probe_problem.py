"""Learning problem of a probe: labelled units, and the targets of its linear model."""

from dataclasses import dataclass

import numpy as np

from mediafm_core.evaluation.evaluation_task import Task, TaskLabels
from mediafm_core.evaluation.linear import Loss
from mediafm_core.evaluation.metrics import metric_names, value

_LOSSES: dict[Task, Loss] = {
    "binary": "logistic",
    "retrieval": "logistic",
    "multilabel": "logistic",
    "multiclass": "softmax",
    "ranking": "squared",
}


@dataclass(frozen=True)
class ProbeProblem:
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
    def of(cls, labels: TaskLabels, titles: np.ndarray, rows: np.ndarray) -> "ProbeProblem":
        """Select labelled units by their rows."""
        known = TaskLabels(
            labels.name, labels.task, labels.values[rows], labels.classes, labels.known[rows]
        )
        if labels.task == "ranking":
            targets = _ranks_within(known.values, titles[rows])[:, None]
        elif labels.task == "multiclass":
            targets = known.values[:, None] == np.arange(len(labels.classes))
        else:
            targets = known.values if known.values.ndim == 2 else known.values[:, None]
        targets = targets.astype(np.float32)
        learnable = np.flatnonzero((targets != targets[:1]).any(axis=0))
        return cls(known, titles[rows], targets, learnable)

    def subset(self, rows: np.ndarray) -> "ProbeProblem":
        """Select some of the units by a mask."""
        return ProbeProblem.of(self.labels, self.titles, np.flatnonzero(rows))

    @property
    def loss(self) -> Loss:
        """Loss of the task's linear model."""
        return _LOSSES[self.labels.task]

    def features(self, block: np.ndarray) -> np.ndarray:
        """Return features to train on, `[n, d]`: for ranking less their mean within the title.

        The mean score of a title changes no order within it.
        """
        return block - _means_within(block, self.titles) if self.labels.task == "ranking" else block

    def task_scores(self, scores: np.ndarray) -> np.ndarray:
        """Return scores `[n, c]` in the shape that metrics expect: `[n]` for a single target."""
        return scores if self.labels.values.ndim == 2 or self.labels.classes else scores[:, 0]

    def primary_value(self, scores: np.ndarray) -> float:
        """Compute the task's primary metric of scores `[n, c]`; NaN where not measurable."""
        metric = metric_names(self.labels.task)[0]
        return value(metric, self.task_scores(scores), self.labels, self.titles)


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
