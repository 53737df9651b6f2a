"""Content head: what a shot's own vector says about a scene starting at it.

The head is a mean of small networks of one shot: it cannot compare shots. Its members differ in
their first weights, batches and dropout, and their mean depends less on that draw than one of them
(L. Hansen, P. Salamon, IEEE PAMI 12, 1990). They are trained on the boundaries that similarity
finds (`mediafm_core.scenes.partitions`), and learn which shots tend to be first in a scene (an
exterior, a greeting, a pause). Since it cannot repeat the errors of similarity on a single title,
both together are better than either: co-training of two views (A. Blum, T. Mitchell, COLT 1998). A
convolution over neighbouring shots in its place learns to compare them, and adds less
(`docs/laboratory/2026-11-26-scenes.md`).

`mediafm_core.model.training.content_statistics` fits it before the first step of a training. It is
stored with the weights as buffers; gradient descent of the network does not change it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_core.scenes.partitions import GRAINS

MEMBERS = 5
HIDDEN = 96
_INPUT_LENGTH = 6.0  # of a fused vector, so that gradients are of a useful size


class ContentHead(nn.Module):
    """Logarithm of the odds that a scene starts at a shot, from the shot alone.

    Sizes: `n` shots, `d` width of fused vectors, `g` grains, `m` members.
    """

    calibration: Tensor  # [g], factor of the logits from 0 (not fitted: no evidence) to 1

    def __init__(self, width: int) -> None:
        super().__init__()
        for number, (rows, columns) in enumerate(shapes(width)):
            self.register_buffer(f"weight_{number}", torch.zeros(MEMBERS, rows, columns))
            self.register_buffer(f"bias_{number}", torch.zeros(MEMBERS, rows))
        self.register_buffer("calibration", torch.zeros(len(GRAINS)))

    def parts(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights `[m, rows, columns]` and biases `[m, rows]` of each layer."""
        return [
            (self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}"))
            for number in range(len(shapes(1)))
        ]

    def forward(self, fused: Tensor) -> Tensor:
        """Compute evidence `[n, g]` float32 for a boundary at each shot, by grain.

        It is the logarithm of odds up to a constant of the grain: zero says nothing.

        Args:
            fused: `[n, d]` fused vectors.
        """
        with torch.autocast(fused.device.type, enabled=False):
            logits = content_logits(fused, self.parts()).mean(dim=0).float()
            return (logits - logits.mean(dim=0)) * self.calibration


def shapes(width: int) -> list[tuple[int, int]]:
    """Return rows and columns of the weights of each layer."""
    return [(HIDDEN, width), (HIDDEN, HIDDEN), (len(GRAINS), HIDDEN)]


def content_logits(
    fused: Tensor, layers: Sequence[tuple[Tensor, Tensor]], dropout: float = 0.0
) -> Tensor:
    """Compute logits `[m, n, g]` of all members, with dropout before each layer.

    Args:
        fused: `[n, d]` shots, or `[m, n, d]` others for each member.
        layers: as `ContentHead.parts` returns them.
        dropout: share of the numbers before a layer.
    """
    wide = fused.to(torch.promote_types(fused.dtype, torch.float32))
    states = _INPUT_LENGTH * functional.normalize(wide, dim=-1)
    for number, (weight, bias) in enumerate(layers):
        if number:
            states = functional.gelu(states)
        states = functional.dropout(states, dropout, dropout > 0)
        states = states @ weight.mT + bias[:, None]  # [m, n, rows]
    return states
