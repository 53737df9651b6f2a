"""Which shots are hidden from the network, and which modalities are taken away from it."""

from typing import NamedTuple

import torch

from mediafm_core.config.training_settings import ObjectiveSettings


class Masks(NamedTuple):
    """What is hidden in a batch of sequences; dense, so that nothing waits for a GPU."""

    masked: torch.Tensor  # [b, n, m] bool: `[MASK]` takes this modality's place; never in padding
    rows: torch.Tensor  # [b, k] int64: shots of which something is hidden, padded with 0
    row_weights: torch.Tensor  # [b, k] float32: 1, or 0 where `rows` is padding
    dropped: torch.Tensor  # [b, m] bool: taken out of the input of the whole sequence


def sample_masks(
    lengths: torch.Tensor,
    has: torch.Tensor | None,
    settings: ObjectiveSettings,
    modalities: int,
    generator: torch.Generator,
) -> Masks:
    """Choose what to hide.

    `max(1, round(mask_ratio * length))` shots of every sequence are hidden, in spans of
    `span_shots`. Of a share `single_modality_ratio` of them only one modality is hidden, one that
    the shot has.

    Args:
        lengths: `[b]` shots per sequence.
        has: `[b, n, m]` bool, which modalities each shot has; None where all have all.
        settings: shares and spans.
        modalities: `m`.
        generator: on the CPU; the only source of randomness.
    """
    batch, width = len(lengths), int(lengths.max())
    counts = (lengths * settings.mask_ratio).round().long().clamp(min=1)  # [b]
    hidden = _spans(lengths, counts, width, settings.span_shots, generator)  # [b, n]
    most = int(counts.max())
    rows = hidden.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
    real = torch.arange(most) < counts[:, None]  # [b, k]
    masked = hidden[..., None].expand(-1, -1, modalities)
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
    """`[b, width]` bool, exactly `counts` of each row, together in runs of about `span`.

    Sequences are cut into runs at a random offset, and the runs that draw the lowest numbers are
    hidden; the last of them only as far as it is needed.
    """
    offset = torch.randint(span, (len(lengths), 1), generator=generator)
    run = (torch.arange(width) + offset) // span  # [b, width]
    scores = torch.rand(len(lengths), width // span + 2, generator=generator).gather(1, run)
    scores = scores.masked_fill(torch.arange(width) >= lengths[:, None], torch.inf)
    ranks = scores.argsort(dim=1, stable=True).argsort(dim=1)
    return ranks < counts[:, None]
