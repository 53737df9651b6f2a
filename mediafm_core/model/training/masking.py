"""Masking: the shots that the published network predicts."""

from typing import NamedTuple

import torch

from mediafm_core.model.training.random_streams import MASKS, random_stream


class Masks(NamedTuple):
    """Masks of a batch of sequences; dense tensors, so that nothing waits for a GPU."""

    masked: torch.Tensor  # [b, n] bool: `[MASK]` replaces the shot; never in padding
    rows: torch.Tensor  # [b, k] int64: masked shots, padded with 0
    row_weights: torch.Tensor  # [b, k] float32: 1, or 0 where `rows` is padding


def masks_of_step(step: int, lengths: torch.Tensor, mask_ratio: float, seed: int) -> Masks:
    """Draw the masks of a training step, a function of the arguments alone.

    They are drawn for all sequences of the step, so that every process of a data-parallel training
    draws the same.

    Args:
        step: counted from 1.
        lengths: `[b]` shots per sequence of the step.
        mask_ratio: fraction of masked shots. It is the same in every step; a schedule may depend on
            step and settings only, so that a resumed training draws the same masks.
        seed: of the training.
    """
    drawn = random_stream(seed, MASKS, step).integers(2**63)
    return sample_masks(lengths, mask_ratio, torch.Generator().manual_seed(int(drawn)))


def sample_masks(lengths: torch.Tensor, mask_ratio: float, generator: torch.Generator) -> Masks:
    """Draw masks of `max(1, round(mask_ratio * length))` shots of every sequence.

    Args:
        lengths: `[b]` shots per sequence.
        mask_ratio: fraction of masked shots.
        generator: on the CPU; the only source of randomness.
    """
    width = int(lengths.max())
    counts = (lengths * mask_ratio).round().long().clamp(min=1)  # [b]
    scores = torch.rand(len(lengths), width, generator=generator)
    scores = scores.masked_fill(torch.arange(width) >= lengths[:, None], torch.inf)
    masked = scores.argsort(dim=1, stable=True).argsort(dim=1) < counts[:, None]  # [b, n]
    most = int(counts.max())
    rows = masked.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
    real = torch.arange(most) < counts[:, None]  # [b, k]
    return Masks(masked, rows * real, real.float())
