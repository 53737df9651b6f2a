"""Reading a title in two directions, and comparing what precedes a shot with what follows.

    fused vectors [b, n, d] -> leading components [b, n, c] -> shot tokens [b, n, h]
    [GLOBAL] + tokens, forward | [GLOBAL] + tokens, backward    -> the same BERT layers, [2b, ...]
    past [b, n, h] of the shots before a shot, future [b, n, h] of the shot and all after it
    two heads -> directions [b, n, a] of past and future, whose cosine is what training raises

Attention is causal: a token sees `[GLOBAL]`, which comes first, and the tokens that were read
before it. So the past of a shot knows nothing of it, its future nothing of what was before, and a
network has to find out by itself what connects both. Nothing that is computed by hand across shots
is part of the input. No token sees everything: the title's vector is the mean of its shots'.

Sizes are those of `mediafm_core.model.network`; `c` leading components, `a` width of the heads.

Imports torch and transformers: import this module only where a network is used.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_core.model.configuration import (
    AGREEMENT_DISTANCES,
    AGREEMENT_WIDTH,
    MediaFMConfig,
)


class Directions(NamedTuple):
    """States of both readings."""

    past: Tensor  # [b, n, h] before each shot; of [GLOBAL] alone for the first shot
    future: Tensor  # [b, n, h] of each shot and all after it


class TwoDirections(nn.Module):
    """Parts of a network that reads in two directions, beside its tokens and layers."""

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self.input = LeadingComponents(config.modality_ranges, config.input_components)
        self.input_dropout = nn.Dropout(config.input_dropout_prob)
        self.modality_dropout = config.modality_dropout_prob
        # Added to the metadata: without any, `[GLOBAL]` would be zero and its normalisation noise.
        self.start_token = nn.Parameter(torch.empty(config.hidden_size))
        self.past_head = _head(config)
        self.future_head = _head(config)

    def content(self, fused: Tensor) -> Tensor:
        """Compute the input `[b, n, c]` of shots `[b, n, d]`; drops parts of it in training."""
        if self.training and self.modality_dropout:
            size = (*fused.shape[:2], len(self.input.ranges))
            kept = torch.rand(size, device=fused.device) >= self.modality_dropout
            parts = [
                fused[..., start:stop] * kept[..., i, None]
                for i, (start, stop) in enumerate(self.input.ranges)
            ]
            fused = torch.cat(parts, dim=-1)
        content: Tensor = self.input_dropout(self.input(fused))
        return content

    def metadata(self, global_: Tensor) -> Tensor:
        """Return the metadata `[2b, g]` of both readings.

        In training only one of them has it: in both it would identify the title, and past and
        future of a title be matched by its synopsis alone.
        """
        if not self.training:
            return torch.cat([global_, global_])
        forward = torch.rand(len(global_), 1, device=global_.device) < 0.5
        return torch.cat([global_ * forward, global_ * ~forward])

    def agreement(self, directions: Directions) -> tuple[Tensor, Tensor]:
        """Compute unit vectors `[b, n, a]` of past and future, in float32 or float64.

        Their cosine is high where the past of a shot is that of its future.
        """
        with torch.autocast(directions.past.device.type, enabled=False):
            past, future = (_exact(state) for state in directions)
            return (
                functional.normalize(self.past_head(past), dim=-1),
                functional.normalize(self.future_head(future), dim=-1),
            )

    def vectors(
        self, directions: Directions, present: Tensor | None, novelty: Tensor | None
    ) -> Tensor:
        """Compute the contextual vectors `[b, n, context_size]`; those of padding are meaningless.

        Each block has about unit length, so that none drowns the others in a cosine.

        Args:
            directions: of both readings.
            present: `[b, n]` bool, False for padding; None when nothing is padded.
            novelty: `[b, n, s]` features that are appended.
        """
        past, future = self.agreement(directions)
        count = past.shape[1]
        last = _lengths(past, present)[:, None] - 1  # [b, 1]
        place = torch.arange(count, device=past.device)
        cosines = []
        for distance in AGREEMENT_DISTANCES:
            later = torch.minimum(place + distance, last).clamp(min=0)  # [b, n]
            cosines.append((past * take(future, later)).sum(dim=-1))
            if distance:
                earlier = (place - distance).clamp(min=0)
                cosines.append((past[:, earlier] * future).sum(dim=-1))
        blocks = [
            _unit(_exact(directions.past)),
            _unit(_exact(directions.future)),
            past * future * AGREEMENT_WIDTH**0.5,
            torch.stack(cosines, dim=-1) / len(cosines) ** 0.5,
        ]
        if novelty is not None:
            blocks.append(novelty / novelty.shape[-1] ** 0.5)
        return torch.cat(blocks, dim=-1)


class LeadingComponents(nn.Module):
    """Leading principal components of each modality, and a number that says if a shot has it.

    They are in units of their common deviation on the titles of the training, so that every
    modality is as large as the others, and a shot's input has about unit length. A missing modality
    is zero.
    """

    centre: Tensor  # [d]

    def __init__(self, ranges: list[tuple[int, int]], components: int) -> None:
        super().__init__()
        self.ranges = list(ranges)
        kept = [min(stop - start, components) for start, stop in ranges]
        self.widths = [count + 1 for count in kept]  # of each modality in the output
        self.register_buffer("centre", torch.zeros(ranges[-1][1]))
        for i, ((start, stop), count) in enumerate(zip(ranges, kept, strict=True)):
            self.register_buffer(f"axes_{i}", torch.zeros(stop - start, count))

    def axes(self, modality: int) -> Tensor:
        """Return the axes `[width, components]` of a modality, scaled."""
        return self.get_buffer(f"axes_{modality}")

    def forward(self, fused: Tensor) -> Tensor:
        """Compute `[b, n, c]` of `[b, n, d]`, which is zero for missing modalities."""
        parts = []
        with torch.autocast(fused.device.type, enabled=False):
            for i, (start, stop) in enumerate(self.ranges):
                part = _exact(fused[..., start:stop])
                there = part.any(dim=-1, keepdim=True).to(part.dtype)
                centred = functional.normalize(part, dim=-1) - self.centre[start:stop]
                flag = there / (len(self.ranges) * self.widths[i]) ** 0.5  # as large as a component
                parts += [centred @ self.axes(i) * there, flag]
        return torch.cat(parts, dim=-1)


def reversed_order(tokens: Tensor, present: Tensor | None) -> Tensor:
    """Return places `[b, n]` int64 that reverse each title within its own length.

    Args:
        tokens: `[b, n, ...]`.
        present: `[b, n]` bool, False for padding, which stays behind; None when nothing is padded.
    """
    place = torch.arange(tokens.shape[1], device=tokens.device)
    lengths = _lengths(tokens, present)[:, None]
    return torch.where(place < lengths, lengths - 1 - place, place)


def take(values: Tensor, places: Tensor) -> Tensor:
    """Return rows `places [b, k]` of values `[b, n, ...]` as `[b, k, ...]`."""
    places = places.view(*places.shape, *(1,) * (values.ndim - 2))
    return torch.take_along_dim(values, places, dim=1)


def _lengths(values: Tensor, present: Tensor | None) -> Tensor:
    """Return the lengths `[b]` int64 of sequences `[b, n, ...]`."""
    if present is None:
        return torch.full(values.shape[:1], values.shape[1], device=values.device)
    return present.sum(dim=1)


def _head(config: MediaFMConfig) -> nn.Sequential:
    hidden = config.hidden_size
    return nn.Sequential(
        nn.Linear(hidden, hidden),
        nn.GELU(),
        nn.LayerNorm(hidden, eps=config.layer_norm_eps),
        nn.Linear(hidden, AGREEMENT_WIDTH),
    )


def _unit(states: Tensor) -> Tensor:
    """Normalise states to mean zero and unit length."""
    width = states.shape[-1]
    return functional.layer_norm(states, (width,)) / width**0.5


def _exact(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 if they have it."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
