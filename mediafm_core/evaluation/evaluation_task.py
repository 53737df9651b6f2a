"""Tasks of an evaluation: labels of units (shots or clips), and representations of them.

All arrays here have `n` rows, one per unit, in the same order: title by title, the units of a title
by time. Folds and bootstrap draws never divide a title.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Task = Literal["binary", "multilabel", "multiclass", "ranking", "retrieval"]

ProbeTitles = Literal["pretraining", "unseen"]
"""Titles that a probe is trained on: those that its network was pretrained on, or others."""


@dataclass(frozen=True)
class TaskLabels:
    """Labels of one task, for all units of a data set.

    Attributes:
        name: The label's column, or the joined names of a multilabel task's columns.
        task: Task of a probe. Binary and retrieval differ in their metrics only; ranking orders the
            units within a title.
        values: binary and retrieval `[n]` bool; multilabel `[n, c]` bool; multiclass `[n]` int64,
            positions in `classes`; ranking `[n]` float64, higher is better.
        classes: Names of the `c` labels or classes; empty for the other tasks.
        known: `[n]` bool: True for units with a label. Units without one give context to a network,
            but no probe is trained or tested on them, and their values are arbitrary.
    """

    name: str
    task: Task
    values: np.ndarray
    classes: list[str]
    known: np.ndarray


Part = np.ndarray | tuple[np.ndarray, ...]
"""Input of one probe: a matrix `[n, d]`, or blocks of columns `[n, d_i]` that are penalised
separately."""


class Representation(Protocol):
    """Vectors of units that a probe is trained on."""

    name: str

    def parts(self, fold: int) -> Sequence[Part]:
        """Return the vectors of all units for one fold.

        Args:
            fold: Fold whose titles are tested. Where a network computes the vectors, it was
                trained on the titles of the other folds.

        Returns:
            Inputs of probes, float32: one in general, one per modality for late fusion.
        """
        ...
