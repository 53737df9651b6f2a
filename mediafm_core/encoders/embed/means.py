"""Streaming means of vectors per shot."""

import numpy as np


class ShotMeans:
    """Running sums of vectors per shot; vectors are added in the order of shots.

    The sums are the same to the last bit however the vectors are divided into calls.

    Attributes:
        last: the shot of the last vector.
    """

    def __init__(self, shot_count: int, dimension: int) -> None:
        self._sums = np.zeros((shot_count, dimension), dtype=np.float64)
        self._counts = np.zeros(shot_count, dtype=np.int64)
        self._fallback = np.zeros(shot_count, dtype=bool)
        self.last = 0

    def add(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors `[n, dimension]`; `shots` `[n]` is not decreasing."""
        if not len(shots):
            return
        first = np.flatnonzero(np.diff(shots, prepend=-1))
        runs = shots[first]
        self._drop_fallbacks(runs)
        # One after the other, so that a shot's sum does not depend on the ends of batches.
        terms = vectors.astype(np.float64)
        terms[0] += self._sums[runs[0]]
        self._sums[runs] = np.add.reduceat(terms, first, axis=0)
        self._counts[runs] += np.diff(first, append=len(shots))
        self.last = int(shots[-1])

    def add_fallback(self, shots: np.ndarray, vectors: np.ndarray) -> None:
        """Use vectors `[n, dimension]` for those shots `[n]` that have none of their own."""
        empty = self._counts[shots] == 0
        self._sums[shots[empty]] = vectors[empty]
        self._fallback[shots[empty]] = True

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return sums, float64 `[shots, dimension]`, directed as the means, and presence."""
        return self._sums, (self._counts > 0) | self._fallback

    def _drop_fallbacks(self, shots: np.ndarray) -> None:
        fallback = shots[self._fallback[shots]]
        self._sums[fallback] = 0.0
        self._fallback[fallback] = False
