"""The objective: past against future and scene boundaries, or Masked Shot Modeling.

A network that reads in two directions is trained by `past_future`, and by scene boundaries at
several grains (`scene_targets`). The published network predicts masked shots, 20 % of a title's,
from the rest; the loss is the cosine distance between prediction and original (Netflix's technology
blog, 23 February 2026).
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.past_future import PastFuture, past_future
from mediafm_core.model.two_directions import Directions


class Batch(NamedTuple):
    """Sequences of shots and their masks, explained at `Masks`."""

    fused: torch.Tensor  # [b, n, d] zero in the padding
    global_: torch.Tensor  # [b, g]
    present: torch.Tensor | None  # [b, n] bool, None when nothing is padded
    masked: torch.Tensor  # [b, n] bool
    rows: torch.Tensor  # [b, k] int64
    row_weights: torch.Tensor  # [b, k] float32
    first_position: torch.Tensor  # [b] int64, see `MediaFM.forward`
    first_shot: torch.Tensor  # [b] int64, number of the first shot among all shots of the data
    boundaries: torch.Tensor | None = None  # [b, n, grains], see `scene_targets`

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":
        """Move the batch to a device."""
        moved = {
            name: tensor.to(device, non_blocking=non_blocking)
            for name, tensor in self._asdict().items()
            if tensor is not None
        }
        return self._replace(**moved)


class Counts(NamedTuple):
    """Divisors of sums: counts over all batches and processes of a step."""

    masked: int  # masked shots
    shots: int
    pairs: int  # shots with a past, see `past_future`


class Losses(NamedTuple):
    """Losses of a batch; over all batches and processes of a step they add up to its mean."""

    total: torch.Tensor  # to be differentiated
    main: torch.Tensor  # cosine distance of masked shots, or loss of past against future
    terms: dict[str, torch.Tensor]  # the others by name, without their weights


class Objective(nn.Module):
    """Losses of a network on a batch."""

    def __init__(self, network: MediaFM, settings: ObjectiveSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, batch: Batch, counts: Counts) -> Losses:
        """Compute the losses of a batch as shares of the step that `counts` describes."""
        if self.network.two_directions is not None:
            return self._past_against_future(batch, counts)
        output = self.network(
            batch.fused,
            batch.global_,
            batch.present,
            batch.masked,
            batch.first_position,
            batch.rows,
        )
        distance = cosine_distance(output.reconstruction, take_rows(batch.fused, batch.rows))
        masked = (distance * batch.row_weights).sum() / counts.masked
        return Losses(masked, masked.detach(), {})

    def _past_against_future(self, batch: Batch, counts: Counts) -> Losses:
        """Compute the losses of a network that reads in two directions."""
        settings, network = self.settings, self.network
        directions = network.directions(batch.fused, batch.global_, batch.present)
        found = self.compare(directions, batch)
        value = found.loss / max(1, counts.pairs)
        terms = {"accuracy": (found.correct / max(1, counts.pairs)).detach()}
        total = settings.past_future_weight * value
        if settings.boundary_weight:
            boundary = self._grains(network.boundaries_of(directions), batch) / counts.shots
            total = total + settings.boundary_weight * boundary
            terms["boundary"] = boundary.detach()
        return Losses(total, value.detach(), terms)

    def _grains(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Sum over shots the cross-entropy of a scene that starts there, mean over grains."""
        assert batch.boundaries is not None  # noqa: S101
        loss = functional.binary_cross_entropy_with_logits(
            logits.float(), batch.boundaries, reduction="none"
        ).mean(dim=-1)  # [b, n]
        known = torch.arange(loss.shape[1], device=loss.device) > 0  # the first shot has no past
        if batch.present is not None:
            known = known & batch.present
        return (loss * known).sum()

    def compare(self, directions: Directions, batch: Batch) -> PastFuture:
        """Compare past and future of each shot of a batch with those of the others."""
        parts = self.network.two_directions
        assert parts is not None  # noqa: S101
        past, future = parts.agreement(directions)
        temperature = self.settings.past_future_temperature
        with torch.autocast(past.device.type, enabled=False):
            return past_future(past, future, batch.present, shots_of(batch), temperature)


def shots_of(batch: Batch) -> torch.Tensor:
    """Return the number `[b, n]` of each shot among all shots of the data."""
    place = torch.arange(batch.fused.shape[1], device=batch.fused.device)
    return batch.first_shot[:, None] + place


def cosine_distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the cosine distance of vectors in the last dimension, in float32."""
    return 1 - functional.cosine_similarity(prediction.float(), target.float(), dim=-1)


def take_rows(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return rows `[b, k]` of `[b, n, w]` as `[b, k, w]`."""
    return torch.take_along_dim(values, rows[..., None], dim=1)
