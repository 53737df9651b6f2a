"""Scenes of whole titles, without labels.

Similarity in the network's metric of slow features says where the shots before and after differ;
the content head says which shots tend to be first in a scene. Both are combined in the sum over all
partitions of the title (`mediafm_core.scenes.partitions`): as costs of scenes and as evidence for
boundaries. See `docs/explanation/scenes.md`.

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

# Costs of scenes over these are logarithms of odds, where directions of the metric would be
# independent and their slowness known: see `temperatures_of`.
_TEMPERATURES = (1.5, 4.5)
_LEAST_INFORMATION = 0.5

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


def temperatures_of(slow: SlowFeatures) -> list[float]:
    """Return the temperatures of costs in a metric, the lower the more its directions say.

    Two shots of a scene are correlated by the slowness `c` of each direction. Were directions
    normally distributed and independent, the logarithm of the odds that two shots belong together
    would be `sum(c**2) / 2` on average, for small `c`. Vectors of unit length have a cosine of one
    there, so that a cost is to be multiplied by a number proportional to `sum(c**2)`.
    """
    information = max(float(slow.slowness.square().sum()), _LEAST_INFORMATION)
    return [each / information for each in _TEMPERATURES]


def _probabilities(network: MediaFM, fused: np.ndarray, content: bool) -> np.ndarray:
    slow = network.slow_features
    with inference(network):
        shots = torch.from_numpy(fused).to(network.device)
        kernels = [vectors.cpu().numpy() for vectors in slow(shots)]
        evidence = network.content_head(shots).cpu().numpy() if content else None
    return boundary_marginals(kernels, GRAINS, temperatures_of(slow), evidence=evidence)
