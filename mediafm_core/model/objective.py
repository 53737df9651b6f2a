"""Masked Shot Modeling: which shots are hidden, what a prediction costs, what it must beat.

20 % of a title's shots are replaced by `[MASK]` and predicted from the rest; the loss is the cosine
distance between prediction and original (Netflix's technology blog, 23 February 2026).
"""

import torch
from torch.nn import functional


def sample_mask(
    lengths: torch.Tensor, share: float, generator: torch.Generator, longest: int | None = None
) -> torch.Tensor:
    """Choose the shots to hide, the same number for equally long sequences.

    Args:
        lengths: `[b]` shots per sequence.
        share: share of the shots of each sequence, rounded; at least one shot is hidden.
        generator: on the CPU; the only source of randomness.
        longest: width of the batch, the longest sequence by default.

    Returns:
        `[b, longest]` bool, never True in the padding.
    """
    width = int(longest or lengths.max())
    counts = (lengths * share).round().long().clamp(min=1)
    scores = torch.rand(len(lengths), width, generator=generator)
    scores.masked_fill_(torch.arange(width) >= lengths[:, None], torch.inf)
    ranks = scores.argsort(dim=1).argsort(dim=1)
    return ranks < counts[:, None]


def masked_cosine_distance(
    prediction: torch.Tensor, target: torch.Tensor, masked: torch.Tensor
) -> torch.Tensor:
    """Mean of `1 - cos` over the masked shots of a batch, in float32.

    Args:
        prediction: `[b, n, d]`, of any length.
        target: `[b, n, d]`, the fused vectors.
        masked: `[b, n]` bool with at least one True.
    """
    cosine = functional.cosine_similarity(
        prediction[masked].float(), target[masked].float(), dim=-1
    )
    return (1.0 - cosine).mean()


def baseline_predictions(fused: torch.Tensor, masked: torch.Tensor) -> dict[str, torch.Tensor]:
    """What can be predicted of one title without a network.

    Args:
        fused: `[n, d]`, all shots of a sequence.
        masked: `[n]` bool with at least one False.

    Returns:
        By name, `[n, d]`: `title_mean` (mean of the shots that are not masked), `nearest_shot` (a
        copy of the nearest one, the earlier of two) and `interpolation` (linear between the nearest
        on either side). Only the rows of masked shots are of interest.
    """
    index = torch.arange(len(fused), device=fused.device)
    seen = index[~masked]
    after = torch.searchsorted(seen, index).clamp(max=len(seen) - 1)
    before = (torch.searchsorted(seen, index, right=True) - 1).clamp(min=0)
    left, right = seen[before], seen[after]  # equal to each other at the ends of the title
    to_left, to_right = (index - left).abs(), (index - right).abs()
    weight = (to_left / (to_left + to_right).clamp(min=1)).unsqueeze(-1)
    return {
        "title_mean": fused[seen].mean(dim=0).expand_as(fused),
        "nearest_shot": fused[torch.where(to_left <= to_right, left, right)],
        "interpolation": fused[left] * (1 - weight) + fused[right] * weight,
    }
