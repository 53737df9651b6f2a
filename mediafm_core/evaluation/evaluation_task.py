"""What an evaluation is about: labels of units (shots or clips), and representations of them.

Units come in one order, shared by every array here: `n` rows, the units of a title in the order of
the film. Everything downstream keeps titles whole.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Task = Literal["binary", "multilabel", "multiclass", "ranking", "retrieval"]


@dataclass(frozen=True)
class TaskLabels:
    """Labels of one task, for all units of a data set.

    Attributes:
        name: The label's column, or the joined names of a multilabel task's columns.
        task: What is asked of a probe. Binary and retrieval differ in their metrics only; ranking
            orders the units within a title.
        values: binary and retrieval `[n]` bool; multilabel `[n, c]` bool; multiclass `[n]` int64,
            positions in `classes`; ranking `[n]` float64, higher is better.
        classes: Names of the `c` labels or classes; empty for the other tasks.
        known: `[n]` bool: units that have a label at all. The others give context, but no probe is
            trained or tested on them, and their values mean nothing.
    """

    name: str
    task: Task
    values: np.ndarray
    classes: list[str]
    known: np.ndarray


class Representation(Protocol):
    """One way to describe units by vectors, which a probe is trained on."""

    name: str

    def parts(self, fold: int) -> list[np.ndarray]:
        """The vectors of all units, as the network that was trained for one fold sees them.

        Args:
            fold: The fold in which the network's training titles are all titles but its own.

        Returns:
            Matrices `[n, d_i]` float32: one normally, one per modality for late fusion.
        """
        ...
