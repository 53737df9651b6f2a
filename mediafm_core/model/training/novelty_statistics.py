"""Statistics of the novelty features, measured on the titles of a training before its first step.

Principal components and scales are kept with the weights; gradient descent does not change them.
`mediafm_core.model.novelty.NoveltyFeatures` computes the features from them. Their effect on scene
starts is in `docs/laboratory/2026-11-22-scene-starts.md`.

Rounding must stay small in all of it, or a vector depends on the device and on the batch:

- Sums are over few neighbouring shots, added in one order. A difference of running sums over a
  title has an error that grows with the title, and differs between devices.
- A shot with next to nothing in a band has no direction there that is significant. Below a tenth
  of the band's typical length, and below a hundredth of the modality's vector, its vector becomes
  shorter than one in place of being scaled up.
- Features are divided by their deviation, but never by less than a hundredth: a feature that is
  nearly constant over the training titles stays nearly zero.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch.nn import functional

from mediafm_core.model.novelty import NoveltyFeatures, PrincipalBands
from mediafm_core.model.training.principal_components import principal_components
from mediafm_core.model.training.training_data import TrainingData

SAMPLE_SHOTS = 20_000  # that the statistics are measured on

_LEAST_VARIANCE = 1e-8  # of a component of vectors of unit length: below it carries nothing
# Of a vector in a band, as a share of the typical one, and of a modality's vector of unit length.
# Of the shots of 15 films and 40 episodes (nine bands) fewer than one in a thousand is below;
# typical lengths are 0.3 to 1.
_LEAST_SHARE, _LEAST_LENGTH = 0.1, 0.01
# Of a feature, which is a cosine or a length. On these titles deviations are 0.015 to 0.5.
_LEAST_DEVIATION = 0.01


def sampled_titles(data: TrainingData, titles: Sequence[int], seed: int) -> list[torch.Tensor]:
    """Draw whole titles `[n, d]` of about `SAMPLE_SHOTS` shots together; all titles if they fit.

    The first of them is cut if it alone has more.
    """
    drawn = np.random.default_rng([seed % 2**64, len(titles)]).permutation(
        np.asarray(titles, dtype=np.int64)
    )
    before = data.shots[drawn].cumsum() - data.shots[drawn]
    return [
        torch.tensor(data.read(title, 0, min(int(data.shots[title]), SAMPLE_SHOTS)))
        for title in np.sort(drawn[before < SAMPLE_SHOTS]).tolist()
    ]


@torch.no_grad()
def fit_novelty(novelty: NoveltyFeatures, titles: Sequence[torch.Tensor]) -> None:
    """Measure the bands and scales of novelty features on titles `[n, d]` each, on the CPU."""
    shots = torch.cat(list(titles))
    for (start, stop), bands in zip(novelty.ranges, novelty.modalities, strict=True):
        _fit_bands(cast(PrincipalBands, bands), shots[:, start:stop])
    novelty.mean.zero_()
    novelty.scale.fill_(1.0)
    values = torch.cat([novelty(title[None])[0] for title in titles]).double()  # [shots, s]
    deviations = values.std(dim=0, correction=0)
    novelty.mean.copy_(values.mean(dim=0))
    novelty.scale.copy_(1 / deviations.clamp(min=_LEAST_DEVIATION))


def _fit_bands(bands: PrincipalBands, vectors: torch.Tensor) -> None:
    """Measure the principal components of vectors `[n, width]`; rows of zeros are absent."""
    rows = functional.normalize(vectors[vectors.any(dim=-1)].double(), dim=-1)
    if not len(rows):  # no title has this modality: its features stay zero
        return
    bands.centre.copy_(rows.mean(dim=0))
    rows = rows - bands.centre
    variances, components = principal_components(rows, bands.axes.shape[1])
    kept = variances > _LEAST_VARIANCE
    bands.axes.copy_(components * kept)
    variances = variances * kept
    typical = [variances[low:high].sum().sqrt() for low, high in bands.columns]
    bands.shortest.copy_((_LEAST_SHARE * torch.stack(typical)).clamp(min=_LEAST_LENGTH))
