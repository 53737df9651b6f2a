"""Sentences about probes that a report's figures do not show."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.evaluation.results import PenaltyChoice

if TYPE_CHECKING:
    from mediafm_core.evaluation.probe_scores import ProbeScores


def untested_notes(labels: TaskLabels, titles: np.ndarray, scores: "ProbeScores") -> list[str]:
    """Return a sentence if titles were not tested because their probes had nothing to learn from.

    Args:
        labels: Labels of all units.
        titles: `[n]`, each unit's title.
        scores: Scores of all representations.
    """
    untested = np.zeros(len(titles), bool)
    for seed, folds in zip(scores.seeds, scores.folds, strict=True):
        of_seed = (by_seed[seed] for by_seed in scores.by_name.values() if seed in by_seed)
        for array in of_seed:
            untested |= (folds >= 0) & np.isnan(array).reshape(len(titles), -1).all(axis=1)
    labelled = np.unique(titles[labels.known])
    left_out = np.unique(titles[labels.known & untested])
    if len(left_out) in (0, len(labelled)):  # without any, the metrics give this reason
        return []
    return [
        f"{len(left_out)} of {len(labelled)} titles with {labels.name!r}, such as {left_out[0]}, "
        f"were not tested with every seed: {labels.name!r} is the same for all units of the titles "
        "that their probes are trained on."
    ]


def end_notes(penalties: Mapping[str, Sequence[PenaltyChoice]]) -> list[str]:
    """Return a sentence for each representation with penalties at an end of the grid."""
    notes = []
    for name, choices in penalties.items():
        for end in ("strongest", "weakest"):
            count = sum(choice.end == end for choice in choices)
            if count:
                notes.append(
                    f"{name}: {count} of {len(choices)} probes chose the {end} penalty of the "
                    "grid; another one might score higher."
                )
    return notes
