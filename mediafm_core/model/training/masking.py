"""Masking: the shots that the network predicts, and modality dropout."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.model.training.random_streams import MASKS, random_stream


class Masks(NamedTuple):
    """Masks of a batch of sequences; dense tensors, so that nothing waits for a GPU."""

    masked: torch.Tensor  # [b, n, m] bool: `[MASK]` replaces this modality; never in padding
    rows: torch.Tensor  # [b, k] int64: shots with a masked modality, padded with 0
    row_weights: torch.Tensor  # [b, k] float32: 1, or 0 where `rows` is padding
    dropped: torch.Tensor  # [b, m] bool: removed from the input of the whole sequence


class StepMasks:
    """Masks of the training steps, a function of seed, step and settings alone.

    The masks of a step are drawn for all of its sequences, so that every process of a data-parallel
    training draws the same.

    Args:
        settings: mask ratio, spans, ratio of single modalities, modality dropout.
        ranges: columns `(start, stop)` of each modality in the fused vectors.
        seed: of the training.
    """

    def __init__(
        self, settings: ObjectiveSettings, ranges: Sequence[tuple[int, int]], seed: int
    ) -> None:
        self._settings = settings
        self._ranges = list(ranges)
        self._seed = seed

    def draw(self, step: int, lengths: torch.Tensor, fused: Callable[[], np.ndarray]) -> Masks:
        """Draw the masks of a step.

        Args:
            step: counted from 1.
            lengths: `[b]` shots per sequence of the step.
            fused: reads the fused vectors `[b, n, d]`, zero in the padding; called only where
                single modalities are masked.
        """
        # The mask ratio is the same in every step. A schedule belongs here: it may depend on the
        # step and the settings only, so that a resumed training draws the same masks.
        settings, modalities = self._settings, len(self._ranges)
        seed = random_stream(self._seed, MASKS, step).integers(2**63)
        generator = torch.Generator().manual_seed(int(seed))
        has = None
        if settings.single_modality_ratio and modalities > 1:
            has = has_modalities(fused(), self._ranges)
        return sample_masks(lengths, has, settings, modalities, generator)


def has_modalities(fused: np.ndarray, ranges: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Return `[b, n, m]` bool: True for modalities of shots `[b, n, d]` that are not all zero."""
    parts = [fused[..., start:stop].any(axis=-1) for start, stop in ranges]
    return torch.from_numpy(np.stack(parts, axis=-1))


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
