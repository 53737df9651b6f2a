"""Fitting of the content head on the titles of a training, before its first step.

The targets are the boundaries that similarity finds in whole titles. A first head is fitted without
a quarter of the titles, and calibrated on these: with few titles it memorises them, and the less
its logits say about unseen titles, the smaller they are made. The head itself is then fitted to all
titles. With fewer than four titles there is none.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_core.model.content_head import MEMBERS, ContentHead, content_logits, shapes
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.scenes.partitions import marginals_of_metrics

LEAST_TITLES = 4
_STEPS = 450
_EPOCHS = 12  # at most
_BATCH = 160  # shots
_LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 1e-3, 0.05, 0.3
_NEWTON_STEPS = 20


def fit_content(head: ContentHead, slow: SlowFeatures, titles: Sequence[Tensor]) -> None:
    """Fit a content head to titles `[n, d]` each, on the CPU.

    Random numbers have a seed of their own; torch's state is restored.

    Args:
        head: to fit.
        slow: the fitted metric of slow features.
        titles: of a training.
    """
    head.calibration.zero_()
    if len(titles) < LEAST_TITLES:
        return
    order = np.random.default_rng(0).permutation(len(titles))
    held_out = set(order[: len(titles) // 4].tolist())
    targets = [taught_boundaries(slow, each) for each in titles]

    def together(numbers: Iterable[int]) -> tuple[Tensor, Tensor]:
        """Return shots and targets but of first shots, which start no scene within a title."""
        chosen = list(numbers)
        return (
            torch.cat([titles[number][1:] for number in chosen]),
            torch.cat([torch.from_numpy(targets[number][1:]) for number in chosen]),
        )

    seen = together(number for number in range(len(titles)) if number not in held_out)
    unseen, expected = together(held_out)
    if not len(seen[0]) or not len(unseen):  # titles of one shot
        return
    logits = content_logits(unseen, _train(*seen)).mean(dim=0)
    head.calibration.copy_(calibration(logits.double(), expected.double()))
    layers = _train(*together(range(len(titles))))
    for (weight, bias), (new_weight, new_bias) in zip(head.parts(), layers, strict=True):
        weight.copy_(new_weight)
        bias.copy_(new_bias)


def taught_boundaries(slow: SlowFeatures, fused: Tensor) -> np.ndarray:
    """Compute probabilities `[n, g]` of scene starts that the content and boundary heads learn.

    They are the mean over metrics of slow features alone, at low temperatures. Smoother targets
    find scene starts better and teach less (`docs/laboratory/2026-11-27-scenes.md`).

    Args:
        slow: the fitted metric of slow features.
        fused: `[n, d]` fused vectors of a whole title, on the CPU.
    """
    found = marginals_of_metrics([vectors.numpy() for vectors in slow.teachers(fused)])
    mean: np.ndarray = found.mean(axis=0)
    return mean


def _train(shots: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Fit the layers of all members to targets `[n, g]` from 0 to 1 by cross-entropy."""
    steps = min(_STEPS, -(-_EPOCHS * len(shots) // _BATCH))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        layers = [_first_weights(*shape) for shape in shapes(shots.shape[1])]
        parameters = [parameter for layer in layers for parameter in layer]
        optimiser = torch.optim.AdamW(parameters, _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        for _ in range(steps):
            batch = torch.randint(len(shots), (MEMBERS, _BATCH))
            logits = content_logits(shots[batch], layers, _DROPOUT)
            loss = functional.binary_cross_entropy_with_logits(logits, targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return [(weight.detach(), bias.detach()) for weight, bias in layers]


def _first_weights(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Draw weights `[m, rows, columns]` and biases `[m, rows]` of a layer."""
    drawn = [nn.Linear(columns, rows) for _ in range(MEMBERS)]
    weight = torch.stack([each.weight.detach() for each in drawn])
    bias = torch.stack([each.bias.detach() for each in drawn])
    return weight.requires_grad_(), bias.requires_grad_()


def calibration(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the factor `[g]` from 0 to 1 that makes logits `[n, g]` most likely, with a constant.

    Newton's method on the cross-entropy to targets `[n, g]`; logits without spread have factor 0.
    """
    centred = logits - logits.mean(dim=0)
    share = targets.mean(dim=0).clamp(1e-6, 1 - 1e-6)
    factor, constant = torch.zeros_like(share), torch.logit(share)
    for _ in range(_NEWTON_STEPS):
        predicted = torch.sigmoid(factor * centred + constant)
        error, weight = predicted - targets, predicted * (1 - predicted)
        # Gradient and Hessian of each grain, with a little of a prior for a factor of zero.
        slope = torch.stack([(error * centred).mean(dim=0) + 1e-6 * factor, error.mean(dim=0)])
        cross = (weight * centred).mean(dim=0)
        curvature = torch.stack(
            [
                torch.stack([(weight * centred.square()).mean(dim=0) + 1e-6, cross]),
                torch.stack([cross, weight.mean(dim=0) + 1e-9]),
            ]
        )
        step = torch.linalg.solve(curvature.permute(2, 0, 1), slope.T)  # [g, 2]
        factor, constant = factor - step[:, 0], constant - step[:, 1]
    return factor.clamp(0, 1).nan_to_num(0.0)
