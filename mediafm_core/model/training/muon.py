"""Muon, an optimiser that orthogonalises the updates of matrices.

Jordan et al., kellerjordan.github.io/posts/muon, with its coefficients of the Newton-Schulz
iteration; updates have AdamW's size (arXiv 2502.16982), so that both may share a learning rate.

PyTorch has a Muon too, whose iteration is always in bfloat16. A CPU without instructions for it,
such as most laptops', multiplies such matrices 60 times slower than those of float32: a step of the
default network took ten seconds. Here the iteration is in float32 on CPUs, and matrices of the same
shape are iterated together.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_MOMENTUM = 0.95
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_LEAST_NORM = 1e-7
_SIZE_OF_ADAMW = 0.2  # root mean square of AdamW's updates


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    Args:
        parameters: matrices.
        lr: learning rate, for updates of AdamW's size.
        weight_decay: share of the learning rate by which a step shrinks the weights.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        assert closure is None  # noqa: S101
        for group in self.param_groups:
            matrices = [each for each in group["params"] if each.grad is not None]
            updates = [self._momentum(each) for each in matrices]
            by_shape: dict[torch.Size, list[int]] = {}
            for place, update in enumerate(updates):
                by_shape.setdefault(update.shape, []).append(place)
            for shape, places in by_shape.items():
                found = orthogonalised(torch.stack([updates[place] for place in places]))
                rate = group["lr"] * _SIZE_OF_ADAMW * max(shape) ** 0.5
                for place, update in zip(places, found.unbind(), strict=True):
                    matrices[place].mul_(1 - group["lr"] * group["weight_decay"])
                    matrices[place].add_(update, alpha=-rate)

    def _momentum(self, matrix: Tensor) -> Tensor:
        """Add the gradient to the momentum, and return their Nesterov mean."""
        state, gradient = self.state[matrix], matrix.grad
        assert gradient is not None  # noqa: S101
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        state["momentum_buffer"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(state["momentum_buffer"], _MOMENTUM)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring all singular values of matrices `[k, rows, columns]` near one.

    The quintic Newton-Schulz iteration leaves them between about 0.7 and 1.2.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    found = matrices if wide else matrices.mT
    found = found.float() if found.device.type == "cpu" else found.bfloat16()
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST_NORM)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = found @ found.mT
        found = torch.baddbmm(
            found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a
        )
    return (found if wide else found.mT).to(matrices.dtype)
