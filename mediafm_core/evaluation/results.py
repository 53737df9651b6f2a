"""Results of an evaluation: metrics of representations with intervals, and paired differences."""

from dataclasses import dataclass
from typing import Any

from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.metrics import metric_names


@dataclass(frozen=True)
class Result:
    """A metric of a representation.

    Attributes:
        representation: Its name.
        metric: One of the task's metrics.
        value: Over all titles, the mean over seeds; None where not measurable.
        low: Lower end of the interval; None where not measurable.
        high: Upper end.
        why_not: A sentence that says why something is None.
    """

    representation: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    why_not: str | None = None


@dataclass(frozen=True)
class Difference:
    """What a representation has more of a metric than a baseline, on the same draws of titles.

    Attributes:
        representation: Its name.
        baseline: The other's name.
        metric: One of the task's metrics.
        value: Over all titles, the mean over seeds; None where not measurable.
        low: Lower end of the interval: above zero, the representation is better.
        high: Upper end: below zero, it is worse.
        why_not: A sentence that says why something is None.
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
    """All that was measured of one task.

    Attributes:
        results: By representation, then metric, the primary metric first.
        differences: By baseline, representation and metric.
        chance: Each metric's value for scores that know nothing of a unit, only how frequent each
            label or class is; None where not measurable.
    """

    results: list[Result]
    differences: list[Difference]
    chance: dict[str, float | None]


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        source: the data set, for people.
        label: name of the label.
        task: of the probes.
        classes: names of several labels or classes; empty otherwise.
        titles: that have labels.
        units: that have labels.
        folds: of each seed.
        seeds: each gave folds, networks and probes of its own.
        bootstrap: draws of titles.
        seconds: that it took.
        model: what gave the representations of networks: `trained` for each fold, with the settings
            and the networks, or models of the catalogue as they are.
        evaluation: results and paired differences, with intervals.
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
        """What representations are compared by: the task's first metric that can be measured."""
        metrics = metric_names(self.task)
        measured = {row.metric for row in self.evaluation.results if row.value is not None}
        return next((metric for metric in metrics if metric in measured), metrics[0])
