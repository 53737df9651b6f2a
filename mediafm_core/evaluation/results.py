"""Results of an evaluation: metrics of representations with intervals, and paired differences."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.metrics import metric_names

if TYPE_CHECKING:
    from mediafm_core.evaluation.probe_scores import ProbeScores


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
class LabelBudget:
    """Results of probes that are trained on a number of labelled titles.

    Attributes:
        titles: Number of labelled titles that each probe is trained on, or `all`.
        draws: Number of draws of titles for each seed; 1 for `all`.
        results: Primary metric of each representation.
        differences: Paired differences from the baselines in the primary metric.
        why_not: Reason, as a sentence, where there are no results.
    """

    titles: int | Literal["all"]
    draws: int
    results: list[Result] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    why_not: str | None = None


@dataclass(frozen=True)
class PenaltyChoice:
    """Strengths of the penalty of a probe, chosen inside its training titles.

    Attributes:
        seed: Seed of the probe.
        probe: Position of the probe among those of the seed.
        strengths: One for each block of columns, for features whose mean squared length is one.
        end: End of the grid that was chosen, `strongest` or `weakest`; None within it.
    """

    seed: int
    probe: int
    strengths: list[float]
    end: str | None


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
        strongest: Number of folds in which each representation without training was the strongest
            one by the training titles, the most frequent first.
        cpu_seconds: CPU time by kind of work and representation, see `CpuClock.seconds`.
        probe_titles: Titles that probes are trained on, `pretraining`, `unseen` or `split`.
        budgets: Results with few labelled titles, in the order of the budgets.
        penalties: Penalties of the probes by representation, see `PenaltyChoice`.
        notes: Sentences about what the figures do not cover.
        scores: Scores of all units, for files beside the report; None in a report read from a file.
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
    strongest: dict[str, int] = field(default_factory=dict)
    cpu_seconds: dict[str, Any] = field(default_factory=dict)
    probe_titles: str = "pretraining"
    budgets: list[LabelBudget] = field(default_factory=list)
    penalties: dict[str, list[PenaltyChoice]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    scores: "ProbeScores | None" = field(default=None, repr=False, compare=False)

    @property
    def primary_metric(self) -> str:
        """Metric for comparing representations: the task's first measurable one."""
        metrics = metric_names(self.task)
        measured = {row.metric for row in self.evaluation.results if row.value is not None}
        return next((metric for metric in metrics if metric in measured), metrics[0])


def figure(row: Result | Difference, form: str) -> str:
    """Format a figure with its interval, and a star where a difference's interval excludes zero.

    Args:
        row: The figure.
        form: Format of numbers; one with a sign is for differences.
    """
    if row.value is None:
        return "not measurable"
    if row.low is None or row.high is None:
        return f"{row.value:{form}}"
    clear = form.startswith("+") and (row.low > 0 or row.high < 0)
    return f"{row.value:{form}} ({row.low:{form}} to {row.high:{form}}){' *' if clear else ''}"
