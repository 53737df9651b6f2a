"""What the network says a hidden shot was.

Three ways, chosen by `model.prediction`:

    copy     a weighted mean of the title's visible fused vectors; which of them resemble the hidden
             shot is read from the contextual states, nearer shots count for more
    linear   a linear map of the shot's own state back to the fused space (as published)
    both     their sum; the linear map starts at zero and learns what copying misses

A linear map can only say what lies in the span of the titles that it was trained on, and a few
titles are learnt by heart. On unseen films it predicts worse than the mean of the title's visible
shots after training on ten films, and far worse after training on four; copying predicts better
than that mean, the nearest shot and interpolation. With tens of thousands of titles `both` has room
to learn. `python -m benchmarks.masked_prediction` measures it on any catalogue; docs/models.md has
the figures.

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
        self.copy = Copy(config) if config.prediction != "linear" else None

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
    """Attention of hidden shots to visible ones, whose values are the fused vectors themselves.

    Each modality has weights of its own: music goes on where the picture changes.
    """

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self._widths = [stop - start for start, stop in config.modality_ranges]
        modalities = len(self._widths)
        self.query = nn.Linear(config.hidden_size, modalities * _QUERY_WIDTH)
        self.key = nn.Linear(config.hidden_size, modalities * _QUERY_WIDTH)
        # Positive by the exponential; of each modality to shots before, then to shots after. A flat
        # vector, because weight decay is for matrices.
        self.log_decay = nn.Parameter(torch.full((2 * modalities,), math.log(_FIRST_DECAY)))

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
        ahead = (place - asked_place[..., None]).float()[:, None]  # [b, 1, k, n]
        before, after = self.log_decay.exp().view(2, -1, 1, 1)  # [m, 1, 1] each
        query, key = self._split(self.query(asked)), self._split(self.key(states))
        scores = query @ key.transpose(2, 3) / _QUERY_WIDTH**0.5  # [b, m, k, n]
        scores = scores.float() - (-ahead).clamp(min=0) * before - ahead.clamp(min=0) * after
        # A large number and not infinity: where nothing is visible the weights are even, and what
        # is copied is zero.
        scores = scores.masked_fill(~visible[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1).to(fused.dtype).unbind(1)
        parts = fused.split(self._widths, dim=-1)
        return torch.cat([w @ part for w, part in zip(weights, parts, strict=True)], dim=-1)

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        """`[b, n, m * w]` as `[b, m, n, w]`."""
        return values.unflatten(-1, (len(self._widths), _QUERY_WIDTH)).transpose(1, 2)


def take_rows(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows `[b, k]` of `[b, n, w]` as `[b, k, w]`."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[-1]))
