"""Masking: the shots that the network predicts, and modality dropout."""

from typing import NamedTuple

import torch

from mediafm_core.config.training_settings import ObjectiveSettings


class Masks(NamedTuple):
    """Masks of a batch of sequences; dense tensors, so that nothing waits for a GPU."""

    masked: torch.Tensor  # [b, n, m] bool: `[MASK]` replaces this modality; never in padding
    rows: torch.Tensor  # [b, k] int64: shots with a masked modality, padded with 0
    row_weights: torch.Tensor  # [b, k] float32: 1, or 0 where `rows` is padding
    dropped: torch.Tensor  # [b, m] bool: removed from the input of the whole sequence


def sample_masks(
    lengths: torch.Tensor,
    has: torch.Tensor | None,
    settings: ObjectiveSettings,
    modalities: int,
    generator: torch.Generator,
) -> Masks:
    """Draw masks.

    `max(1, round(mask_ratio * length))` shots of every sequence are masked, in spans of
    `span_shots`. In a fraction `single_modality_ratio` of them only one modality is masked, one
    that the shot has.

    Args:
        lengths: `[b]` shots per sequence.
        has: `[b, n, m]` bool, the modalities that each shot has; None where all shots have all.
        settings: ratios and spans.
        modalities: `m`.
        generator: on the CPU; the only source of randomness.
    """
    batch, width = len(lengths), int(lengths.max())
    counts = (lengths * settings.mask_ratio).round().long().clamp(min=1)  # [b]
    chosen = _spans(lengths, counts, width, settings.span_shots, generator)  # [b, n]
    most = int(counts.max())
    rows = chosen.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
    real = torch.arange(most) < counts[:, None]  # [b, k]
    masked = chosen[..., None].expand(-1, -1, modalities)
    if settings.single_modality_ratio and modalities > 1:
        single = torch.rand(batch, width, generator=generator) < settings.single_modality_ratio
        scores = torch.rand(batch, width, modalities, generator=generator)
        if has is not None:
            scores = scores.masked_fill(~has, -1.0)
        one = torch.zeros_like(masked).scatter(2, scores.argmax(dim=2, keepdim=True), True)
        masked = masked & (one | ~single[..., None])
    dropped = torch.zeros(batch, modalities, dtype=torch.bool)
    if settings.modality_dropout and modalities > 1:
        which = torch.randint(modalities, (batch, 1), generator=generator)
        dropped.scatter_(
            1, which, torch.rand(batch, 1, generator=generator) < settings.modality_dropout
        )
    return Masks(masked.contiguous(), rows * real, real.float(), dropped)


def _spans(
    lengths: torch.Tensor,
    counts: torch.Tensor,
    width: int,
    span: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """Draw `[b, width]` bool, exactly `counts` of each row True, in runs of about `span`.

    Sequences are cut into runs at a random offset, and the runs with the lowest random numbers are
    masked; the last of them only as far as is needed.
    """
    offset = torch.randint(span, (len(lengths), 1), generator=generator)
    run = (torch.arange(width) + offset) // span  # [b, width]
    scores = torch.rand(len(lengths), width // span + 2, generator=generator).gather(1, run)
    scores = scores.masked_fill(torch.arange(width) >= lengths[:, None], torch.inf)
    ranks = scores.argsort(dim=1, stable=True).argsort(dim=1)
    return ranks < counts[:, None]
