"""Interface of shot boundary detectors."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mediafm_core.identity import Identity

FRAME_HEIGHT = 27
FRAME_WIDTH = 48

Frames = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


class ShotStream(Protocol):
    """A detector's stream over the frames of one title, in order.

    The results do not depend on how the frames are divided among the calls.
    """

    def push(self, frames: Frames) -> Probabilities:
        """Process the next frames.

        Args:
            frames: RGB, `[n, 27, 48, 3]` uint8, `n` at least 0.

        Returns:
            Transition probabilities that have become available, of the next `m` frames, `[m]`
            float32; `m` may be 0.
        """
        ...

    def finish(self) -> Probabilities:
        """End the stream; returns the probabilities of the remaining frames, `[m]`."""
        ...


class StreamingDetector(Protocol):
    """The part of a shot detector that a decode uses.

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
