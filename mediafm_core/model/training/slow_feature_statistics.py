"""Statistics of the slow features, measured on the titles of a training before its first step.

`mediafm_core.model.slow_features.SlowFeatures` computes vectors from them. As in
`novelty_statistics`, rounding must stay small:

- A direction whose standard deviation is below a thousandth is left out: whitening would scale its
  rounding to the size of the others.
- A shot whose vector is shorter than a tenth of the typical length has no significant direction; it
  stays shorter than one.

With few shots, whitening makes all of them equally far from each other: there is one direction per
12 shots. On single films of the Open Video Scene Detection set, boundaries that are found in a
metric measured on the film itself have an average precision of .384 with one per 8 or 16 shots and
of .231 with 128 (`docs/laboratory/2026-11-26-scenes.md`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mediafm_core.model.slow_features import LEAST_SHARE, SlowFeatures
from mediafm_core.model.training.principal_components import principal_components

_GAPS = (1, 2, 3)  # shots between which differences are taken
_SHOTS_PER_DIRECTION = 12
_LEAST_VARIANCE = 1e-6  # of a component of vectors of unit length
_LEAST_SPREAD = 1e-3  # of vectors of unit length


@torch.no_grad()
def fit_slow_features(slow: SlowFeatures, titles: Sequence[Tensor]) -> None:
    """Measure the metric of slow features on titles `[n, d]` each, on the CPU, in float64."""
    rows = [functional.normalize(title.double(), dim=-1) for title in titles]
    shots = torch.cat(rows)
    mean = shots.mean(dim=0)
    centred = shots - mean
    most = min(len(slow.slowness), max(1, len(shots) // _SHOTS_PER_DIRECTION))
    variances, components = principal_components(centred, most)
    kept = variances > _LEAST_VARIANCE
    whitening = components[:, kept] / variances[kept].sqrt()  # [d, w]
    differences = _mean_differences([(title - mean) @ whitening for title in rows])
    changes, rotation = torch.linalg.eigh(differences)  # the slowest first
    # Of independent shots the mean squared difference is 2, twice the variance.
    slowness = (1 - changes / 2).clamp(0, 1)
    slow.mean.copy_(mean)
    for buffer in (slow.axes, slow.slowness):
        buffer.zero_()
    slow.axes[:, : len(slowness)] = (whitening @ rotation).float()
    slow.slowness[: len(slowness)] = slowness.float()
    # Coordinates have variance one, so that the typical squared length is the sum of the weights.
    typical = torch.stack([slowness.sum(), slowness.square().sum()]).sqrt()
    total = centred.square().sum(dim=1).mean().clamp(min=_LEAST_SPREAD**2)
    slow.spread.copy_(total.sqrt())
    slow.shortest.copy_((LEAST_SHARE * typical).clamp(min=LEAST_SHARE))


def _mean_differences(titles: Sequence[Tensor]) -> Tensor:
    """Compute second moments `[w, w]` of differences between shots of each gap, mean over gaps."""
    moments = []
    for gap in _GAPS:
        differences = torch.cat([title[gap:] - title[:-gap] for title in titles])
        if len(differences):
            moments.append(differences.T @ differences / len(differences))
    if not moments:  # every title has one shot: all directions count alike
        return titles[0].new_zeros(titles[0].shape[1], titles[0].shape[1])
    return torch.stack(moments).mean(dim=0)
