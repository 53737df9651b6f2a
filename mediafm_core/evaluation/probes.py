"""Linear probes: linear models that predict labels from the vectors of unseen titles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Representation, TaskLabels
from mediafm_core.evaluation.folds import folds_of, require_measurable
from mediafm_core.evaluation.penalty_search import InnerFold, Penalty, choose_penalty, train_probe
from mediafm_core.evaluation.probe_blocks import BlockAxes
from mediafm_core.evaluation.probe_problem import ProbeProblem
from mediafm_core.evaluation.probe_splits import ProbeSplit

# Number of inner folds up to a number of training titles. With many titles three folds choose as
# well as five and cost half.
_INNER_FOLDS = ((20, 5), (400, 3))
_FEWEST_INNER_FOLDS = 2
# Share of the choice of a penalty in the time of a probe.
_SHARE_OF_CHOICE = 0.8

Progress = Callable[[float], None]


def out_of_fold_scores(
    representation: Representation,
    labels: TaskLabels,
    titles: np.ndarray,
    splits: Sequence[ProbeSplit],
    seed: int,
    progress: Progress = lambda _share: None,
    training_metric: Callable[[int, float], None] = lambda _split, _value: None,
    chosen: Callable[[int, Penalty], None] = lambda _split, _penalty: None,
) -> np.ndarray:
    """Score every labelled unit with a probe that was trained on other titles.

    Features are standardised over the training units. Binary, retrieval and multilabel probes are
    logistic regressions, one per label; multiclass probes are multinomial; ranking probes are ridge
    regressions of the unit's rank within its title on the features less their title's mean, because
    they predict an order within titles only. The penalty is the one with the best primary metric in
    folds of the training titles, or on the split's validation titles (`penalty_search`); blocks of
    columns have one each. Classes are not reweighted, so that scores are log-odds with the same
    meaning for every label. A representation of several parts (late fusion) has a probe for each
    part, and their log-odds are averaged.

    Args:
        representation: Input of the probe.
        labels: Labels of `n` units.
        titles: `[n]`, each unit's title.
        splits: Training and tested titles of each probe, from `divide` or `by_folds`.
        seed: Seed of the folds within the training titles.
        progress: Callback for the share that is done, called several times within a fold.
        training_metric: Callback for the index of a split and the primary metric in folds of its
            training titles; NaN where it is not measurable.
        chosen: Callback for the index of a split and the penalty of a probe, one for each part.

    Returns:
        Scores, `[n]`, or for multilabel and multiclass `[n, c]`, float64: log-odds, logarithms of
        the classes' probabilities, or expected ranks. NaN where never tested: units without label,
        and labels or classes without positives or without negatives in a split's training titles.

    Raises:
        MediaFMError: The representation has values that are not finite, or not a row per unit.
    """
    require_measurable(titles, labels)
    problem = ProbeProblem.of(labels, titles, np.flatnonzero(labels.known))
    scores = np.full((len(titles), problem.targets.shape[1]), np.nan)
    for index, split in enumerate(splits):
        within = partial_progress(progress, index / len(splits), 1 / len(splits))
        within(0.0)
        probes = list(split_probes(representation, labels, titles, split))
        found, inner = [], []
        for place, probe in enumerate(probes):
            of_part, penalty = probe.scores(
                None, seed, partial_progress(within, place / len(probes), 1 / len(probes))
            )
            found.append(of_part)
            inner.append(penalty.scores)
            chosen(index, penalty)
        if probes:
            scores[probes[0].tested_rows] = np.mean(found, axis=0)
            training_metric(index, probes[0].problem.primary_value(np.mean(inner, axis=0)))
    return problem.task_scores(scores)


@dataclass(frozen=True)
class SplitProbe:
    """A part of a representation in its axes, ready for probes on training titles of a split.

    Attributes:
        problem: Labelled units of the training and the validation titles.
        training: `[n]` bool: True for units of training titles, False for those of validation.
        axes: Axes of the training units.
        coordinates: `[n, r]` float32, these units.
        tested: `[m, r]` float32, the tested units.
        tested_rows: `[m]`, their rows in the data set.
    """

    problem: ProbeProblem
    training: np.ndarray
    axes: BlockAxes
    coordinates: np.ndarray
    tested: np.ndarray
    tested_rows: np.ndarray

    def scores(
        self, drawn: np.ndarray | None, seed: int, progress: Progress = lambda _share: None
    ) -> tuple[np.ndarray, Penalty]:
        """Train a probe and score the tested units.

        Args:
            drawn: `[n]` bool, units of training titles that have labels; None takes all of them,
                and the validation titles for the penalty.
            seed: Seed of the inner folds.
            progress: Callback for the share that is done.

        Returns:
            `[m, c]` float64, NaN in columns that cannot be learnt, and the penalty with scores of
            the units of the problem.
        """
        rows = self.training if drawn is None else self.training & drawn
        training, coordinates = self.problem.subset(rows), self.coordinates[rows]
        to_choice = partial_progress(progress, 0.0, _SHARE_OF_CHOICE)
        if drawn is None and not self.training.all():
            inner = [(self.training, ~self.training)]
            penalty = choose_penalty(
                self.coordinates, self.axes, self.problem, inner, rows.sum(), to_choice
            )
        else:
            inner = inner_folds(training, seed)
            found = choose_penalty(coordinates, self.axes, training, inner, rows.sum(), to_choice)
            scores = np.full(self.problem.targets.shape, np.nan)
            scores[rows] = found.scores
            penalty = found._replace(scores=scores)
        probe = train_probe(
            coordinates,
            self.axes,
            training,
            penalty.strengths[None],
            progress=partial_progress(progress, _SHARE_OF_CHOICE, 1 - _SHARE_OF_CHOICE),
        )
        return probe.scores(self.tested)[..., 0], penalty


def split_probes(
    representation: Representation, labels: TaskLabels, titles: np.ndarray, split: ProbeSplit
) -> Iterator[SplitProbe]:
    """Yield a probe for each part of a representation; none if nothing can be learnt or tested.

    Raises:
        MediaFMError: The representation has values that are not finite, or not a row per unit.
    """
    tested_rows = np.flatnonzero(labels.known & split.tested)
    rows = np.flatnonzero(labels.known & (split.training | split.validation))
    problem = ProbeProblem.of(labels, titles, rows)
    training = split.training[rows]
    if not len(tested_rows) or not len(problem.subset(training).learnable):
        return
    for part in _checked_parts(representation, split.fold, len(titles)):
        blocks = [problem.features(block[rows]) for block in part]
        axes = BlockAxes.of([block[training] for block in blocks])
        coordinates = axes.coordinates(blocks)
        tested = axes.coordinates([block[tested_rows] for block in part])
        yield SplitProbe(problem, training, axes, coordinates, tested, tested_rows)


def partial_progress(progress: Progress, first: float, width: float) -> Progress:
    """Return a callback that reports shares of a part of the work, from `first` to its width."""
    return lambda share: progress(first + width * share)


def inner_folds(training: ProbeProblem, seed: int) -> list[InnerFold]:
    """Divide training titles into folds for the choice of a penalty; none for a single title.

    Two titles are left out one at a time. Without units that differ there are no folds either.
    """
    count = len(np.unique(training.titles))
    if count < 2 or not len(training.learnable):
        return []
    folds = next((folds for most, folds in _INNER_FOLDS if count <= most), _FEWEST_INNER_FOLDS)
    fold_of = folds_of(training.titles, training.labels, folds, seed)
    return [(fold_of != fold, fold_of == fold) for fold in np.unique(fold_of)]


def _checked_parts(
    representation: Representation, fold: int, count: int
) -> Iterator[list[np.ndarray]]:
    """Yield the blocks of each part, after checking the shapes and values of all."""
    parts = [
        list(part) if isinstance(part, tuple) else [part] for part in representation.parts(fold)
    ]
    for part in (block for blocks in parts for block in blocks):
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
    yield from parts
