"""Linear probes: linear models that predict labels from the vectors of unseen titles."""

from collections.abc import Callable

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Representation, TaskLabels
from mediafm_core.evaluation.folds import folds_of, require_measurable
from mediafm_core.evaluation.penalty_search import (
    InnerFold,
    Penalty,
    choose_penalty,
    train_probe,
)
from mediafm_core.evaluation.probe_blocks import BlockAxes
from mediafm_core.evaluation.probe_problem import ProbeProblem

# Number of inner folds up to a number of training titles. With many titles three folds choose as
# well as five and cost half.
_INNER_FOLDS = ((20, 5), (400, 3))
_FEWEST_INNER_FOLDS = 2
# Share of the choice of a penalty in the time of a probe.
_SHARE_OF_CHOICE = 0.8


def out_of_fold_scores(
    representation: Representation,
    labels: TaskLabels,
    titles: np.ndarray,
    fold_of: np.ndarray,
    seed: int,
    progress: Callable[[float], None] = lambda _share: None,
    chosen: Callable[[int, Penalty], None] = lambda _fold, _penalty: None,
) -> np.ndarray:
    """Score every labelled unit with a probe that was trained on the titles of the other folds.

    Features are standardised over the training units. Binary, retrieval and multilabel probes are
    logistic regressions, one per label; multiclass probes are multinomial; ranking probes are ridge
    regressions of the unit's rank within its title on the features less their title's mean, because
    they predict an order within titles only. The penalty is the one with the best primary metric in
    folds of the training titles (`penalty_search`); blocks of columns have one each. Classes are
    not reweighted, so that scores are log-odds with the same meaning for every label. A
    representation of several parts (late fusion) has a probe for each part, and their log-odds are
    averaged.

    Args:
        representation: Input of the probe.
        labels: Labels of `n` units.
        titles: `[n]`, each unit's title.
        fold_of: `[n]`, each unit's fold, from `folds_of`.
        seed: Seed of the folds within the training titles.
        progress: Callback for the share that is done, called several times within a fold.
        chosen: Callback for the fold and the chosen penalty of each probe.

    Returns:
        Scores, `[n]`, or for multilabel and multiclass `[n, c]`, float64: log-odds, logarithms of
        the classes' probabilities, or expected ranks. NaN where never tested: units without label,
        and labels or classes without positives or without negatives in a fold's training titles.

    Raises:
        MediaFMError: The representation has values that are not finite, or not a row per unit.
    """
    require_measurable(titles, labels)
    known = np.flatnonzero(labels.known)
    problem = ProbeProblem.of(labels, titles, known)
    scores = np.full((len(titles), problem.targets.shape[1]), np.nan)
    folds = np.unique(fold_of[known]).tolist()
    for index, fold in enumerate(folds):
        within = partial_progress(progress, index / len(folds), 1 / len(folds))
        within(0.0)
        tested = fold_of[known] == fold
        training = problem.subset(~tested)
        if not len(training.learnable):
            continue
        parts = _checked_parts(representation, fold, len(titles))
        of_parts = []
        for place, part in enumerate(parts):
            found, penalty = _part_scores(
                [block[known[~tested]] for block in part],
                [block[known[tested]] for block in part],
                training,
                seed,
                partial_progress(within, place / len(parts), 1 / len(parts)),
            )
            of_parts.append(found)
            chosen(fold, penalty)
        scores[known[tested]] = np.mean(of_parts, axis=0)
    return problem.task_scores(scores)


def partial_progress(
    progress: Callable[[float], None], first: float, width: float
) -> Callable[[float], None]:
    """Return a callback that reports shares of a part of the work, from `first` to its width."""
    return lambda share: progress(first + width * share)


def _part_scores(
    features: list[np.ndarray],
    tested: list[np.ndarray],
    training: ProbeProblem,
    seed: int,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, Penalty]:
    """Train a probe on some units and score others.

    Args:
        features: Blocks `[n, d_i]`, features of the training units.
        tested: Blocks `[m, d_i]`, features of the tested units.
        training: Labels of the training units.
        seed: Seed of the inner folds.
        progress: Callback for the share that is done.

    Returns:
        `[m, c]` float64, NaN in columns that cannot be learnt, and the penalty.
    """
    features = [training.features(block) for block in features]
    axes = BlockAxes.of(features)
    coordinates = axes.coordinates(features)  # [n, r]
    penalty = choose_penalty(
        coordinates,
        axes,
        training,
        inner_folds(training, seed),
        partial_progress(progress, 0.0, _SHARE_OF_CHOICE),
    )
    probe = train_probe(
        coordinates,
        axes,
        training,
        penalty.strengths[None],
        progress=partial_progress(progress, _SHARE_OF_CHOICE, 1 - _SHARE_OF_CHOICE),
    )
    return probe.scores(axes.coordinates(tested))[..., 0], penalty


def inner_folds(training: ProbeProblem, seed: int) -> list[InnerFold]:
    """Divide training titles into folds for the choice of a penalty; none for a single title."""
    count = len(np.unique(training.titles))
    if count == 1:
        return []
    folds = next((folds for most, folds in _INNER_FOLDS if count <= most), _FEWEST_INNER_FOLDS)
    fold_of = folds_of(training.titles, training.labels, folds, seed)
    return [(fold_of != fold, fold_of == fold) for fold in np.unique(fold_of)]


def _checked_parts(representation: Representation, fold: int, count: int) -> list[list[np.ndarray]]:
    """Return the blocks of each part, after checking their shapes and values."""
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
    return parts
