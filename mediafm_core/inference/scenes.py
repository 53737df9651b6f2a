"""Scenes of whole titles, without labels.

Similarity, in the network's metric of slow features and in the fused vectors as they are, says
where the shots before and after differ; the content head says which shots tend to be first in a
scene. Both are combined in the sum over all partitions of the title
(`mediafm_core.scenes.partitions`): as costs of scenes and as evidence for boundaries. See
`docs/explanation/scenes.md`.

Imports torch: import this module only where scenes are computed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.inference.batching import TitleInput, checked, inference
from mediafm_core.model.network import MediaFM
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.scenes.partitions import (
    DEFAULT_GRAIN,
    GRAINS,
    LONGEST_SCENE,
    boundary_marginals,
    likely_starts,
)

# Of costs in the metric of slow features and of plain fused vectors: see `Temperatures`.
_SLOW_TEMPERATURES = (1.5, 4.5)
_LEAST_INFORMATION = 0.5
_PLAIN_TEMPERATURES = (0.01, 0.02)
_LEAST_PERSISTENCE = 0.05

LOOK_BACK = 2 * LONGEST_SCENE  # shots that a boundary of a prefix depends on


class TitleScenes(NamedTuple):
    """Scenes of a title.

    Attributes:
        probabilities: `[n, g]` float32, probability that a scene starts at each shot when a scene
            has as many shots as the grain on average; 0 at the first shot.
        grains: mean shots of a scene, `[g]`.
        starts: int64, first shots of the scenes, in order; the first is 0.
    """

    probabilities: np.ndarray
    grains: tuple[int, ...]
    starts: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Probability `[n]` float32 of a scene start, mean over grains."""
        mean: np.ndarray = self.probabilities.mean(axis=1)
        return mean


def title_scenes(
    network: MediaFM,
    fused: np.ndarray,
    metadata: np.ndarray | None = None,
    *,
    title_id: str = "the title",
    content: bool = True,
    grain: float = DEFAULT_GRAIN,
    progress: Callable[[float], None] = lambda _share: None,
) -> TitleScenes:
    """Find the scenes of a whole title.

    Args:
        network: a trained network; its metric and content head are used, not its layers.
        fused: `[n, d]` fused vectors of all shots in order.
        metadata: `[g]` metadata embedding; checked, not used.
        title_id: named in errors.
        content: use the content head; False is similarity alone.
        grain: mean shots of the scenes in `starts`.
        progress: called with the completed fraction.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    title = checked(network, TitleInput(fused, metadata, title_id))
    found = _probabilities(network, title.fused, content)
    progress(1.0)
    return TitleScenes(found, GRAINS, likely_starts(found.mean(axis=1), grain))


def prefix_probabilities(
    network: MediaFM,
    fused: np.ndarray,
    metadata: np.ndarray | None = None,
    *,
    title_id: str = "the title",
    content: bool = True,
    look_ahead: int = 0,
) -> np.ndarray:
    """Compute the probability that a scene starts at each shot from the shots up to it.

    Every shot is the end of a window of `LOOK_BACK` shots, which is computed separately: about
    0.05 CPU seconds per shot.

    Args:
        network: as in `title_scenes`.
        fused: as in `title_scenes`.
        metadata: as in `title_scenes`.
        title_id: named in errors.
        content: as in `title_scenes`.
        look_ahead: shots after it that are read too, where the title has them; a latency of
            so many shots.

    Returns:
        `[n, g]` float32.

    Raises:
        TitleError: as `title_scenes`.
    """
    shots = checked(network, TitleInput(fused, metadata, title_id)).fused
    found = np.zeros((len(shots), len(GRAINS)), dtype=np.float32)
    for shot in range(1, len(shots)):
        start, stop = max(0, shot - LOOK_BACK), shot + look_ahead + 1
        found[shot] = _probabilities(network, shots[start:stop], content)[shot - start]
    return found


class Temperatures(NamedTuple):
    """Temperatures of the costs of scenes, the lower the more similarity says."""

    slow: list[float]
    plain: list[float]


def temperatures_of(slow: SlowFeatures) -> Temperatures:
    """Return the temperatures that follow from how alike neighbouring shots are in training.

    Two shots of a scene are correlated by the slowness `c` of each direction. Were directions
    normally distributed and independent, the logarithm of the odds that two shots belong together
    would be `sum(c**2) / 2` on average, for small `c`. Vectors of unit length have a cosine of one
    there, so a cost is multiplied by a number proportional to `sum(c**2)`; and in fused vectors,
    which are not whitened, to the square of their mean autocorrelation.
    """
    information = max(float(slow.slowness.square().sum()), _LEAST_INFORMATION)
    persistence = max(float(slow.persistence), _LEAST_PERSISTENCE)
    return Temperatures(
        [each / information for each in _SLOW_TEMPERATURES],
        [each / persistence**2 for each in _PLAIN_TEMPERATURES],
    )


def _probabilities(network: MediaFM, fused: np.ndarray, content: bool) -> np.ndarray:
    """Compute `[n, g]`, the mean of slow and of plain features."""
    slow = network.slow_features
    temperatures = temperatures_of(slow)
    with inference(network):
        shots = torch.tensor(fused, device=network.device)
        kernels = [vectors.cpu().numpy() for vectors in slow(shots)]
        plain = slow.plain(shots).cpu().numpy()
        evidence = network.content_head(shots).cpu().numpy() if content else None
    by_slow = boundary_marginals(kernels, GRAINS, temperatures.slow, evidence=evidence)
    by_plain = boundary_marginals([plain], GRAINS, temperatures.plain, evidence=evidence)
    mean: np.ndarray = (by_slow + by_plain) / 2
    return mean
