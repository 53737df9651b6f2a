"""Scenes of whole titles, without labels.

Similarity, in the network's metric of slow features, says where the shots before and after differ.
The content head says which shots tend to be first in a scene. A network that reads in two
directions has learnt from its titles which pasts and futures meet at a scene start, and its
boundary head says so. Similarity is the cost of scenes and both heads are evidence for boundaries
in the sum over all partitions of the title (`mediafm_core.scenes.partitions`). See
`docs/explanation/scenes.md`.

Imports torch: import this module only where scenes are computed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.inference.batching import CheckedTitle, TitleInput, checked, inference
from mediafm_core.inference.whole_title import windows
from mediafm_core.model.network import MediaFM
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.scenes.partitions import (
    DEFAULT_GRAIN,
    GRAINS,
    LONGEST_SCENE,
    boundary_marginals,
    likely_starts,
)

_TEMPERATURES = (1.5, 4.5)  # of costs, for a metric with information 1: see `temperatures_of`
_LEAST_INFORMATION = 0.5
_BOUNDARY_WEIGHT = 0.5  # of the boundary head, which is not calibrated on unseen titles

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
    heads: bool = True,
    grain: float = DEFAULT_GRAIN,
    progress: Callable[[float], None] = lambda _share: None,
) -> TitleScenes:
    """Find the scenes of a whole title.

    Args:
        network: a trained network; of one that reads as a whole, the layers are not used.
        fused: `[n, d]` fused vectors of all shots in order.
        metadata: `[g]` metadata embedding, None for a title without metadata.
        title_id: named in errors.
        heads: use the content head and the boundary head; False is similarity alone.
        grain: mean shots of the scenes in `starts`.
        progress: called with the completed fraction.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    title = checked(network, TitleInput(fused, metadata, title_id))
    found = _probabilities(network, title, heads)
    progress(1.0)
    return TitleScenes(found, GRAINS, likely_starts(found.mean(axis=1), grain))


def prefix_probabilities(
    network: MediaFM,
    fused: np.ndarray,
    metadata: np.ndarray | None = None,
    *,
    title_id: str = "the title",
    heads: bool = True,
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
        heads: as in `title_scenes`.
        look_ahead: shots after it that are read too, where the title has them; a latency of
            so many shots.

    Returns:
        `[n, g]` float32.

    Raises:
        TitleError: as `title_scenes`.
    """
    title = checked(network, TitleInput(fused, metadata, title_id))
    found = np.zeros((len(fused), len(GRAINS)), dtype=np.float32)
    for shot in range(1, len(fused)):
        start, stop = max(0, shot - LOOK_BACK), shot + look_ahead + 1
        window = title._replace(fused=title.fused[start:stop])
        found[shot] = _probabilities(network, window, heads)[shot - start]
    return found


def temperatures_of(slow: SlowFeatures) -> list[float]:
    """Return temperatures of costs, from how alike neighbouring shots are in training.

    The lower they are, the more similarity says. Two shots of a scene are correlated by the
    slowness `c` of each direction. Were directions normally distributed and independent, the
    logarithm of the odds that two shots belong together would be `sum(c**2) / 2` on average, for
    small `c`. Vectors of unit length have a cosine of one there, so a cost is multiplied by a
    number proportional to `sum(c**2)`.
    """
    information = max(float(slow.slowness.square().sum()), _LEAST_INFORMATION)
    return [each / information for each in _TEMPERATURES]


def _probabilities(network: MediaFM, title: CheckedTitle, heads: bool) -> np.ndarray:
    """Compute probabilities `[n, g]` of scene starts."""
    with inference(network):
        shots = torch.tensor(title.fused, device=network.device)
        vectors = network.slow_features(shots).cpu().numpy()
        evidence = _evidence(network, title, shots).cpu().numpy() if heads else None
    temperatures = temperatures_of(network.slow_features)
    return boundary_marginals(vectors, GRAINS, temperatures, evidence=evidence)


def _evidence(network: MediaFM, title: CheckedTitle, shots: torch.Tensor) -> torch.Tensor:
    """Compute evidence `[n, g]` of both heads for a boundary at each shot.

    They see different parts of a title, so that logarithms of odds are added. Long titles are read
    in cross-faded windows.
    """
    evidence = network.content_head(shots)
    if network.two_directions is None or network.boundary_head is None:
        return evidence
    metadata = torch.tensor(title.global_vector, device=network.device)[None]
    plan = windows(len(shots), network.config.max_shots)
    weights = torch.from_numpy(plan.weights).to(network.device)  # [windows, length]
    for start, weight in zip(plan.starts.tolist(), weights, strict=True):
        window = slice(start, start + len(weight))
        logits = network.boundaries(shots[None, window], metadata)[0]
        evidence[window] += _BOUNDARY_WEIGHT * weight[:, None] * logits
    return evidence
