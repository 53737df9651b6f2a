"""Muon for the hidden matrices, AdamW for everything else.

Muon (Jordan et al., kellerjordan.github.io/posts/muon) orthogonalises the update of a matrix that
maps hidden vectors to hidden vectors: the weights of the Transformer layers. Projections in and
out, positions, tokens, biases and norms are no such matrices and take AdamW, biases, norms and
tokens without decay. Updates are scaled to AdamW's size (arXiv 2502.16982), so that both may share
a learning rate.
"""

from typing import NamedTuple

import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from mediafm_core.config import TrainingSettings
from mediafm_core.model.network import MediaFM


class ParameterGroup(NamedTuple):
    """One row of the table of parameter groups."""

    name: str
    optimiser: str
    tensors: int
    parameters: int


class Optimisers:
    """The two optimisers of a network and their shared schedule: linear warm-up, cosine decay."""

    def __init__(self, network: MediaFM, settings: TrainingSettings) -> None:
        hidden, matrices, rest = _divide(network)
        self.groups = [
            _describe("hidden matrices", "Muon", hidden),
            _describe("projections and positions", "AdamW", matrices),
            _describe("biases, norms and tokens", "AdamW, no decay", rest),
        ]
        muon = torch.optim.Muon(
            hidden,
            lr=settings.muon_learning_rate,
            weight_decay=settings.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        adamw = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ],
            lr=settings.adamw_learning_rate,
        )
        self._optimisers = (muon, adamw)
        warmup = round(settings.warmup_share * settings.steps)
        self._schedules = [
            get_cosine_schedule_with_warmup(optimiser, warmup, settings.steps)
            for optimiser in self._optimisers
        ]
        self._parameters = [*hidden, *matrices, *rest]
        self._clip_norm = settings.clip_norm

    def step(self, loss: torch.Tensor) -> None:
        """Back-propagate a loss and update the network once."""
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        for optimiser, schedule in zip(self._optimisers, self._schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()


def _divide(
    network: MediaFM,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Hidden matrices, other matrices, and what is no matrix."""
    hidden, matrices, rest = [], [], []
    for name, parameter in network.named_parameters():
        if parameter.ndim != 2:
            rest.append(parameter)
        elif name.startswith("layers."):
            hidden.append(parameter)
        else:
            matrices.append(parameter)
    return hidden, matrices, rest


def _describe(name: str, optimiser: str, parameters: list[nn.Parameter]) -> ParameterGroup:
    count = sum(parameter.numel() for parameter in parameters)
    return ParameterGroup(name, optimiser, len(parameters), count)
