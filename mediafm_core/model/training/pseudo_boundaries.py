"""Pseudo-labels of scene starts, from the vectors alone: the target of the boundary loss.

Windows of 12, 16 and 24 shots are split where this best separates shots similar to the window's
first from shots similar to its last. A shot's target is the share of windows that split at it,
among those that could. This is a light form of the pseudo-boundaries of BaSSL (arXiv 2201.05277),
which finds them by dynamic time warping.
"""

import torch
from torch.nn import functional

WINDOWS = (12, 16, 24)


def pseudo_boundaries(
    fused: torch.Tensor, lengths: torch.Tensor, windows: tuple[int, ...] = WINDOWS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute how often windows split at each shot.

    Args:
        fused: `[b, n, d]` fused vectors; not masked ones.
        lengths: `[b]` shots per sequence; what follows is padding.
        windows: in shots.

    Returns:
        `[b, n]` float32 targets from 0 to 1, and `[b, n]` bool, False where no window could split
        (the first shot, padding, sequences shorter than every window).
    """
    # Splits depend on small differences: float32 whatever the precision of the network is.
    with torch.autocast(fused.device.type, enabled=False):
        unit = functional.normalize(fused.float(), dim=-1)
        similarity = unit @ unit.transpose(1, 2)  # [b, n, n]
    batch, count, _ = similarity.shape
    splits = similarity.new_zeros(batch, count)
    chances = similarity.new_zeros(batch, count)
    for window in windows:
        if window > count:
            continue
        start = torch.arange(count - window + 1, device=fused.device)
        inside = start[:, None] + torch.arange(window, device=fused.device)  # [w, window]
        like_first = similarity[:, start[:, None], inside]  # [b, w, window]
        like_last = similarity[:, start[:, None] + window - 1, inside]
        # Sum up to t: how much more similar the shots before a split at t + 1 are to the first.
        # The gain of those after the split differs by a constant.
        gain = (like_first - like_last).cumsum(dim=-1)[..., :-1]  # [b, w, window - 1]
        split = start + 1 + gain.argmax(dim=-1)  # [b, w]
        whole = (start + window <= lengths[:, None]).float()  # [b, w]
        splits.scatter_add_(1, split, whole)
        candidates = inside[:, 1:].flatten().expand(batch, -1)
        chances.scatter_add_(1, candidates, whole.repeat_interleave(window - 1, dim=1))
    return splits / chances.clamp(min=1), chances > 0
