"""Means of vectors per shot, while the vectors come by."""

import numpy as np


class ShotMeans:
    """Running sums of vectors per shot; vectors come in the order of shots.

    The sums are the same to the last bit however the vectors are divided into calls.

    Attributes:
        last: the shot of the vector that came last.
    """

    def __init__(self, shot_count: int, dimension: int) -> None:
        self._sums = np.zeros((shot_count, dimension), dtype=np.float64)
        self._counts = np.zeros(shot_count, dtype=np.int64)
        self._borrowed = np.zeros(shot_count, dtype=bool)
        self.last = 0

    def add(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors `[n, dimension]`; `shots` `[n]` is not decreasing."""
        if not len(shots):
            return
        first = np.flatnonzero(np.diff(shots, prepend=-1))
        runs = shots[first]
        self._drop_borrowed(runs)
        # One after the other, so that a shot's sum does not tell where a batch ended inside it.
        terms = vectors.astype(np.float64)
        terms[0] += self._sums[runs[0]]
        self._sums[runs] = np.add.reduceat(terms, first, axis=0)
        self._counts[runs] += np.diff(first, append=len(shots))
        self.last = int(shots[-1])

    def lend(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Give vectors `[n, dimension]` to those shots `[n]` that have none of their own so far."""
        empty = self._counts[shots] == 0
        self._sums[shots[empty]] = vectors[empty]
        self._borrowed[shots[empty]] = True

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums float64 `[shots, dimension]`, which point where the means do, and presence."""
        return self._sums, (self._counts > 0) | self._borrowed

    def _drop_borrowed(self, shots: np.ndarray) -> None:
        borrowed = shots[self._borrowed[shots]]
        self._sums[borrowed] = 0.0
        self._borrowed[borrowed] = False
