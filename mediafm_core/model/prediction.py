"""What the network says a hidden shot was.

Three ways, chosen by `model.prediction`:

    copy     a weighted mean of the title's visible fused vectors; which of them resemble the hidden
             shot is read from the contextual states, nearer shots count for more
    linear   a linear map of the shot's own state back to the fused space (as published)
    both     their sum; the linear map starts at zero and learns what copying misses

A linear map can only say what lies in the span of the titles that it was trained on, and a few
titles are learnt by heart: with fifteen films (five held out) it predicts no better than the mean
of the title's visible shots, and copying beats every prediction made by hand. With tens of
thousands of titles `both` has room to learn. `python -m benchmarks.masked_prediction` measures it
on any catalogue.

Contextual vectors do not pass through here: this costs nothing at inference.
"""

import math

import torch
from torch import nn

from mediafm_core.model.configuration import MediaFMConfig

_QUERY_WIDTH = 64
_FIRST_DECAY = 0.3  # per shot of distance; near the best fixed one on films and episodes


class Prediction(nn.Module):
    """From contextual states to fused vectors."""

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        if config.prediction not in ("copy", "linear", "both"):
            raise ValueError(
                f"prediction is {config.prediction!r}: choose one of copy, linear, both."
            )
        hidden = config.hidden_size
        self.linear = nn.Linear(hidden, config.fused_size) if config.prediction != "copy" else None
        self.copy = Copy(hidden) if config.prediction != "linear" else None

    def forward(
        self,
        states: torch.Tensor,
        fused: torch.Tensor,
        visible: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict shots.

        Args:
            states: `[b, n, h]` the last layer's.
            fused: `[b, n, d]` fused vectors, zero wherever something is hidden.
            visible: `[b, n]` bool, the shots of which nothing is hidden and that are no padding.
            rows: `[b, k]` int64, which shots to predict; all if None.

        Returns:
            `[b, k, d]`, of any length.
        """
        asked = states if rows is None else take_rows(states, rows)
        predictions = []
        if self.linear is not None:
            predictions.append(self.linear(asked))
        if self.copy is not None:
            predictions.append(self.copy(asked, rows, states, fused, visible))
        return torch.stack(predictions).sum(dim=0) if len(predictions) > 1 else predictions[0]


class Copy(nn.Module):
    """Attention of hidden shots to visible ones, whose values are the fused vectors themselves."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, _QUERY_WIDTH)
        self.key = nn.Linear(hidden, _QUERY_WIDTH)
        # Positive by the exponential: of shots before and of shots after.
        self.log_decay = nn.Parameter(torch.full((2,), math.log(_FIRST_DECAY)))

    def forward(
        self,
        asked: torch.Tensor,
        rows: torch.Tensor | None,
        states: torch.Tensor,
        fused: torch.Tensor,
        visible: torch.Tensor,
    ) -> torch.Tensor:
        """As `Prediction.forward`, with the states `[b, k, h]` of the rows that are asked for."""
        place = torch.arange(states.shape[1], device=states.device)
        asked_place = place[None] if rows is None else rows  # [b, k]
        ahead = (place - asked_place[..., None]).float()  # [b, k, n]
        before, after = self.log_decay.exp()
        scores = self.query(asked) @ self.key(states).transpose(1, 2) / _QUERY_WIDTH**0.5
        scores = scores.float() - (-ahead).clamp(min=0) * before - ahead.clamp(min=0) * after
        # A large number and not infinity: where nothing is visible the weights are even, and what
        # is copied is zero.
        scores = scores.masked_fill(~visible[:, None, :], torch.finfo(scores.dtype).min)
        return scores.softmax(dim=-1).to(fused.dtype) @ fused  # [b, k, n] @ [b, n, d]


def take_rows(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows `[b, k]` of `[b, n, w]` as `[b, k, w]`."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[-1]))
