"""Novelty features: how alike the shots before and after each shot are.

Imports torch: import this module only where a network is used.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_core.model.configuration import NOVELTY_BAND_EDGES, NOVELTY_REACHES, novelty_size


class NoveltyFeatures(nn.Module):
    """Similarity of the shots before and after each shot, in units of its standard deviation.

    A scene starts where shots differ from those before. Attention, a weighted sum, does not compare
    shots. These are novelties along the diagonal of the self-similarity matrix (J. Foote, ICME
    2000), at several reaches, in several bands of principal components of each modality; their
    rounding and scales are explained in `mediafm_core.model.training.novelty_statistics`.
    """

    mean: Tensor  # [s]
    scale: Tensor  # [s], one over the standard deviation

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.ranges = list(ranges)
        bands = [PrincipalBands(stop - start) for start, stop in ranges]
        self.modalities = nn.ModuleList(bands)
        self.size = novelty_size(ranges)  # s
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("scale", torch.ones(self.size))

    def forward(self, fused: Tensor, present: Tensor | None = None) -> Tensor:
        """Compute `[b, n, s]`, in float32 or float64; `fused` is zero for missing modalities."""
        features = []
        with torch.autocast(fused.device.type, enabled=False):
            for (start, stop), bands in zip(self.ranges, self.modalities, strict=True):
                part = fused[..., start:stop].to(torch.promote_types(fused.dtype, torch.float32))
                there = part.any(dim=-1, keepdim=True)  # [b, n, 1]
                if present is not None:
                    there = there & present[..., None]
                for band in bands(part):  # [b, n, c]
                    features += _novelty_of(band * there)
            return (torch.stack(features, dim=-1) - self.mean) * self.scale  # [b, n, s]


class PrincipalBands(nn.Module):
    """Ranges of principal components, each normalised: the first would outweigh the others."""

    centre: Tensor  # [width]
    axes: Tensor  # [width, components]
    shortest: Tensor  # [bands], the least length that is scaled to one

    def __init__(self, width: int) -> None:
        super().__init__()
        components = min(width, NOVELTY_BAND_EDGES[-1])
        edges = pairwise(NOVELTY_BAND_EDGES)
        # Half-open, in the order of falling variance.
        self.columns = [(low, min(high, components)) for low, high in edges if low < components]
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, components))
        self.register_buffer("shortest", torch.ones(len(self.columns)))

    def forward(self, vectors: Tensor) -> list[Tensor]:
        """Compute vectors `[b, n, c]` of each band, of length one, or less if insignificant."""
        rotated = (functional.normalize(vectors, dim=-1) - self.centre) @ self.axes
        parts = [(rotated[..., low:high], i) for i, (low, high) in enumerate(self.columns)]
        return [x / x.norm(dim=-1, keepdim=True).maximum(self.shortest[i]) for x, i in parts]


def _novelty_of(band: Tensor) -> list[Tensor]:
    """Compute features `[b, n]` of a band `[b, n, c]`, whose vectors are zeros without a shot.

    At reach `r`, with `x` the sum of the `r` shots before a shot divided by `r`, and `y` that of
    the `r` shots from it on: `x . y`, `|x|` and `|y|`; at reach 1 the lengths are one and left out.
    """
    count, widest = band.shape[1], NOVELTY_REACHES[-1]
    # Row `i` is the sum of `reach` shots from shot `i - widest` on, added pair by pair: the same
    # numbers in the same order for every position of a shot and every batch.
    sums = functional.pad(band, (0, 0, widest, widest))  # [b, n + 2 widest, c]
    features = []
    for reach in NOVELTY_REACHES:
        if reach > 1:
            sums = sums[:, : -(reach // 2)] + sums[:, reach // 2 :]
        before, after = (slice(at, at + count) for at in (widest - reach, widest))
        features.append((sums[:, before] * sums[:, after]).sum(dim=-1) / reach**2)
        if reach > 1:
            lengths = sums.norm(dim=-1) / reach
            features += [lengths[:, before], lengths[:, after]]
    return features
