"""Metric of slow features, in which shots of one scene are close.

What changes from each shot to the next (the framing, who is in the picture) has to count less than
what stays for the length of a scene (the place, the light, the music). Slow feature analysis
(L. Wiskott, T. Sejnowski, Neural Computation 14, 2002) finds the directions that do: vectors are
whitened, rotated to the directions of the smallest mean squared difference between neighbouring
shots, and each direction is weighted by its autocorrelation.

Directions that were whitened from few shots are unreliable, so centred fused vectors count as well.
Shots of one scene that are alike and near pull each other closer (diffusion), which reduces what is
particular to a single shot.

`mediafm_core.model.training.slow_feature_statistics` measures the metric on the titles of a
training, without labels. It is stored with the weights; gradient descent does not change it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 128  # principal components at most
LEAST_SHARE = 0.1  # of a typical length, below which a vector has no significant direction

# Diffusion: shots of one scene that are alike and near exchange their vectors, twice.
_DIFFUSIONS = 2
_DIFFUSION_REACH = 12.0  # shots
_SHARPNESS = 4.0  # of similarities
_DIFFUSION_BAND = 96  # shots on each side; weights beyond are below exp(-8)
_BLOCK = 512  # shots that are diffused together


class SlowFeatures(nn.Module):
    """Whitened vectors of shots, weighted by slowness.

    Sizes: `n` shots, `d` width of fused vectors, `w` directions.
    """

    mean: Tensor  # [d]
    axes: Tensor  # [d, w], the slowest direction first; zeros where there are fewer
    slowness: Tensor  # [w], autocorrelation from 0 to 1
    shortest: Tensor  # [2], the least length that is scaled to one, by power
    spread: Tensor  # [], root mean square distance of a fused vector from the mean

    def __init__(self, width: int) -> None:
        super().__init__()
        directions = min(width, WIDTH)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, directions))
        self.register_buffer("slowness", torch.zeros(directions))
        self.register_buffer("shortest", torch.ones(2))
        self.register_buffer("spread", torch.ones(()))

    def coordinates(self, fused: Tensor) -> Tensor:
        """Compute whitened coordinates `[n, w]`, in float32 or float64."""
        with torch.autocast(fused.device.type, enabled=False):
            return self._centred(fused) @ self.axes

    def _centred(self, fused: Tensor) -> Tensor:
        wide = fused.to(torch.promote_types(fused.dtype, torch.float32))
        return functional.normalize(wide, dim=-1) - self.mean

    def forward(self, fused: Tensor) -> Tensor:
        """Compute vectors `[n, 2 * (2 * w + d)]` of a title's shots, whose products are similarity.

        The similarity of two shots is the mean of six cosines: of slow features in which slowness
        counts by its square root, and by itself, of centred fused vectors, and of these three after
        diffusion among similar shots that are near, which needs the title's other shots.

        Args:
            fused: `[n, d]` fused vectors of a whole title.

        Returns:
            Vectors of length one, or less if a shot is insignificantly far from the mean shot.
        """
        with torch.autocast(fused.device.type, enabled=False):
            plain = _scaled(self._centred(fused), LEAST_SHARE * self.spread)
            vectors = torch.cat([*self._slow(fused), plain], dim=-1) / 3**0.5
            return torch.cat([vectors, diffused(vectors)], dim=-1) / 2**0.5

    def teachers(self, fused: Tensor) -> list[Tensor]:
        """Compute vectors `[n, w]` in three metrics of slow features alone.

        The heads learn from boundaries that are found in them. Slowness counts by its square root,
        by itself, and by its square root with diffusion.

        Args:
            fused: `[n, d]` fused vectors of a whole title.
        """
        with torch.autocast(fused.device.type, enabled=False):
            gentle, strict = self._slow(fused)
            return [gentle, strict, diffused(gentle)]

    def _slow(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        coordinates = self.coordinates(fused)
        return (
            _scaled(coordinates * self.slowness.sqrt(), self.shortest[0]),
            _scaled(coordinates * self.slowness, self.shortest[1]),
        )


def _scaled(vectors: Tensor, shortest: Tensor) -> Tensor:
    """Scale vectors to length one; those that are shorter than `shortest` stay below it."""
    return vectors / vectors.norm(dim=-1, keepdim=True).maximum(shortest)


def diffused(vectors: Tensor) -> Tensor:
    """Replace each shot's vector by a mean of similar shots that are near, twice; unit vectors.

    Weights are `exp(4 * (cosine - 1) - distance / 12)`, of the given vectors in both passes.

    Args:
        vectors: `[n, w]` of length one or less.
    """
    count, band = len(vectors), _DIFFUSION_BAND
    place = torch.arange(count, device=vectors.device)
    weights = []  # of each block, to its shots and those within the band around it
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = slice(max(0, start - band), start + _BLOCK + band)
        similarity = vectors[rows] @ vectors[near].T
        distance = (place[rows, None] - place[near]).abs()
        scores = _SHARPNESS * (similarity - 1) - distance / _DIFFUSION_REACH
        scores = scores.masked_fill(distance > band, float("-inf"))
        weights.append((near, scores.softmax(dim=-1)))
    for _ in range(_DIFFUSIONS):
        vectors = torch.cat([weight @ vectors[near] for near, weight in weights])
    return functional.normalize(vectors, dim=-1)
