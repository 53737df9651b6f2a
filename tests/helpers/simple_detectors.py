"""Simple detectors for tests of other parts."""

import numpy as np

from mediafm_core.identity import Identity


class CutEvery:
    """A detector with a cut after every `frames` frames, reported some frames later."""

    threshold = 0.5
    identity = Identity(name="cut-every", version="1", digest="0")

    def __init__(self, frames: int, delay: int = 70) -> None:
        self._frames = frames
        self._delay = delay

    def stream(self):
        self._seen = self._known = 0
        return self

    def push(self, frames: np.ndarray) -> np.ndarray:
        self._seen += len(frames)
        return self._answer(max(self._known, self._seen - self._delay))

    def finish(self) -> np.ndarray:
        return self._answer(self._seen)

    def _answer(self, until: int) -> np.ndarray:
        numbers = np.arange(self._known, until)
        self._known = until
        return (numbers % self._frames == self._frames - 1).astype(np.float32)
