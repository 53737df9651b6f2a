"""Choice of a probe's penalties in folds of its training titles.

First one strength for all blocks of columns is chosen from a grid, which is extended where its end
is the best. Then each block's strength is multiplied by a few factors, one block after the other,
and last all of them together. The candidates of a step are fitted together, which costs little more
than one of them, because the passes over the features take most of the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from mediafm_core.evaluation.linear import TOLERANCE, LinearModels, fit
from mediafm_core.evaluation.probe_blocks import BlockAxes
from mediafm_core.evaluation.probe_problem import ProbeProblem

STRENGTHS = 10.0 ** np.arange(0, -6, -1)
"""Strengths that are compared first, for features whose mean squared length is one."""

# Strengths that are compared in addition where the strongest or the weakest of the grid is best.
_STRONGER, _WEAKER = 10.0 ** np.arange(3, 0, -1), 10.0 ** np.arange(-6, -9, -1)
# Used where inner folds give no metric, for example with a single training title.
_DEFAULT_STRENGTH = 1e-2
# Factors on the strength of one block. The first all but switches the block off.
_FACTORS = np.array([1e4, 30.0, 5.0, 0.2, 0.03])
# Factors on all strengths together, after those of the blocks were chosen.
_COMMON_FACTORS = np.array([10.0, 3.0, 0.3, 0.1])
# A smaller difference of the metric counts as none, and the stronger penalty is taken: where a
# penalty has no effect, chance would choose an end of the grid.
_SAME = 5e-4
# Coarse tolerance of candidates: the order of their metrics is the same as with the final one.
_SELECTION_TOLERANCE = 3e-4

InnerFold = tuple[np.ndarray, np.ndarray]
"""Masks `[n]` of the units that candidates are trained on, and of those they are tested on."""


class Penalty(NamedTuple):
    """Strengths of a probe's penalty.

    Attributes:
        strengths: `[b]`, one per block of columns.
        scores: `[n, c]`, scores of the units in the inner folds that they were tested in; NaN where
            they were in none, or no metric was measurable.
        value: Primary metric of these scores; NaN where it is not measurable.
        end: End of the grid that was chosen; None for a strength within it.
    """

    strengths: np.ndarray
    scores: np.ndarray
    value: float
    end: Literal["strongest", "weakest"] | None


class TrainedProbe(NamedTuple):
    """Linear models of the targets that can be learnt.

    Attributes:
        problem: Units that the models were trained on.
        models: Models of the columns `problem.learnable`; None where there is none.
    """

    problem: ProbeProblem
    models: LinearModels | None

    def scores(self, coordinates: np.ndarray) -> np.ndarray:
        """Score units `[m, r]` by every candidate, `[m, c, g]`; NaN where not learnable."""
        columns = self.problem.targets.shape[1]
        if self.models is None:
            return np.full((len(coordinates), columns, 1), np.nan)
        predicted = self.models(coordinates)
        if self.problem.loss == "softmax":  # logarithms of probabilities
            peak = predicted.max(axis=1, keepdims=True)
            predicted -= peak + np.log(np.exp(predicted - peak).sum(axis=1, keepdims=True))
        scores = np.full((len(coordinates), columns, predicted.shape[2]), np.nan)
        scores[:, self.problem.learnable] = predicted
        return scores


def train_probe(
    coordinates: np.ndarray,
    axes: BlockAxes,
    problem: ProbeProblem,
    strengths: np.ndarray,
    *,
    start: LinearModels | None = None,
    tolerance: float = TOLERANCE,
    progress: Callable[[float], None] = lambda _share: None,
) -> TrainedProbe:
    """Train a probe for each of `g` candidates.

    Args:
        coordinates: `[n, r]`, the units of the problem.
        axes: Axes of the coordinates.
        problem: Units and targets.
        strengths: `[g, b]`, strengths of each candidate's blocks.
        start: Models to start from; see `fit`.
        tolerance: Tolerance of the minimiser.
        progress: Callback for an estimate of the share that is done.
    """
    if not len(problem.learnable):
        return TrainedProbe(problem, None)
    models = fit(
        coordinates,
        axes.variances,
        problem.targets[:, problem.learnable],
        axes.penalties(strengths),
        problem.loss,
        start=start,
        tolerance=tolerance,
        progress=progress,
    )
    return TrainedProbe(problem, models)


def choose_penalty(
    coordinates: np.ndarray,
    axes: BlockAxes,
    problem: ProbeProblem,
    inner: Sequence[InnerFold],
    count: int,
    progress: Callable[[float], None] = lambda _share: None,
) -> Penalty:
    """Return the penalty with the best primary metric in inner folds.

    Args:
        coordinates: `[n, r]`, the units of the problem.
        axes: Axes of the coordinates.
        problem: Units and targets.
        inner: Folds of these units; none gives a default penalty.
        count: Number of units that the probe with this penalty will be trained on.
        progress: Callback for the share of the work that is done.
    """
    blocks = len(axes.blocks)
    unknown = np.full(problem.targets.shape, np.nan)
    default = Penalty(np.full(blocks, _DEFAULT_STRENGTH), unknown, np.nan, None)
    if not inner:
        return default
    steps = 1 if blocks == 1 else blocks + 2
    search = _Search(coordinates, axes, problem, inner, count, steps, progress)
    grid = np.tile(STRENGTHS[:, None], blocks)
    if not search.try_all(grid):
        return default
    end = _end(search.best[0], STRENGTHS)
    if end is not None:
        more = _STRONGER if end == "strongest" else _WEAKER
        search.try_all(np.tile(more[:, None], blocks))
        end = _end(search.best[0], more)
    if blocks > 1:
        for block in range(blocks):
            candidates = np.tile(search.best, (len(_FACTORS), 1))
            candidates[:, block] *= _FACTORS
            search.try_all(candidates)
        search.try_all(search.best * _COMMON_FACTORS[:, None])
    progress(1.0)
    return Penalty(search.best, search.scores, search.value, end)


def _end(strength: float, grid: np.ndarray) -> Literal["strongest", "weakest"] | None:
    """Return the end of a grid, strongest first, that a strength is at."""
    if strength >= max(grid[0], STRENGTHS[0]):
        return "strongest"
    return "weakest" if strength <= min(grid[-1], STRENGTHS[-1]) else None


@dataclass
class _Search:
    """Best candidate so far, and its models in each inner fold, from which the next ones start.

    Attributes:
        coordinates: `[n, r]`, the units of the problem.
        axes: Axes of the coordinates.
        problem: Units and targets.
        inner: Folds of the units.
        count: Number of units that the probe will be trained on.
        steps: Expected number of calls of `try_all`, for the progress.
        progress: Callback for the share of the expected work that is done.
        best: `[b]`, strengths of the best candidate.
        scores: `[n, c]`, its scores of the units.
        value: Its primary metric; NaN before any is measurable.
    """

    coordinates: np.ndarray
    axes: BlockAxes
    problem: ProbeProblem
    inner: Sequence[InnerFold]
    count: int
    steps: int
    progress: Callable[[float], None]
    best: np.ndarray = field(default_factory=lambda: np.empty(0))
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    value: float = np.nan
    _starts: list[LinearModels | None] = field(default_factory=list)
    _fits: int = 0

    def try_all(self, candidates: np.ndarray) -> bool:
        """Measure candidates `[g, b]`, the strongest first; return True if one becomes the best."""
        problem = self.problem
        scores = np.full((*problem.targets.shape, len(candidates)), np.nan)  # [n, c, g]
        starts = self._starts or [None] * len(self.inner)
        trained = []
        for (rows, tested), start in zip(self.inner, starts, strict=True):
            # A penalty on the sum of losses, not on their mean: with half of the units the best
            # strength is twice as large.
            share = np.count_nonzero(rows) / self.count
            probe = train_probe(
                self.coordinates[rows],
                self.axes,
                problem.subset(rows),
                candidates / share,
                start=start,
                tolerance=_SELECTION_TOLERANCE,
                progress=self._report,
            )
            scores[tested] = probe.scores(self.coordinates[tested])
            trained.append(probe.models)
            self._fits += 1
        values = [problem.primary_value(scores[..., index]) for index in range(len(candidates))]
        if np.isnan(values).all() or np.nanmax(values) <= self.value + _SAME:
            return False
        chosen = int(np.argmax(np.array(values) >= np.nanmax(values) - _SAME))
        self.best, self.value = candidates[chosen], float(values[chosen])
        self.scores = scores[..., chosen].copy()
        self._starts = [models and models.candidate(chosen) for models in trained]
        return True

    def _report(self, share: float) -> None:
        self.progress(min(1.0, (self._fits + share) / (self.steps * len(self.inner))))
