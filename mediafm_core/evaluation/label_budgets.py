"""Label budgets: probes that are trained on a few labelled titles, and the curve of their results.

For each split, titles with labels are drawn from those that train its probe: a budget takes the
first ones of a random order, so that a larger budget has the titles of a smaller one. Each draw is
another order, and the same for all representations, so that their differences are paired. Features
are standardised over all training titles of the split, which needs no label.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.bootstrap import measure
from mediafm_core.evaluation.evaluation_task import Representation, TaskLabels
from mediafm_core.evaluation.metrics import find_metric
from mediafm_core.evaluation.probe_splits import ProbeSplit
from mediafm_core.evaluation.probes import partial_progress, split_probes
from mediafm_core.evaluation.results import LabelBudget

if TYPE_CHECKING:
    from mediafm_core.evaluation.results import Report

ALL: Literal["all"] = "all"
Budget = int | Literal["all"]

# Bootstrap draws of a metric that compares the units of all titles: each takes milliseconds for
# 27,000 units and 5 classes, and there are hundreds of arrays of scores.
_POOLED_DRAWS = 200
# Number of orders that are tried for one in which the smallest budget has units that differ.
_MOST_ORDERS = 20


class LabelDraw(NamedTuple):
    """Titles that are drawn for a budget.

    Attributes:
        budget: Number of titles.
        of_splits: `[n]` bool for each split: True for units of drawn titles.
    """

    budget: int
    of_splits: list[np.ndarray]


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """Parse budgets such as `2,5,10,all`.

    Raises:
        ConfigurationError: One of them is neither a whole number above zero nor `all`.
    """
    budgets: list[Budget] = []
    for part in (each.strip() for each in text.split(",") if each.strip()):
        if part == ALL:
            budgets.append(ALL)
        elif part.isdecimal() and int(part):
            budgets.append(int(part))
        else:
            raise ConfigurationError(
                f"{part!r} is no label budget: give numbers of titles and all, such as 2,5,10,all."
            )
    if not budgets:
        raise ConfigurationError("No label budget is named: give some, such as 2,5,10,all.")
    return tuple(dict.fromkeys(budgets))


def too_large(budget: int, labels: TaskLabels, titles: np.ndarray, most: int) -> str | None:
    """Return a sentence for a budget that no probe can be trained with; None for a possible one.

    Args:
        budget: Number of titles.
        labels: Labels of all units.
        titles: `[n]`, each unit's title.
        most: Number of labelled titles that every probe has for training, from `most_titles`.
    """
    if budget <= most:
        return None
    labelled = len(np.unique(titles[labels.known]))
    return (
        f"A budget of {budget} titles is larger than the {most} of {labelled} titles with "
        f"{labels.name!r} that probes are trained on: take a smaller one, or all."
    )


def most_titles(labels: TaskLabels, titles: np.ndarray, splits: Sequence[ProbeSplit]) -> int:
    """Return the number of labelled titles that every split has for training."""
    return min(len(np.unique(titles[split.training & labels.known])) for split in splits)


def draw_titles(
    labels: TaskLabels,
    titles: np.ndarray,
    splits: Sequence[ProbeSplit],
    budgets: Sequence[int],
    draws: int,
    seed: int,
) -> list[LabelDraw]:
    """Draw training titles for budgets that are not too large.

    An order in which all units of the smallest budget have the same label is drawn again.

    Returns:
        `draws` of each budget, budget after budget.
    """
    orders = [
        [
            _order(labels, titles, split, min(budgets), [seed, index, draw])
            for index, split in enumerate(splits)
        ]
        for draw in range(draws if budgets else 0)
    ]
    return [
        LabelDraw(
            budget,
            [
                split.training & np.isin(titles, order[:budget])
                for split, order in zip(splits, of_splits, strict=True)
            ],
        )
        for budget in budgets
        for of_splits in orders
    ]


def _order(
    labels: TaskLabels, titles: np.ndarray, split: ProbeSplit, smallest: int, seed: list[int]
) -> np.ndarray:
    rows = np.flatnonzero(split.training & labels.known)
    names, of = np.unique(titles[rows], return_inverse=True)
    values = labels.values[rows]
    random = np.random.default_rng(seed)
    for _ in range(_MOST_ORDERS):
        order = random.permutation(len(names))
        drawn = values[np.isin(of, order[:smallest])]
        if (drawn != drawn[:1]).any():
            break
    return names[order]


def budget_scores(
    representation: Representation,
    labels: TaskLabels,
    titles: np.ndarray,
    splits: Sequence[ProbeSplit],
    draws: Sequence[LabelDraw],
    seed: int,
    progress: Callable[[float], None] = lambda _share: None,
) -> list[np.ndarray]:
    """Score every tested unit with probes that are trained on drawn titles.

    The penalty is chosen in folds of the drawn titles, never on others.

    Args:
        representation: Input of the probes.
        labels: Labels of `n` units.
        titles: `[n]`, each unit's title.
        splits: Training and tested titles.
        draws: Drawn titles.
        seed: Seed of the inner folds.
        progress: Callback for the share that is done.

    Returns:
        Scores for each draw, `[n]` or `[n, c]` float32, as those of `out_of_fold_scores`; NaN where
        the labels of the drawn titles are all the same.
    """
    shape = (len(titles), len(labels.classes)) if labels.classes else (len(titles),)
    scores = [np.full(shape, np.nan, np.float32) for _ in draws]
    for index, split in enumerate(splits):
        within = partial_progress(progress, index / len(splits), 1 / len(splits))
        within(0.0)
        probes = list(split_probes(representation, labels, titles, split))
        if not probes:
            continue
        rows, known = probes[0].tested_rows, labels.known & (split.training | split.validation)
        for number, draw in enumerate(draws):
            drawn = draw.of_splits[index][known]
            found = [probe.scores(drawn, seed)[0] for probe in probes]
            scores[number][rows] = probes[0].problem.task_scores(np.mean(found, axis=0))
            within((number + 1) / len(draws))
    return scores


class BudgetScores:
    """Scores of the label budgets of an evaluation.

    Args:
        budgets: Numbers of titles, and `all`.
        draws: Number of draws of titles for each budget and seed.
        labels: Labels of all units.
        titles: `[n]`, each unit's title.
        splits: Training and tested titles of the probes of each seed.
    """

    def __init__(
        self,
        budgets: Sequence[Budget],
        draws: int,
        labels: TaskLabels,
        titles: np.ndarray,
        splits: Mapping[int, Sequence[ProbeSplit]],
    ) -> None:
        self.budgets = tuple(budgets)
        self._labels, self._titles, self._splits = labels, titles, splits
        self._draws = draws
        self._most = min(most_titles(labels, titles, each) for each in splits.values())
        self._possible = [each for each in self.budgets if each != ALL and each <= self._most]
        self._by_seed = {
            seed: draw_titles(labels, titles, of_seed, self._possible, draws, seed)
            for seed, of_seed in splits.items()
        }
        self._scores: dict[int, dict[str, list[np.ndarray]]] = {
            budget: {} for budget in self._possible
        }

    @property
    def share_of_others(self) -> float:
        """Share of a representation's probes that are trained on all titles, for the progress."""
        return 0.5 if self._possible else 1.0

    def add(
        self,
        representation: Representation,
        seed: int,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> None:
        """Train and score the probes of all draws of a seed."""
        draws = self._by_seed[seed]
        if not draws:
            return
        found = budget_scores(
            representation, self._labels, self._titles, self._splits[seed], draws, seed, progress
        )
        for draw, scores in zip(draws, found, strict=True):
            self._scores[draw.budget].setdefault(representation.name, []).append(scores)

    def measured(
        self,
        report: "Report",
        tested: TaskLabels,
        baselines: Sequence[str],
        doing: Callable[[str], None] = lambda _what: None,
    ) -> list[LabelBudget]:
        """Measure the primary metric of a report with each budget; draws count as seeds do.

        Args:
            report: Report without budgets.
            tested: Labels, of which those of tested titles are known.
            baselines: Representations to compare the others with.
            doing: Callback for the current step, called before each budget.
        """
        metric = report.primary_metric
        is_of_titles = find_metric(metric).scope == "title"
        bootstrap = report.bootstrap if is_of_titles else min(report.bootstrap, _POOLED_DRAWS)
        curve = []
        for budget in self.budgets:
            doing(f"intervals of label budget {budget}")
            if budget == ALL:
                results, differences = report.evaluation.results, report.evaluation.differences
                draws = 1
            elif budget in self._scores:
                found = measure(
                    self._scores[budget],
                    tested,
                    self._titles,
                    baselines=baselines,
                    metrics=[metric],
                    draws=bootstrap,
                    seed=report.seeds[0],
                )
                results, differences, draws = found.results, found.differences, self._draws
            else:
                why_not = too_large(budget, self._labels, self._titles, self._most)
                curve.append(LabelBudget(budget, self._draws, why_not=why_not))
                continue
            curve.append(
                LabelBudget(
                    budget,
                    draws,
                    [row for row in results if row.metric == metric],
                    [row for row in differences if row.metric == metric],
                )
            )
        return curve
