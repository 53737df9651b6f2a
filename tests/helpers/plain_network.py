"""Reference implementation of the published network, from its description: one title and head.

float64, without batches, padding or fused kernels. It shares only the names of the weights with the
package.
"""

import math
from dataclasses import dataclass

import torch


@dataclass
class Reading:
    """Outputs of the network for one title, float64."""

    shots: torch.Tensor  # [n, h] of the last layer but one
    title: torch.Tensor  # [h] of the last layer but one
    reconstruction: torch.Tensor  # [n, d]


class PlainNetwork:
    """Reference network with the weights of a network of the package."""

    def __init__(self, weights: dict[str, torch.Tensor], config: object) -> None:
        self.weights = {name: tensor.double() for name, tensor in weights.items()}
        self.config = config

    def read(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        masked: torch.Tensor | None = None,
        first: int = 0,
    ) -> Reading:
        """Read a title `[n, d]`; `masked [n]`; `first` is the position of its first shot."""
        config, w = self.config, self.weights
        count = len(fused)
        if masked is None:
            masked = torch.zeros(count, dtype=torch.bool)
        shots = [w["mask_token"] if masked[i] else fused[i].double() for i in range(count)]
        tokens = [w["cls_token"], self._linear(global_.double(), "global_projection")]
        tokens += [self._linear(shot, "shot_tokens.projection") for shot in shots]
        places = [0, 1, *range(2 + first, 2 + first + count)]
        x = torch.stack(tokens) + w["positions.embedding.weight"][places]
        x = self._norm(x, "norm")
        layers = [x]
        for layer in range(config.num_hidden_layers):
            x = self._layer(x, f"layers.{layer}")
            layers.append(x)
        reconstruction = self._linear(x[2:], "prediction")
        return Reading(layers[-2][2:], layers[-2][0], reconstruction)

    def _layer(self, x: torch.Tensor, at: str) -> torch.Tensor:
        heads = self.config.num_attention_heads
        width = x.shape[1] // heads
        query, key, value = (
            self._linear(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value")
        )
        attended = torch.zeros_like(x)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for i in range(len(x)):
                scores = key[:, part] @ query[i, part] / math.sqrt(width)
                attended[i, part] = _softmax(scores) @ value[:, part]
        x = self._norm(
            x + self._linear(attended, f"{at}.attention.output.dense"),
            f"{at}.attention.output.LayerNorm",
        )
        inner = self._linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        return self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + self.config.layer_norm_eps).sqrt()
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _softmax(scores: torch.Tensor) -> torch.Tensor:
    weights = (scores - scores.max()).exp()
    return weights / weights.sum()
