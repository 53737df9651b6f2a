"""Statistics of a network's inputs, measured on titles of a training before its first step.

They are kept with the weights; gradient descent does not change them.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.content_statistics import fit_content
from mediafm_core.model.training.novelty_statistics import fit_novelty
from mediafm_core.model.training.principal_components import principal_components
from mediafm_core.model.training.slow_feature_statistics import fit_slow_features
from mediafm_core.model.two_directions import LeadingComponents

_LEAST_VARIANCE = 1e-8  # of a component of vectors of unit length: below it carries nothing
# Of the components of a modality together: vectors of unit length that differ less are not scaled
# up to the size of the other modalities, because their differences are rounding.
_LEAST_LENGTH = 0.01


def fit_statistics(
    network: MediaFM,
    titles: Sequence[torch.Tensor],
    held_out: Sequence[torch.Tensor] = (),
) -> None:
    """Measure everything that a network needs to be measured on titles.

    Args:
        network: to be trained, on the CPU.
        titles: `[n, d]` each, of those that are trained on.
        held_out: `[n, d]` each, of those that the training is validated on. The content head
            learns from them as well: it has no part in what validation measures.
    """
    fit_slow_features(network.slow_features, titles)
    fit_content(network.content_head, network.slow_features, [*titles, *held_out])
    if network.two_directions is not None:
        fit_components(network.two_directions.input, titles)
    if network.structure is not None:
        fit_novelty(network.structure, titles)


@torch.no_grad()
def fit_components(components: LeadingComponents, titles: Sequence[torch.Tensor]) -> None:
    """Measure the principal components of each modality on titles `[n, d]`, on the CPU.

    The input keeps the variances of the components, as they are in vectors of unit length, and all
    modalities get the same mean square.
    """
    shots = torch.cat(list(titles))
    modalities = len(components.ranges)
    for i, (start, stop) in enumerate(components.ranges):
        part = shots[:, start:stop]
        rows = functional.normalize(part[part.any(dim=-1)].double(), dim=-1)
        if not len(rows):  # no title has this modality: its components stay zero
            continue
        centre = rows.mean(dim=0)
        rows = rows - centre
        variances, axes = principal_components(rows, components.axes(i).shape[1])
        kept = variances > _LEAST_VARIANCE
        length = (variances * kept).sum().sqrt().clamp(min=_LEAST_LENGTH)
        components.centre[start:stop] = centre
        components.axes(i).copy_(axes * kept / (length * modalities**0.5))
