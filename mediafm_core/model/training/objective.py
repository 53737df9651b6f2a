"""The objective: Masked Shot Modeling, or past against future, and terms that can be added.

A network that reads in two directions is trained by `past_future`, and by scene boundaries at
several grains (`scene_targets`). All else is for a network that reads a title as a whole:

20 % of a title's shots are replaced by `[MASK]` and predicted from the rest; the loss is the cosine
distance between prediction and original (Netflix's technology blog, 23 February 2026). That is the
default. `ObjectiveSettings` adds, each with a weight of its own:

- contrastive: a prediction should be most similar to its own original among the title's masked
  shots (InfoNCE, arXiv 1807.03748)
- boundary: in a second pass without masks, classify whether a scene starts at a shot, by
  pseudo-labels (`mediafm_core.model.training.pseudo_boundaries`)
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.past_future import PastFuture, past_future
from mediafm_core.model.training.pseudo_boundaries import pseudo_boundaries
from mediafm_core.model.two_directions import Directions

# Least length of a prediction in the cosine: without visible shots it is zero, and the gradient of
# a cosine grows with one over the length.
_LEAST_LENGTH = 1e-3


class Batch(NamedTuple):
    """Sequences of shots and their masks, explained at `Masks`."""

    fused: torch.Tensor  # [b, n, d] zero in the padding
    global_: torch.Tensor  # [b, g]
    present: torch.Tensor | None  # [b, n] bool, None when nothing is padded
    masked: torch.Tensor  # [b, n, m] bool
    rows: torch.Tensor  # [b, k] int64
    row_weights: torch.Tensor  # [b, k] float32
    dropped: torch.Tensor  # [b, m] bool
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
        settings, network = self.settings, self.network
        fused = batch.fused
        if settings.modality_dropout:
            fused = drop_modalities(fused, batch.dropped, network.modality_ranges)
        if network.two_directions is not None:
            return self._two_directions(batch, fused, counts)
        output = network(
            fused,
            batch.global_,
            batch.present,
            batch.masked,
            batch.first_position,
            batch.rows,
        )
        target = take_rows(batch.fused, batch.rows)  # [b, k, d]
        prediction = output.reconstruction.float()
        if settings.single_modality_ratio:
            columns = self._masked_columns(batch)  # [b, k, d]
            prediction, target = prediction * columns, target * columns
        similarity = functional.cosine_similarity(
            prediction, target.float(), dim=-1, eps=_LEAST_LENGTH
        )
        distance = 1 - similarity  # [b, k]
        masked = (distance * batch.row_weights).sum() / counts.masked
        total, terms = masked, {}
        if settings.contrastive_weight:
            value = self._contrastive(prediction, target, batch.row_weights) / counts.masked
            total = total + settings.contrastive_weight * value
            terms["contrastive"] = value.detach()
        if settings.boundary_weight:
            value = self._boundary(batch) / counts.shots
            total = total + settings.boundary_weight * value
            terms["boundary"] = value.detach()
        return Losses(total, masked.detach(), terms)

    def _two_directions(self, batch: Batch, fused: torch.Tensor, counts: Counts) -> Losses:
        """Compute the losses of a network that reads in two directions."""
        settings, network = self.settings, self.network
        directions = network.directions(fused, batch.global_, batch.present)
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

    def _masked_columns(self, batch: Batch) -> torch.Tensor:
        """Return `[b, k, d]`: 1 in the masked columns of each predicted shot, else 0."""
        masked = take_rows(batch.masked, batch.rows)  # [b, k, m]
        parts = [
            part.expand(-1, -1, stop - start)
            for part, (start, stop) in zip(
                masked.split(1, dim=-1), self.network.modality_ranges, strict=True
            )
        ]
        return torch.cat(parts, dim=-1).float()

    def _contrastive(
        self, prediction: torch.Tensor, target: torch.Tensor, row_weights: torch.Tensor
    ) -> torch.Tensor:
        """Sum the cross-entropy of finding each masked shot among those of its title."""
        unit = functional.normalize(target.float(), dim=-1)
        similarity = functional.normalize(prediction, dim=-1) @ unit.transpose(1, 2)  # [b, k, k]
        scores = similarity.float() / self.settings.contrastive_temperature
        scores = scores.masked_fill(row_weights[:, None] == 0, torch.finfo(scores.dtype).min)
        picked = scores.log_softmax(dim=-1).diagonal(dim1=1, dim2=2)  # [b, k]
        return -(picked * row_weights).sum()

    def _boundary(self, batch: Batch) -> torch.Tensor:
        """Sum over shots the cross-entropy of a scene that starts there."""
        sizes = batch.fused.shape[:2]
        lengths = (
            batch.fused.new_full((sizes[0],), sizes[1], dtype=torch.int64)
            if batch.present is None
            else batch.present.sum(dim=1)
        )
        with torch.no_grad():
            target, known = pseudo_boundaries(batch.fused, lengths)
        logits = self.network.boundaries(
            batch.fused, batch.global_, batch.present, batch.first_position
        )
        loss = functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        return (loss * known).sum()


def shots_of(batch: Batch) -> torch.Tensor:
    """Return the number `[b, n]` of each shot among all shots of the data."""
    place = torch.arange(batch.fused.shape[1], device=batch.fused.device)
    return batch.first_shot[:, None] + place


def drop_modalities(
    fused: torch.Tensor, dropped: torch.Tensor, ranges: list[tuple[int, int]]
) -> torch.Tensor:
    """Remove modalities from fused vectors and scale these to unit length.

    A shot without any other modality stays as it is.

    Args:
        fused: `[b, n, d]`.
        dropped: `[b, m]` bool.
        ranges: columns of each modality.
    """
    parts = [
        fused[..., start:stop].masked_fill(dropped[:, i, None, None], 0)
        for i, (start, stop) in enumerate(ranges)
    ]
    left = torch.cat(parts, dim=-1)
    left = torch.where(left.any(dim=-1, keepdim=True), left, fused)
    return functional.normalize(left, dim=-1)


def take_rows(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return rows `[b, k]` of `[b, n, w]` as `[b, k, w]`."""
    return torch.take_along_dim(values, rows[..., None], dim=1)
