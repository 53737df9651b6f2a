"""From probabilities of transitions to the frames at which shots start."""

import numpy as np
from numpy.typing import NDArray

from mediafm_core.shots.detector import Probabilities


class BoundaryFinder:
    """Finds the first frame of every shot after the first, streaming.

    Shots partition the title. As in TransNetV2's own `predictions_to_scenes`, a shot starts after
    a run of transition frames; the run itself belongs to the shot before it, so that a shot starts
    with clean pictures. A title that begins within a transition begins its first shot with it.

    Args:
        threshold: probability above which a frame is part of a transition.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._previous = False
        self._shown = False
        self.frames = 0

    def push(self, probabilities: Probabilities) -> NDArray[np.int64]:
        """Numbers of the frames at which shots start among the next frames.

        Args:
            probabilities: of the next frames, `[n]`. `frames` grows by `n`.

        Returns:
            Frame numbers from the start of the title, ascending, `[shots]` int64.
        """
        if not len(probabilities):
            return np.empty(0, np.int64)
        transition = probabilities > self._threshold  # [n]
        before = np.concatenate([[self._previous], transition[:-1]])
        # Nothing has been shown while a title is still in the transition that it begins with.
        shown = np.logical_or.accumulate(np.concatenate([[self._shown], ~transition]))  # [n + 1]
        starts = np.flatnonzero(before & ~transition & shown[:-1]) + self.frames
        self._previous, self._shown = bool(transition[-1]), bool(shown[-1])
        self.frames += len(probabilities)
        return starts
