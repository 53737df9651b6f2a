"""How a fused vector becomes what the Transformer reads, and how a shot is read off again.

Three shapes behind one interface, chosen by `model.fusion`:

    concatenation   one token per shot: a linear map of the whole fused vector (as published)
    gate            one token per shot: the modalities' linear maps, weighted by learnt gates
    tokens          one token per modality and shot, so that modalities attend to each other

Each has `tokens_per_shot`; `forward` takes `[b, n, d]` to `[b, n * tokens_per_shot, h]` in shot
order, and `shots` takes such states to `[b, n, h]`.
"""

import torch
from torch import nn

from mediafm_core.model.configuration import MediaFMConfig


class Concatenation(nn.Module):
    """A linear map of the fused vector."""

    tokens_per_shot = 1

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self.projection = nn.Linear(config.fused_size, config.hidden_size)

    def forward(self, fused: torch.Tensor) -> torch.Tensor:
        """One token per shot."""
        tokens: torch.Tensor = self.projection(fused)
        return tokens

    def shots(self, states: torch.Tensor) -> torch.Tensor:
        """The states themselves."""
        return states


class Gate(nn.Module):
    """Each modality's linear map, times a gate in (0, 2) that sees the whole shot.

    Gates start at 1, where this is `Concatenation`.
    """

    tokens_per_shot = 1

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self._widths = [stop - start for start, stop in config.modality_ranges]
        self.projections = nn.ModuleList(
            nn.Linear(width, config.hidden_size) for width in self._widths
        )
        self.gates = nn.Linear(config.fused_size, len(self._widths))

    def forward(self, fused: torch.Tensor) -> torch.Tensor:
        """One token per shot."""
        gates = 2 * self.gates(fused).sigmoid()  # [b, n, m]
        parts = zip(self.projections, fused.split(self._widths, dim=-1), strict=True)
        projected = torch.stack([projection(part) for projection, part in parts], dim=-1)
        return (projected * gates[:, :, None]).sum(dim=-1)  # [b, n, h, m] to [b, n, h]

    def shots(self, states: torch.Tensor) -> torch.Tensor:
        """The states themselves."""
        return states


class ModalityTokens(nn.Module):
    """A token per modality and shot: its linear map and a vector that names the modality."""

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self._widths = [stop - start for start, stop in config.modality_ranges]
        self.tokens_per_shot = len(self._widths)
        # The bias of each map is the vector that names its modality.
        self.projections = nn.ModuleList(
            nn.Linear(width, config.hidden_size) for width in self._widths
        )

    def forward(self, fused: torch.Tensor) -> torch.Tensor:
        """As many tokens per shot as there are modalities."""
        parts = zip(self.projections, fused.split(self._widths, dim=-1), strict=True)
        tokens = torch.stack([projection(part) for projection, part in parts], dim=2)
        return tokens.flatten(1, 2)  # [b, n, m, h] to [b, n * m, h]

    def shots(self, states: torch.Tensor) -> torch.Tensor:
        """The mean over a shot's tokens."""
        return states.unflatten(1, (-1, self.tokens_per_shot)).mean(dim=2)


ShotTokens = Concatenation | Gate | ModalityTokens


def build_shot_tokens(config: MediaFMConfig) -> ShotTokens:
    """The shape that a configuration names."""
    kinds: dict[str, type[ShotTokens]] = {
        "concatenation": Concatenation,
        "gate": Gate,
        "tokens": ModalityTokens,
    }
    if config.fusion not in kinds:
        raise ValueError(f"fusion is {config.fusion!r}: choose one of {', '.join(kinds)}.")
    return kinds[config.fusion](config)
