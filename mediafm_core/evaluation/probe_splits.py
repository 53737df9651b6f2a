"""Division of titles: those that networks and probes are trained on, and those they are tested on.

Without a fixed split, the titles are divided into folds, and the network of a fold is trained on
the titles outside it. Its probe is trained on the same titles (`pretraining`), or on titles within
the fold that pretraining has not seen (`unseen`). A fixed split has one fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import ProbeTitles, TaskLabels
from mediafm_core.evaluation.folds import folds_of, require_measurable, title_folds, value_in_words
from mediafm_core.readable import quoted

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_MOST_PROBES = 5  # within a fold, with probe titles that pretraining has not seen
_FEWEST_TITLES = 3  # with labels in such a fold: one is tested, two choose the penalty
_SHOWN = 3  # values in a message


@dataclass(frozen=True)
class ProbeSplit:
    """Units that a probe is trained on, and those it is tested on.

    Attributes:
        fold: Fold of the network that computes the vectors.
        training: `[n]` bool: True for units of training titles.
        validation: `[n]` bool: True for units of titles that choose the penalty; all False where
            folds of the training titles do.
        tested: `[n]` bool: True for units of tested titles.
    """

    fold: int
    training: np.ndarray
    validation: np.ndarray
    tested: np.ndarray


@dataclass(frozen=True)
class Division:
    """Division of the titles of a data set, of one seed.

    Attributes:
        fold_of: `[n]` int64, fold whose network is not trained on the unit's title; -1 for training
            titles of a fixed split.
        splits: One for each probe. Each title is tested at most once.
    """

    fold_of: np.ndarray
    splits: list[ProbeSplit]

    @property
    def split_of(self) -> np.ndarray:
        """Index of the split that tests each unit, `[n]` int64; -1 where none does."""
        split_of = np.full(len(self.fold_of), -1)
        for index, split in enumerate(self.splits):
            split_of[split.tested] = index
        return split_of


def by_folds(fold_of: np.ndarray) -> list[ProbeSplit]:
    """Return a split for each fold `[n]`: its titles are tested, all others train the probe."""
    none = np.zeros(len(fold_of), bool)
    return [
        ProbeSplit(int(fold), fold_of != fold, none, fold_of == fold) for fold in np.unique(fold_of)
    ]


def divide(
    titles: np.ndarray,
    labels: TaskLabels,
    folds: int,
    seed: int,
    *,
    probe_titles: ProbeTitles = "pretraining",
    parts: np.ndarray | None = None,
) -> Division:
    """Divide titles into folds and probe splits.

    The folds do not depend on the labels, so that a network serves all labels of a table.

    Args:
        titles: `[n]`, each unit's title.
        labels: Labels of the same units.
        folds: Number of folds.
        seed: Seed of the folds.
        probe_titles: Titles that probes are trained on.
        parts: `[n]`, the part of a fixed split that each unit belongs to; None for folds.

    Raises:
        MediaFMError: The labels cannot be measured; no class has units of two titles; a part of
            the split has no labels, or labels that are all the same; or a fold has too few labelled
            titles for its own probes.
    """
    require_measurable(titles, labels)
    _require_shared_classes(titles, labels)
    if parts is not None:
        return _fixed(titles, labels, parts)
    fold_of = title_folds(titles, folds, seed)
    if probe_titles == "pretraining":
        return Division(fold_of, by_folds(fold_of))
    splits = []
    for fold in np.unique(fold_of).tolist():
        splits += _within(titles, labels, fold_of == fold, fold, seed)
    return Division(fold_of, splits)


def _require_shared_classes(titles: np.ndarray, labels: TaskLabels) -> None:
    """Refuse classes that are of one title each: a probe would know none of those it is tested on.

    Names and identifiers are such labels.
    """
    if labels.task != "multiclass":
        return
    pairs = np.unique(
        np.stack([labels.values, np.unique(titles, return_inverse=True)[1]])[:, labels.known],
        axis=1,
    )
    if np.bincount(pairs[0]).max() == 1:
        classes = [quoted(name) for name in labels.classes[:_SHOWN]]
        raise MediaFMError(
            f"{labels.name!r} has {len(labels.classes)} values such as {', '.join(classes)}, each "
            "in one title only: probes are tested on titles that they were not trained on, so name "
            "a label whose values occur in several titles."
        )


def _within(
    titles: np.ndarray, labels: TaskLabels, of_fold: np.ndarray, fold: int, seed: int
) -> list[ProbeSplit]:
    """Return splits of the titles of one fold, each of which is tested once."""
    labelled = len(np.unique(titles[of_fold & labels.known]))
    if labelled < _FEWEST_TITLES:
        raise MediaFMError(
            f"Fold {fold + 1} has {labelled} titles with {labels.name!r}; probes on titles that "
            f"pretraining has not seen need {_FEWEST_TITLES} in each fold: take fewer folds "
            "(--folds), or --probe-titles pretraining."
        )
    rows = np.flatnonzero(of_fold)
    values = labels.values[rows][labels.known[rows]]
    if not (values != values[0]).any():
        raise MediaFMError(
            f"{labels.name!r} is the same for all units of fold {fold + 1} "
            f"({value_in_words(labels, values[0])}), in which probes on titles that pretraining "
            "has not seen are trained: take fewer folds (--folds), or --probe-titles pretraining."
        )
    of_titles = TaskLabels(
        labels.name, labels.task, labels.values[rows], labels.classes, labels.known[rows]
    )
    inner = folds_of(titles[rows], of_titles, min(_MOST_PROBES, labelled), seed)
    splits = []
    for tested in np.unique(inner).tolist():
        mask = np.zeros(len(titles), bool)
        mask[rows[inner == tested]] = True
        splits.append(ProbeSplit(fold, of_fold & ~mask, np.zeros(len(titles), bool), mask))
    return splits


def _fixed(titles: np.ndarray, labels: TaskLabels, parts: np.ndarray) -> Division:
    for part in (TRAIN, TEST):
        values = labels.values[labels.known & (parts == part)]
        if not len(values):
            raise MediaFMError(
                f"{labels.name!r} labels no unit of the {part} titles: label some, or name another "
                "split."
            )
        if not (values != values[0]).any():
            raise MediaFMError(
                f"{labels.name!r} is the same for all {len(values)} labelled units of the {part} "
                f"titles ({value_in_words(labels, values[0])}): label titles whose units differ, "
                "or name another split."
            )
    tested = np.unique(titles[labels.known & (parts == TEST)])
    if len(tested) == 1:
        raise MediaFMError(
            f"{labels.name!r} labels units of one test title only, {str(tested[0])!r}: label at "
            "least two, whose difference gives an interval."
        )
    training, validation, test = (parts == part for part in (TRAIN, VALIDATION, TEST))
    # Pretraining takes the titles outside fold 0, which are those of the part for training.
    fold_of = np.where(training, -1, 0)
    return Division(fold_of, [ProbeSplit(0, training, validation, test)])


def parts_of_titles(
    titles: Sequence[str], title_of: np.ndarray, values: Sequence[str | None], column: str
) -> np.ndarray:
    """Check a column of a fixed split, and return the part of each unit, `[n]` text.

    Args:
        titles: Names of the titles.
        title_of: `[n]`, index in `titles` of every unit's title.
        values: `[n]` values of the column.
        column: Name of the column, for messages.

    Raises:
        MediaFMError: A value is no part or is missing, a title has units of two parts, or there are
            no titles to train on or to test.
    """
    found = np.array(["" if value is None else str(value).strip().lower() for value in values])
    known = (TRAIN, VALIDATION, TEST)
    unknown = np.flatnonzero(~np.isin(found, known))
    if len(unknown):
        title = titles[title_of[unknown[0]]]
        some = list(dict.fromkeys(values[row] for row in unknown.tolist()))[:_SHOWN]
        shown = ", ".join("no value" if value is None else quoted(value) for value in some)
        raise MediaFMError(
            f"The split {column!r} has {shown} in {len(unknown)} rows, the first of {title}: "
            "write train, validation or test."
        )
    first = found[np.searchsorted(title_of, title_of)]
    mixed = np.flatnonzero(found != first)
    if len(mixed):
        raise MediaFMError(
            f"The split {column!r} divides {titles[title_of[mixed[0]]]}, which has shots of "
            f"{first[mixed[0]]} and of {found[mixed[0]]}: give each title one part."
        )
    for part in (TRAIN, TEST):
        if not (found == part).any():
            raise MediaFMError(f"The split {column!r} has no {part} titles: mark some with {part}.")
    return found
