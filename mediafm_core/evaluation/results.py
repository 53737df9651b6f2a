"""Results of an evaluation: metrics of representations with intervals, and paired differences."""

from dataclasses import dataclass
from typing import Any

from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.metrics import metric_names


@dataclass(frozen=True)
class Result:
    """A metric of a representation, with its confidence interval.

    Attributes:
        representation: Name of the representation.
        metric: One of the task's metrics.
        value: Metric over all titles, averaged over seeds; None where not measurable.
        low: Lower end of the interval; None where not measurable.
        high: Upper end of the interval; None where not measurable.
        why_not: Reason, as a sentence, where a figure is None.
    """

    representation: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    why_not: str | None = None


@dataclass(frozen=True)
class Difference:
    """Paired difference of a metric from a baseline, on the same draws of titles.

    Attributes:
        representation: Name of the representation.
        baseline: Name of the baseline.
        metric: One of the task's metrics.
        value: Difference over all titles, averaged over seeds; None where not measurable.
        low: Lower end of the interval: above zero, the representation is better.
        high: Upper end: below zero, it is worse.
        why_not: Reason, as a sentence, where a figure is None.
    """

    representation: str
    baseline: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    why_not: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """Results of one task.

    Attributes:
        results: Metrics in the order of representations, then metrics, the primary metric first.
        differences: Differences in the order of baselines, representations and metrics.
        chance: Value of each metric for scores that contain nothing but the frequency of each label
            or class; None where not measurable.
    """

    results: list[Result]
    differences: list[Difference]
    chance: dict[str, float | None]


@dataclass(frozen=True)
class Report:
    """Results of an evaluation, with the data set and the models they were computed from.

    Attributes:
        source: Description of the data set.
        label: Name of the label.
        task: Task of the probes.
        classes: Names of several labels or classes; empty for other tasks.
        titles: Number of titles with labels.
        units: Number of units with labels.
        folds: Number of folds for each seed.
        seeds: Seeds, each with folds, networks and probes of its own.
        bootstrap: Number of draws of titles.
        seconds: Duration of the evaluation.
        model: Source of the representations that come from networks: `trained` for each fold, with
            the settings and the networks; or unchanged models of the catalogue.
        evaluation: Results and paired differences, with intervals.
    """

    source: str
    label: str
    task: Task
    classes: list[str]
    titles: int
    units: int
    folds: int
    seeds: list[int]
    bootstrap: int
    seconds: float
    model: dict[str, Any]
    evaluation: Evaluation

    @property
    def primary_metric(self) -> str:
        """Metric for comparing representations: the task's first measurable one."""
        metrics = metric_names(self.task)
        measured = {row.metric for row in self.evaluation.results if row.value is not None}
        return next((metric for metric in metrics if metric in measured), metrics[0])
