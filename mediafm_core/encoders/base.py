"""Interfaces of encoders, one per modality.

Constructing an encoder is cheap. The first `encode` loads its network, so that a status command can
read identities without loading weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mediafm_core.identity import Identity

Progress = Callable[[float], None]
"""Callback with the fraction of the work that is done, from 0 to 1."""


class Encoder(Protocol):
    """Interface of every encoder.

    The output of `encode` does not depend on how items are divided into batches (to 1e-4 in a
    vector of unit length).
    """

    @property
    def identity(self) -> Identity:
        """Name, version and digest of the weights and of the settings that change the output.

        Raises:
            ConfigurationError: the weights are missing or damaged.
        """
        ...

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        ...

    def check(self) -> None:
        """Check that `encode` can work here, without loading the network.

        Raises:
            ConfigurationError: a package, a weight or a key is missing, with the remedy.
        """
        ...


class VideoEncoder(Encoder, Protocol):
    """Encodes single pictures."""

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Encode pictures of any size.

        Args:
            images: uint8 `[height, width, 3]` each, RGB, square pixels.

        Returns:
            float32 `[len(images), dimension]`.
        """
        ...


@runtime_checkable
class JointEncoder(Protocol):
    """Interface of video encoders whose pictures share a space with texts."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts into the space of the pictures, none of them blank.

        Returns:
            float32 `[len(texts), dimension]`.

        Raises:
            MediaFMError: a text is longer than the network takes.
        """
        ...


class AudioEncoder(Encoder, Protocol):
    """Encodes windows of sound into a vector every few milliseconds."""

    @property
    def sample_rate(self) -> int:
        """Samples per second that `encode` takes."""
        ...

    @property
    def window_s(self) -> float:
        """The longest window, in seconds."""
        ...

    def encode(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encode windows of sound.

        Args:
            windows: float32 mono `[samples]` each, at `sample_rate`, in [-1, 1], at least one
                sample and at most `window_s`.

        Returns:
            One float32 `[frames, dimension]` for each window, at least one frame, spread evenly
            over the window's own duration: frame j is centred at (j + 0.5) / frames of it.
        """
        ...


@dataclass(frozen=True)
class Usage:
    """Usage of a text encoder, and its cost; zero where nothing is charged."""

    texts: int = 0
    cached_texts: int = 0
    requests: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.texts + other.texts,
            self.cached_texts + other.cached_texts,
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.usd + other.usd,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        """Return the usage since `other` was read: the cost of one title, for instance."""
        return Usage(
            self.texts - other.texts,
            self.cached_texts - other.cached_texts,
            self.requests - other.requests,
            self.tokens - other.tokens,
            self.usd - other.usd,
        )


class TextEncoder(Encoder, Protocol):
    """Encodes texts of any length."""

    @property
    def usage(self) -> Usage:
        """Usage over all `encode` calls of this object."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts, none of them blank.

        A text longer than the model takes is divided into pieces and their vectors are averaged,
        weighted by length: nothing is cut off.

        Returns:
            float32 `[len(texts), dimension]`.
        """
        ...
