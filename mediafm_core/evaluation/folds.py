"""Folds of titles, so that a probe is tested on other titles than it was trained on."""

import numpy as np

from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.evaluation_task import TaskLabels

# Range of the random factor on a title's size, which decides the order of placement: large enough
# for other folds with every seed, too small to leave the largest titles, which are the hardest to
# place, for last.
_SHUFFLE = 0.5


def folds_of(titles: np.ndarray, labels: TaskLabels, folds: int, seed: int) -> np.ndarray:
    """Divide titles into folds with similar numbers of positives or of each class.

    Titles are placed one after the other, large ones first, each in the fold where it makes the
    loads of all classes most even (greedy, as scikit-learn's StratifiedGroupKFold). Titles without
    labels are placed too, because the network of a fold is trained without the fold's titles.

    Args:
        titles: `[n]`, each unit's title.
        labels: Labels of the same units.
        folds: Number of folds, at least two. The number of titles with labels, or more, leaves one
            title out at a time.
        seed: Seed of the order of placement. Each gives other folds, as far as balance allows.

    Returns:
        `[n]` int64, the fold in which a unit is tested; the same for all units of a title. Every
        fold tests a title that has labels.

    Raises:
        ConfigurationError: There are fewer than two folds.
        MediaFMError: No division into folds can evaluate the labels, see `require_measurable`.
    """
    require_measurable(titles, labels)
    if folds < 2:
        raise ConfigurationError(f"{folds} folds leave nothing to train on: give at least 2.")
    names, title_of = np.unique(titles, return_inverse=True)
    kinds = _kinds(labels)  # [n, k]
    counts = np.zeros((len(names), kinds.shape[1]))  # [titles, k]
    np.add.at(counts, title_of, kinds * labels.known[:, None])
    labelled = counts.any(axis=1)
    # The last column counts all units, which balances the titles without labels.
    counts = np.column_stack([counts, np.bincount(title_of)])
    shares = counts / np.maximum(counts.sum(axis=0), 1)  # [titles, k + 1]

    random = np.random.default_rng(seed)
    size = shares.sum(axis=1) * random.uniform(1 - _SHUFFLE, 1 + _SHUFFLE, len(names))
    fold_of_title = np.empty(len(names), np.int64)
    load = np.zeros((min(folds, int(labelled.sum())), shares.shape[1]))  # [folds, k + 1]
    for title in np.lexsort((-size, ~labelled)):
        # The increase of the sum of squared loads, less the title's own square.
        fold = int(np.argmin(load @ shares[title]))
        fold_of_title[title] = fold
        load[fold] += shares[title]
    return fold_of_title[title_of]


def require_measurable(titles: np.ndarray, labels: TaskLabels) -> None:
    """Refuse labels that no division into folds can evaluate, before any training.

    Raises:
        MediaFMError: No unit has a label, only one title has labels, all labels are the same, or
            the arrays have different lengths.
    """
    count = len(titles)
    if len(labels.values) != count or len(labels.known) != count:
        raise MediaFMError(
            f"{labels.name!r} labels {len(labels.values)} units, there are {count}: give one label "
            "and one title for each."
        )
    known = labels.values[labels.known]
    if not len(known):
        raise MediaFMError(f"{labels.name!r} labels none of the {count} units: label some.")
    if labels.task == "ranking" and not np.isfinite(known).all():
        raise MediaFMError(
            f"{labels.name!r} has {np.sum(~np.isfinite(known))} values that are not finite: "
            "correct them or leave them empty."
        )
    if not (known != known[0]).any():
        raise MediaFMError(
            f"{labels.name!r} is the same for all {len(known)} labelled units: a probe needs units "
            "that differ."
        )
    labelled_titles = np.unique(titles[labels.known])
    if len(labelled_titles) == 1:
        raise MediaFMError(
            f"{labels.name!r} labels units of one title only, {str(labelled_titles[0])!r}: probes "
            "are tested on titles that they were not trained on, so label at least two."
        )


def _kinds(labels: TaskLabels) -> np.ndarray:
    """Return the kinds of units to balance over the folds, `[n, k]` bool."""
    if labels.task == "multiclass":
        return labels.values[:, None] == np.arange(len(labels.classes))
    if labels.task == "ranking":
        return np.ones((len(labels.values), 1), bool)
    positives = labels.values.reshape(len(labels.values), -1).astype(bool)
    # The negatives of a multilabel task's labels are nearly the same units.
    return np.column_stack([positives, ~positives.any(axis=1)])
