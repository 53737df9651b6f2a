"""Units with labels for the tests of the evaluation's statistics."""

import numpy as np

from mediafm_core.evaluation.evaluation_task import Task, TaskLabels


class Vectors:
    """A representation that is the same for every fold."""

    def __init__(self, name: str, *parts: np.ndarray) -> None:
        self.name = name
        self._parts = [part.astype(np.float32) for part in parts]

    def parts(self, fold: int) -> list[np.ndarray]:
        return self._parts


def titles_of(count: int, units: int) -> np.ndarray:
    return np.repeat([f"film-{number:03d}" for number in range(count)], units)


def labels_of(
    values: np.ndarray,
    task: Task = "binary",
    classes: list[str] | None = None,
    known: np.ndarray | None = None,
) -> TaskLabels:
    if known is None:
        known = np.ones(len(values), bool)
    return TaskLabels("wanted", task, values, classes or [], known)
