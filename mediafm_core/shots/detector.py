"""What a shot boundary detector is to the rest of the platform."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mediafm_core.identity import Identity

FRAME_HEIGHT = 27
FRAME_WIDTH = 48

Frames = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


class ShotStream(Protocol):
    """The frames of one title passing through a detector, in order.

    The results do not depend on how the frames are divided among the calls.
    """

    def push(self, frames: Frames) -> Probabilities:
        """Take the next frames.

        Args:
            frames: RGB, `[n, 27, 48, 3]` uint8, `n` at least 0.

        Returns:
            Probability of being part of a transition for the next frames for which it is now
            known, `[m]` float32; `m` may be 0.
        """
        ...

    def finish(self) -> Probabilities:
        """Say that there are no more frames; returns the probabilities still owed, `[m]`."""
        ...


class StreamingDetector(Protocol):
    """Finds transitions between shots; all that a decode needs to know of it.

    Attributes:
        threshold: probability above which a frame is part of a transition.
    """

    threshold: float

    def stream(self) -> ShotStream:
        """Begin a title."""
        ...


class ShotDetector(StreamingDetector, Protocol):
    """A detector with an identity."""

    @property
    def identity(self) -> Identity:
        """Name, version and digest of weights and settings; does not load the network."""
        ...
