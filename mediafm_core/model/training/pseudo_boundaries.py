"""Where scenes seem to start, from the vectors alone: the target of the boundary term.

For windows of 12, 16 and 24 shots: the split that best separates the shots like the window's first
from those like its last. A shot's target is the share of windows that split at it, of those that
could. A light form of the pseudo-boundaries of BaSSL (arXiv 2201.05277), which finds them by
dynamic time warping.
"""

import torch
from torch.nn import functional

WINDOWS = (12, 16, 24)


def pseudo_boundaries(
    fused: torch.Tensor, lengths: torch.Tensor, windows: tuple[int, ...] = WINDOWS
) -> tuple[torch.Tensor, torch.Tensor]:
    """How often a scene seems to start at each shot.

    Args:
        fused: `[b, n, d]` fused vectors; not masked ones.
        lengths: `[b]` shots per sequence; what follows is padding.
        windows: in shots.

    Returns:
        `[b, n]` float32 targets from 0 to 1, and `[b, n]` bool, False where no window could split
        (the first shot, padding, sequences shorter than every window).
    """
    # Splits are a matter of small differences: in full precision whatever the network runs in.
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
        likes_first = similarity[:, start[:, None], inside]  # [b, w, window]
        likes_last = similarity[:, start[:, None] + window - 1, inside]
        # Summed up to t: how much better the shots before a split at t + 1 fit the first. What
        # those after it gain differs by a constant.
        gain = (likes_first - likes_last).cumsum(dim=-1)[..., :-1]  # [b, w, window - 1]
        split = start + 1 + gain.argmax(dim=-1)  # [b, w]
        whole = (start + window <= lengths[:, None]).float()  # [b, w]
        splits.scatter_add_(1, split, whole)
        candidates = inside[:, 1:].flatten().expand(batch, -1)
        chances.scatter_add_(1, candidates, whole.repeat_interleave(window - 1, dim=1))
    return splits / chances.clamp(min=1), chances > 0
