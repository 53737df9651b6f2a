"""AdamW for all parameters, or Muon for the hidden matrices and AdamW for the others.

With `training.optimiser = "muon"`, Muon (`mediafm_core.model.training.muon`) updates the matrices
that map hidden vectors to hidden vectors: the weights of the Transformer layers. Projections,
positions, tokens, biases and norms use AdamW; biases, norms and tokens have no weight decay.
"""

import math

import torch
from torch import nn

from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.muon import Muon
from mediafm_core.model.training.progress_events import ParameterGroup


class Optimisers:
    """Optimisers of a network and their shared schedule: linear warm-up, cosine decay."""

    def __init__(self, network: MediaFM, settings: TrainingSettings) -> None:
        hidden, matrices, rest = _divide(network)
        muon = settings.optimiser == "muon"
        self.groups = [
            _describe("hidden matrices", "Muon" if muon else "AdamW", hidden),
            _describe("projections and positions", "AdamW", matrices),
            _describe("biases, norms and tokens", "AdamW, no decay", rest),
        ]
        decayed = matrices if muon else [*hidden, *matrices]
        adamw = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ],
            lr=settings.adamw_learning_rate,
            fused=True,
        )
        self._optimisers: dict[str, tuple[torch.optim.Optimizer, float]] = {
            "adamw": (adamw, settings.adamw_learning_rate)
        }
        if muon:
            self._optimisers["muon"] = (
                Muon(hidden, settings.muon_learning_rate, settings.weight_decay),
                settings.muon_learning_rate,
            )
        self._parameters = [*hidden, *matrices, *rest]
        self._settings, self._steps = settings, settings.planned_steps

    def step(self, step: int) -> torch.Tensor:
        """Update the network once from its gradients, and clear them.

        Args:
            step: counted from 1.

        Returns:
            The norm of the gradient before it was clipped; a scalar on the network's device.
        """
        norm = nn.utils.clip_grad_norm_(self._parameters, self._settings.clip_norm)
        factor = learning_rate_factor(step, self._steps, self._settings.warmup_ratio)
        for optimiser, rate in self._optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad()
        return norm

    def state(self) -> dict[str, torch.Tensor]:
        """Return the moments by name; learning rates follow from the step."""
        return {
            f"{name}.{parameter}.{moment}": tensor
            for name, (optimiser, _) in self._optimisers.items()
            for parameter, moments in optimiser.state_dict()["state"].items()
            for moment, tensor in moments.items()
        }

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Load the moments of `state`.

        Raises:
            KeyError, ValueError: they belong to other optimisers or parameters.
        """
        found: dict[str, dict[int, dict[str, torch.Tensor]]] = {
            name: {} for name in self._optimisers
        }
        for key, tensor in state.items():
            name, parameter, moment = key.split(".", 2)
            found[name].setdefault(int(parameter), {})[moment] = tensor
        for name, (optimiser, _) in self._optimisers.items():
            groups = optimiser.state_dict()["param_groups"]
            parameters = [each for group in optimiser.param_groups for each in group["params"]]
            for index, moments in found[name].items():
                shape = parameters[index].shape if index < len(parameters) else None
                # torch accepts any shape and fails at the next step. A scalar counts steps.
                if any(moment.ndim and moment.shape != shape for moment in moments.values()):
                    raise ValueError(f"moments of {name} have another shape than parameter {index}")
            optimiser.load_state_dict({"state": found[name], "param_groups": groups})


def learning_rate_factor(step: int, steps: int, warmup_ratio: float) -> float:
    """Return the factor of the learning rates at a step, counted from 1: linear warm-up, cosine."""
    warmup = round(warmup_ratio * steps)
    if step <= warmup:
        return step / warmup
    done = (step - 1 - warmup) / (steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


def _divide(
    network: MediaFM,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Divide parameters into hidden matrices, other matrices, and vectors."""
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
