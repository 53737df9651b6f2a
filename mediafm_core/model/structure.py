"""The structure of a title around each shot: how alike what comes before it and what follows are.

A network that predicts hidden shots learns to smooth each shot towards its neighbours, which hides
where one scene ends and another begins. What tells scenes apart is a relation between shots, which
attention, a sum of shots, says badly. So the network is told it beside each shot's content: novelty
along the diagonal of the title's self-similarity matrix (J. Foote, "Automatic audio segmentation
using a measure of audio novelty", ICME 2000), at several reaches and in several bands.

- A band is a range of principal components of one modality over the titles of the training: the
  few strong ones would drown all others. Inside a band each shot has unit length.
- For every band and every reach `s`, with `b` the sum of the `s` shots before a shot divided by `s`
  and `a` the same of the `s` shots from it on: `a . b`, `|a|` and `|b|`. Shots before the title's
  start and after its end count as zeros, so that its ends are told as well.

Bands and scales are measured before the first step and kept with the weights; nothing here is
learnt by descent. What it is worth is in `docs/evaluation.md`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional

SAMPLE_SHOTS = 20_000  # that bands and scales are measured on

_REACHES = (1, 2, 4, 8)  # shots
_BAND_EDGES = (0, 16, 64, 256)  # principal components
_MEASURES = 3  # of each band and reach
_LEAST_VARIANCE = 1e-8  # of a component, as a share of the strongest one's: below is rounding
_LEAST_DEVIATION = 1e-6  # of a feature, which is a cosine or a length: below it is constant


class Structure(nn.Module):
    """Features of the shots around each shot, in units of their standard deviation.

    Args:
        ranges: columns `(start, stop)` of each modality in the fused vector.

    Attributes:
        size: `s`, the number of features.
    """

    mean: torch.Tensor  # [s]
    scale: torch.Tensor  # [s]

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._ranges = list(ranges)
        self.modalities = nn.ModuleList(Bands(stop - start) for start, stop in self._ranges)
        bands = sum(len(modality.columns) for modality in self._modalities())
        self.size = _MEASURES * len(_REACHES) * bands
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("scale", torch.ones(self.size))

    @torch.no_grad()
    def fit(self, titles: Sequence[torch.Tensor]) -> None:
        """Measure bands and scales on titles `[n, d]` each, on the CPU."""
        shots = torch.cat(list(titles))
        for (start, stop), modality in zip(self._ranges, self._modalities(), strict=True):
            modality.fit(shots[:, start:stop])
        self.mean.zero_()
        self.scale.fill_(1.0)
        values = torch.cat([self(title[None])[0] for title in titles]).double()  # [shots, s]
        deviations = values.std(dim=0, correction=0)
        self.mean.copy_(values.mean(dim=0))
        self.scale.copy_(torch.where(deviations > _LEAST_DEVIATION, 1 / deviations, 0.0))

    def forward(self, fused: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """Features `[b, n, s]` of sequences `[b, n, d]`, in float32.

        Args:
            fused: vectors; a modality's columns are zeros where a shot lacks it.
            present: `[b, n]` bool, False where a row is padding, whose features mean nothing.
        """
        with torch.autocast(fused.device.type, enabled=False):  # differences of sums
            features = []
            for (start, stop), modality in zip(self._ranges, self._modalities(), strict=True):
                part = fused[..., start:stop].float()
                there = part.any(dim=-1, keepdim=True)  # [b, n, 1]
                if present is not None:
                    there = there & present[..., None]
                for band in modality(part):
                    features += _around(band * there)
            return (torch.stack(features, dim=-1) - self.mean) * self.scale

    def _modalities(self) -> list["Bands"]:
        return cast(list[Bands], list(self.modalities))


class Bands(nn.Module):
    """Principal components of one modality, in a few ranges.

    Args:
        width: of the modality's vectors.

    Attributes:
        columns: `(first, last)` of each band, exclusive, in the order of falling variance.
    """

    centre: torch.Tensor  # [width]
    axes: torch.Tensor  # [width, components]

    def __init__(self, width: int) -> None:
        super().__init__()
        components = min(width, _BAND_EDGES[-1])
        edges = pairwise(_BAND_EDGES)
        self.columns = [(low, min(high, components)) for low, high in edges if low < components]
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, components))

    def fit(self, vectors: torch.Tensor) -> None:
        """Measure on vectors `[n, width]`; rows of zeros are absent."""
        rows = functional.normalize(vectors[vectors.any(dim=-1)], dim=-1)
        if not len(rows):  # no title has this modality: nothing is alike in it
            return
        self.centre.copy_(rows.mean(dim=0))
        rows = (rows - self.centre).double()
        variances, components = torch.linalg.eigh(rows.T @ rows)  # the weakest first
        kept = variances > _LEAST_VARIANCE * variances[-1]
        self.axes.copy_((components * kept).flip(1)[:, : self.axes.shape[1]])

    def forward(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """Unit vectors `[b, n, c]` of each band."""
        rotated = (functional.normalize(vectors, dim=-1) - self.centre) @ self.axes
        return [functional.normalize(rotated[..., low:high], dim=-1) for low, high in self.columns]


def _around(band: torch.Tensor) -> list[torch.Tensor]:
    """Of unit vectors `[b, n, c]`, zeros where there is none: the features of a band, `[b, n]`."""
    count = band.shape[1]
    place = torch.arange(count, device=band.device)
    sums = functional.pad(band.cumsum(dim=1), (0, 0, 1, 0))  # [b, n + 1, c], before each shot
    features = []
    for reach in _REACHES:
        first, last = (place - reach).clamp(min=0), (place + reach).clamp(max=count)
        before = (sums[:, :-1] - sums[:, first]) / reach
        after = (sums[:, last] - sums[:, :-1]) / reach
        features += [(before * after).sum(dim=-1), before.norm(dim=-1), after.norm(dim=-1)]
    return features
