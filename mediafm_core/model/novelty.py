"""Novelty features: how alike the shots before and after each shot are.

A network that predicts hidden shots learns to smooth each shot towards its neighbours, which hides
where one scene ends and another begins. A scene's start is a relation between shots, which
attention, a sum of shots, expresses badly. So the network reads it beside each shot's content:
novelty along the diagonal of the title's self-similarity matrix (J. Foote, "Automatic audio
segmentation using a measure of audio novelty", ICME 2000), at several reaches and in several bands.

- A band is a range of principal components of one modality over the titles of the training: the
  few strong ones would drown all others. Inside a band each shot has unit length.
- For every band and every reach `s`, with `b` the sum of the `s` shots before a shot divided by `s`
  and `a` the same of the `s` shots from it on: `a . b`, `|b|` and `|a|`. Shots before the title's
  start and after its end count as zeros, which marks its ends. At reach 1 `a` and `b` are single
  shots of unit length, so only `a . b` is taken.

Rounding must stay small in all of it, or a vector depends on the device and on the batch:

- Sums are over few neighbouring shots, added in one order. A difference of running sums over a
  title has an error that grows with the title, and differs between devices.
- A shot with next to nothing in a band has no direction there that could be trusted. Below a tenth
  of the band's typical length, and below a hundredth of the modality's vector, its vector becomes
  shorter than one in place of being scaled up.
- Features are divided by their deviation, but never by less than a hundredth: a feature that is
  nearly constant over the training titles stays nearly zero.

Bands and scales are measured before the first step and kept with the weights; gradient descent
changes nothing here. `docs/evaluation.md` has the effect on scene starts.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional

SAMPLE_SHOTS = 20_000  # that bands and scales are measured on

_REACHES = (1, 2, 4, 8)  # shots; each twice the one before, see `_around`
_BAND_EDGES = (0, 16, 64, 256)  # principal components
_MEASURES = 3 * len(_REACHES) - 2  # of each band
_LEAST_VARIANCE = 1e-8  # of a component of vectors of unit length: below it carries nothing
# Of a vector in a band, as a share of the typical one, and of a modality's vector of unit length.
# Of the shots of 15 films and 40 episodes (nine bands) fewer than one in a thousand is below;
# typical lengths are 0.3 to 1.
_LEAST_SHARE, _LEAST_LENGTH = 0.1, 0.01
# Of a feature, which is a cosine or a length. On these titles deviations are 0.015 to 0.5.
_LEAST_DEVIATION = 0.01


class Structure(nn.Module):
    """Features of the shots around each shot, in units of their standard deviation.

    Another last bit in every number of the input changes a feature by 5e-6 on real titles, and by
    2e-3 at most.

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
        self.size = _MEASURES * bands
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
        self.scale.copy_(1 / deviations.clamp(min=_LEAST_DEVIATION))

    def forward(self, fused: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """Features `[b, n, s]` of sequences `[b, n, d]`, in float32, or float64 of float64.

        Args:
            fused: vectors; a modality's columns are zeros where a shot lacks it.
            present: `[b, n]` bool, False where a row is padding, whose features mean nothing.
        """
        precise = torch.promote_types(fused.dtype, torch.float32)
        with torch.autocast(fused.device.type, enabled=False):
            features = []
            for (start, stop), modality in zip(self._ranges, self._modalities(), strict=True):
                part = fused[..., start:stop].to(precise)
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
    shortest: torch.Tensor  # [bands], the least length that is scaled to one

    def __init__(self, width: int) -> None:
        super().__init__()
        components = min(width, _BAND_EDGES[-1])
        edges = pairwise(_BAND_EDGES)
        self.columns = [(low, min(high, components)) for low, high in edges if low < components]
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, components))
        self.register_buffer("shortest", torch.ones(len(self.columns)))

    def fit(self, vectors: torch.Tensor) -> None:
        """Measure on vectors `[n, width]`; rows of zeros are absent."""
        rows = functional.normalize(vectors[vectors.any(dim=-1)].double(), dim=-1)
        if not len(rows):  # no title has this modality: nothing is alike in it
            return
        self.centre.copy_(rows.mean(dim=0))
        rows = rows - self.centre
        variances, components = torch.linalg.eigh(rows.T @ rows / len(rows))  # the weakest first
        kept = variances > _LEAST_VARIANCE
        self.axes.copy_((components * kept).flip(1)[:, : self.axes.shape[1]])
        variances = (variances * kept).flip(0)
        typical = [variances[low:high].sum().sqrt() for low, high in self.columns]
        self.shortest.copy_((_LEAST_SHARE * torch.stack(typical)).clamp(min=_LEAST_LENGTH))

    def forward(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """Vectors `[b, n, c]` of each band: of unit length, or shorter where little is there."""
        rotated = (functional.normalize(vectors, dim=-1) - self.centre) @ self.axes
        bands = []
        for (low, high), shortest in zip(self.columns, self.shortest, strict=True):
            band = rotated[..., low:high]
            bands.append(band / band.norm(dim=-1, keepdim=True).maximum(shortest))
        return bands


def _around(band: torch.Tensor) -> list[torch.Tensor]:
    """Features `[b, n]` of a band `[b, n, c]`, whose vectors are zeros where there is no shot."""
    count, widest = band.shape[1], _REACHES[-1]
    # Row `i` is the sum of `reach` shots from shot `i - widest` on, added pair by pair: the same
    # numbers in the same order wherever a shot stands and whatever else is in the batch.
    sums = functional.pad(band, (0, 0, widest, widest))  # [b, n + 2 widest, c]
    features = []
    for reach in _REACHES:
        if reach > 1:
            sums = sums[:, : -(reach // 2)] + sums[:, reach // 2 :]
        before, after = (slice(at, at + count) for at in (widest - reach, widest))
        features.append((sums[:, before] * sums[:, after]).sum(dim=-1) / reach**2)
        if reach > 1:
            lengths = sums.norm(dim=-1) / reach
            features += [lengths[:, before], lengths[:, after]]
    return features
