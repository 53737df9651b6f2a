"""Shot boundaries from transition probabilities."""

import numpy as np
from numpy.typing import NDArray

from mediafm_core.shots.detector import Probabilities


class BoundaryFinder:
    """Streaming finder of the first frame of every shot after the first.

    Shots partition the title. As in TransNetV2's own `predictions_to_scenes`, a shot starts after
    a run of transition frames. The run belongs to the shot before it, so that a shot starts with
    clean frames. In a title that begins within a transition, the first shot includes it.

    Args:
        threshold: probability above which a frame is part of a transition.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._previous = False
        self._shown = False
        self.frames = 0

    def push(self, probabilities: Probabilities) -> NDArray[np.int64]:
        """Return the numbers of those next frames at which shots start.

        Args:
            probabilities: of the next frames, `[n]`. `frames` grows by `n`.

        Returns:
            Frame numbers from the start of the title, ascending, `[shots]` int64.
        """
        if not len(probabilities):
            return np.empty(0, np.int64)
        transition = probabilities > self._threshold  # [n]
        before = np.concatenate([[self._previous], transition[:-1]])
        # False while the title is still in a transition that it begins with.
        shown = np.logical_or.accumulate(np.concatenate([[self._shown], ~transition]))  # [n + 1]
        starts = np.flatnonzero(before & ~transition & shown[:-1]) + self.frames
        self._previous, self._shown = bool(transition[-1]), bool(shown[-1])
        self.frames += len(probabilities)
        return starts
