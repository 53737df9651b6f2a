"""Baselines: predictions of masked shots without a network, which a trained one must beat."""

import torch


def baseline_predictions(fused: torch.Tensor, masked: torch.Tensor) -> dict[str, torch.Tensor]:
    """Predict masked shots from visible ones in three ways.

    Args:
        fused: `[n, d]`, all shots of a sequence.
        masked: `[n]` bool with at least one False.

    Returns:
        By name, `[n, d]`: `title_mean` (mean of the shots that are not masked), `nearest_shot` (a
        copy of the nearest one, the earlier of two) and `interpolation` (linear between the nearest
        on either side). Only the rows of masked shots are of interest.
    """
    index = torch.arange(len(fused), device=fused.device)
    visible = index[~masked]
    after = torch.searchsorted(visible, index).clamp(max=len(visible) - 1)
    before = (torch.searchsorted(visible, index, right=True) - 1).clamp(min=0)
    left, right = visible[before], visible[after]  # equal to each other at the ends of the title
    to_left, to_right = (index - left).abs(), (index - right).abs()
    weight = (to_left / (to_left + to_right).clamp(min=1)).unsqueeze(-1)
    return {
        "title_mean": fused[visible].mean(dim=0).expand_as(fused),
        "nearest_shot": fused[torch.where(to_left <= to_right, left, right)],
        "interpolation": fused[left] * (1 - weight) + fused[right] * weight,
    }
