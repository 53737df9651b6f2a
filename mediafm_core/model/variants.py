"""Tokens of shots by `model.fusion`.

Sizes in comments are those of `mediafm_core.model.network`.

Imports torch and transformers: import this module only where a network is used.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mediafm_core.model.network_base import ScaledLinear


class ConcatenationTokens(nn.Module):
    """One token per shot: a linear map of the whole fused vector (as published)."""

    tokens_per_shot = 1

    def __init__(self, ranges: Sequence[tuple[int, int]], hidden_size: int) -> None:
        super().__init__()
        self.projection = ScaledLinear(ranges[-1][1], hidden_size, scale=10)

    def forward(self, fused: Tensor) -> Tensor:
        """Compute the tokens of shots."""
        return cast(Tensor, self.projection(fused))  # [b, n, d] to [b, n, h]

    def shots(self, states: Tensor) -> Tensor:
        """Return states `[b, n, h]` as they are: one per shot."""
        return states


class GatedTokens(nn.Module):
    """One token per shot: the modalities' linear maps, weighted by learnt gates.

    A gate in (0, 2) is computed from the whole shot. Gates start at 1, where this is
    `ConcatenationTokens`.
    """

    tokens_per_shot = 1

    def __init__(self, ranges: Sequence[tuple[int, int]], hidden_size: int) -> None:
        super().__init__()
        self.widths = [stop - start for start, stop in ranges]
        self.projections = _projections(self.widths, hidden_size)
        self.gates = nn.Linear(sum(self.widths), len(self.widths))

    def forward(self, fused: Tensor) -> Tensor:
        """Compute the tokens `[b, n, h]` of shots `[b, n, d]`."""
        gates = 2 * self.gates(fused).sigmoid()  # [b, n, m]
        parts = zip(self.projections, fused.split(self.widths, dim=-1), strict=True)
        projected = torch.stack([projection(part) for projection, part in parts], dim=-1)
        return (projected * gates[:, :, None]).sum(dim=-1)  # [b, n, h, m] to [b, n, h]

    def shots(self, states: Tensor) -> Tensor:
        """Return states `[b, n, h]` as they are: one per shot."""
        return states


class ModalityTokens(nn.Module):
    """One token per modality and shot, so that modalities attend to each other."""

    def __init__(self, ranges: Sequence[tuple[int, int]], hidden_size: int) -> None:
        super().__init__()
        self.widths = [stop - start for start, stop in ranges]
        self.tokens_per_shot = len(self.widths)
        # The bias of each map is the vector that identifies its modality.
        self.projections = _projections(self.widths, hidden_size)

    def forward(self, fused: Tensor) -> Tensor:
        """Compute the tokens `[b, n * m, h]` of shots `[b, n, d]`, in the order of shots."""
        parts = zip(self.projections, fused.split(self.widths, dim=-1), strict=True)
        tokens = torch.stack([projection(part) for projection, part in parts], dim=2)
        return tokens.flatten(1, 2)  # [b, n, m, h] to [b, n * m, h]

    def shots(self, states: Tensor) -> Tensor:
        """Compute the mean `[b, n, h]` over the tokens `[b, n * m, h]` of each shot."""
        return states.unflatten(1, (-1, self.tokens_per_shot)).mean(dim=2)


def tokens_of(
    fusion: str, ranges: Sequence[tuple[int, int]], hidden_size: int
) -> ConcatenationTokens | GatedTokens | ModalityTokens:
    """Make the tokens `fusion` of vectors whose modalities have these columns."""
    if fusion == "concatenation":
        return ConcatenationTokens(ranges, hidden_size)
    kind = GatedTokens if fusion == "gate" else ModalityTokens
    return kind(ranges, hidden_size)


def _projections(widths: list[int], hidden_size: int) -> nn.ModuleList:
    """Return a linear map per modality, scaled as `ConcatenationTokens` scales its own."""
    return nn.ModuleList(ScaledLinear(width, hidden_size, scale=10) for width in widths)
