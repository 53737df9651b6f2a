"""Folds of titles, so that a probe is tested on other titles than it was trained on."""

from typing import Any

import numpy as np

from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.readable import quoted

# Range of the random factor on a title's size, which decides the order of placement: large enough
# for other folds with every seed, too small to leave the largest titles, which are the hardest to
# place, for last.
_SHUFFLE = 0.5


def title_folds(titles: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Divide titles into folds with similar numbers of units, whatever their labels.

    Args:
        titles: `[n]`, each unit's title.
        folds: Number of folds, at least two. The number of titles, or more, leaves one title out at
            a time.
        seed: Seed of the order of placement. Each gives other folds, as far as balance allows.

    Returns:
        `[n]` int64, the fold in which a unit is tested; the same for all units of a title.

    Raises:
        ConfigurationError: There are fewer than two folds.
    """
    _require_folds(folds)
    names, title_of = np.unique(titles, return_inverse=True)
    shares = np.bincount(title_of)[:, None] / len(titles)  # [titles, 1]
    order = np.argsort(-_sizes(shares, seed), kind="stable")
    return _placed(shares, order, min(folds, len(names)))[title_of]


def folds_of(titles: np.ndarray, labels: TaskLabels, folds: int, seed: int) -> np.ndarray:
    """Divide titles into folds with similar numbers of positives or of each class.

    Titles are placed one after the other, large ones first, each in the fold where it makes the
    loads of all classes most even (greedy, as scikit-learn's StratifiedGroupKFold). These are the
    folds of probes among their own titles; those of networks do not follow a label, see
    `title_folds`.

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
    _require_folds(folds)
    names, title_of = np.unique(titles, return_inverse=True)
    kinds = _kinds(labels)  # [n, k]
    counts = np.zeros((len(names), kinds.shape[1]))  # [titles, k]
    np.add.at(counts, title_of, kinds * labels.known[:, None])
    labelled = counts.any(axis=1)
    # The last column counts all units, which balances the titles without labels.
    counts = np.column_stack([counts, np.bincount(title_of)])
    shares = counts / np.maximum(counts.sum(axis=0), 1)  # [titles, k + 1]
    order = np.lexsort((-_sizes(shares, seed), ~labelled))
    return _placed(shares, order, min(folds, int(labelled.sum())))[title_of]


def _require_folds(folds: int) -> None:
    if folds < 2:
        raise ConfigurationError(f"{folds} folds leave nothing to train on: give at least 2.")


def _sizes(shares: np.ndarray, seed: int) -> np.ndarray:
    """Return the size of each title, times a random factor, from its shares `[titles, k]`."""
    random = np.random.default_rng(seed)
    return shares.sum(axis=1) * random.uniform(1 - _SHUFFLE, 1 + _SHUFFLE, len(shares))


def _placed(shares: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:
    """Place titles one after the other in the fold where the loads stay most even, `[titles]`."""
    fold_of_title = np.empty(len(shares), np.int64)
    load = np.zeros((folds, shares.shape[1]))
    for title in order:
        # The increase of the sum of squared loads, less the title's own square.
        fold = int(np.argmin(load @ shares[title]))
        fold_of_title[title] = fold
        load[fold] += shares[title]
    return fold_of_title


def require_measurable(titles: np.ndarray, labels: TaskLabels) -> None:
    """Refuse labels that no division into folds can evaluate, before any training.

    Raises:
        MediaFMError: No unit has a label, only one title has labels, all labels are the same, for
            ranking within each title, or the arrays have different lengths.
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
            f"{labels.name!r} is the same for all {len(known)} labelled units "
            f"({value_in_words(labels, known[0])}): name a label whose units differ."
        )
    labelled_titles, title_of = np.unique(titles[labels.known], return_inverse=True)
    if labels.task == "ranking":
        first = known[np.unique(title_of, return_index=True)[1]][title_of]
        if np.array_equal(known, first):
            raise MediaFMError(
                f"{labels.name!r} is the same for all units of each title: ranking orders the "
                "units within a title, so give values that differ there, or another task."
            )
    if len(labelled_titles) == 1:
        raise MediaFMError(
            f"{labels.name!r} labels units of one title only, {str(labelled_titles[0])!r}: probes "
            "are tested on titles that they were not trained on, so label at least two."
        )


def value_in_words(labels: TaskLabels, value: Any) -> str:
    """Return the value of one unit, an entry of `labels.values`, for a message."""
    if labels.task == "multilabel":
        names = [quoted(name) for name, has in zip(labels.classes, value, strict=True) if has]
        return " and ".join(names) or "none of its labels"
    if labels.task == "multiclass":
        return quoted(labels.classes[int(value)])
    return f"{value:g}" if labels.task == "ranking" else str(bool(value)).lower()


def _kinds(labels: TaskLabels) -> np.ndarray:
    """Return the kinds of units to balance over the folds, `[n, k]` bool."""
    if labels.task == "multiclass":
        return labels.values[:, None] == np.arange(len(labels.classes))
    if labels.task == "ranking":
        return np.ones((len(labels.values), 1), bool)
    positives = labels.values.reshape(len(labels.values), -1).astype(bool)
    # The negatives of a multilabel task's labels are nearly the same units.
    return np.column_stack([positives, ~positives.any(axis=1)])
