"""Linear models with a quadratic penalty, fitted for many targets and strengths at once.

The minimiser is L-BFGS. In the principal axes of the features, each scaled by the loss's curvature
along it, the problem is so well conditioned that a few dozen steps suffice for any strength. All
targets and strengths share the two products with the features in a step. scikit-learn's
`LogisticRegression` finds the same weights for one target and one strength at a time, in about a
hundred steps where the penalty is weak: for 12 targets and 6 strengths of 3,000 units it takes
twelve times as long (`python -m benchmarks.libraries`).

The minimiser is PyTorch's, because it is faster where libraries use all cores, as they do by
default: there SciPy's spends most of its time in threads that wait for each other (19 CPU seconds
against 12, for the same scores of 3,000 units of width 512 with 15 folds). On one thread SciPy's is
faster, 5 against 8.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

Loss = Literal["logistic", "softmax", "squared"]

_log = logging.getLogger(__name__)

# A feature counts as constant if its standard deviation is below one of these shares, of its mean
# or of the largest standard deviation. The precision of float32 is 6e-8, and computations lose a
# factor of ten.
_LEAST_OF_MEAN, _LEAST_OF_LARGEST = 1e-5, 1e-10
# Axes with a smaller share of the largest variance are rounding errors of float32.
_SMALLEST_VARIANCE = 1e-7
TOLERANCE = 1e-5
"""Tolerance of the gradient in scaled coordinates; its square is about the loss still to gain."""

# Smallest change of the loss and of a step in scaled coordinates; smaller ones are rounding noise.
_SMALLEST_CHANGE = 1e-11
_MOST_STEPS = 500
# Number of evaluations in which a fit comes half of its way, for the share that it reports.
_HALF_WAY = 40


@dataclass(frozen=True)
class PrincipalAxes:
    """Standardised features, rotated into the principal axes of the training units.

    A quadratic penalty is invariant to the rotation. The training units have a mean squared length
    of one, so that a strength has the same effect for vectors of any width.

    Attributes:
        mean: `[d]` float32, mean of the training units.
        basis: `[d, r]` float32, division by the standard deviations and rotation.
        variances: `[r]` float32, variances of the training units along the axes. The sum over all
            axes is one.
    """

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(cls, training: np.ndarray, most: int | None = None) -> "PrincipalAxes":
        """Find the axes of the training units.

        Args:
            training: `[n, d]` float32. Constant features are ignored.
            most: Number of axes to keep, those of the largest variances; None keeps all.
        """
        import torch

        mean = training.mean(axis=0, dtype=np.float64)
        deviations = training.std(axis=0, dtype=np.float64)
        least = np.maximum(_LEAST_OF_MEAN * np.abs(mean), _LEAST_OF_LARGEST * deviations.max())
        varies = deviations > least
        scales = np.divide(1, deviations, out=np.zeros_like(deviations), where=varies)
        scales = (scales / np.sqrt(max(1, varies.sum()))).astype(np.float32)
        mean = mean.astype(np.float32)
        rows = torch.from_numpy((training - mean) * scales)  # [n, d]
        count, width = rows.shape
        wide = width > count
        products = (rows @ rows.T if wide else rows.T @ rows).double() / count
        variances, axes = torch.linalg.eigh(products)  # ascending
        kept = variances > _SMALLEST_VARIANCE * variances[-1].clamp(min=1e-30)
        if most is not None:
            kept[:-most] = False
        variances, axes = variances[kept], axes[:, kept].float()
        if wide:  # from the axes of units to those of features
            axes = rows.T @ (axes / (variances * count).sqrt().float())  # [d, r]
        basis = scales[:, None] * axes.numpy()
        return cls(mean, basis, variances.float().numpy())

    def coordinates(self, features: np.ndarray) -> np.ndarray:
        """Transform features `[m, d]` to these axes, `[m, r]` float32."""
        return (features - self.mean) @ self.basis


@dataclass(frozen=True)
class LinearModels:
    """One model per target and strength.

    Attributes:
        weights: `[r, c, g]` float32, for `c` targets and `g` strengths.
        intercepts: `[c, g]` float32.
    """

    weights: np.ndarray
    intercepts: np.ndarray

    def __call__(self, coordinates: np.ndarray) -> np.ndarray:
        """Predict values of units `[m, r]` with all models, `[m, c, g]` float64."""
        values = np.tensordot(coordinates, self.weights, axes=1)
        return values.astype(np.float64) + self.intercepts

    def candidate(self, index: int) -> "LinearModels":
        """Select the models of one candidate, of width one in the last axis."""
        return LinearModels(
            self.weights[..., index : index + 1], self.intercepts[..., index : index + 1]
        )


def fit(
    coordinates: np.ndarray,
    variances: np.ndarray,
    targets: np.ndarray,
    strengths: np.ndarray,
    loss: Loss,
    *,
    start: LinearModels | None = None,
    tolerance: float = TOLERANCE,
    progress: Callable[[float], None] = lambda _share: None,
) -> LinearModels:
    """Minimise mean loss + sum of strength / 2 * squared weights, intercepts left free.

    Args:
        coordinates: `[n, r]` float32, coordinates of the training units from `PrincipalAxes`. They
            may be a subset of the units that the axes were made from.
        variances: `[r]`, variances of the axes. They affect the number of steps, not the result.
        targets: `[n, c]` float32: zeros and ones, with a single one per row for softmax; any
            numbers for the squared loss.
        strengths: `[g]`, the same for all axes, or `[r, g]`, one per axis; larger than zero. In
            scikit-learn's terms `1 / (C * n)`.
        loss: `logistic` for independent targets; `softmax` for targets that are classes; `squared`
            for half the squared error.
        start: Models of the same axes and targets, of one candidate or of `g`, whose weights are
            near the minimum. They affect the number of steps, not the result.
        tolerance: Largest gradient, in scaled coordinates, at which the minimiser stops.
        progress: Callback for an estimate of the share that is done.

    Returns:
        The models. A warning is logged if the minimiser stops early.
    """
    import torch

    shape = (targets.shape[1], strengths.shape[-1])
    strengths = strengths.reshape(-1, 1, shape[1])  # [1 or r, 1, g]
    shares = targets.mean(axis=0, dtype=np.float64).clip(1e-6, 1 - 1e-6)  # [c]
    curvature = np.ones_like(shares) if loss == "squared" else shares * (1 - shares)
    scales = torch.from_numpy(
        1 / np.sqrt(curvature[:, None] * variances[:, None, None] + strengths)
    ).float()  # [r, c, g]
    intercept_scales = torch.from_numpy(1 / np.sqrt(curvature)).float()[:, None]  # [c, 1]
    starts = torch.from_numpy(_start(shares, loss)).float()[:, None].expand(shape)

    # A row per axis, then the intercepts, in float64 so that small steps are not lost to rounding.
    scaled = torch.zeros(len(variances) + 1, *shape, dtype=torch.float64)
    if start is not None:
        scaled[:-1] = torch.from_numpy(start.weights) / scales
        scaled[-1] = (torch.from_numpy(start.intercepts) - starts) / intercept_scales
    scaled.requires_grad_()

    def models(precision: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        table = scaled.to(precision)
        return scales * table[:-1], starts + intercept_scales * table[-1]

    evaluations = 0

    def minimise(precision: torch.dtype) -> tuple[float, bool]:
        """Continue from `scaled`; return the largest gradient, and True if the steps ran out."""
        product = _product_with(torch.from_numpy(coordinates).to(precision))
        wanted = torch.from_numpy(targets).to(precision)[..., None]
        penalties = torch.from_numpy(strengths).to(precision)

        def objective() -> torch.Tensor:
            weights, intercepts = models(precision)
            values = product(weights.flatten(1)).view(-1, *shape) + intercepts  # [n, c, g]
            total = _losses(values, wanted, loss).sum(dtype=torch.float64) / len(coordinates)
            return total + (penalties / 2 * weights.square()).sum(dtype=torch.float64)

        def step() -> torch.Tensor:
            nonlocal evaluations
            progress(evaluations / (evaluations + _HALF_WAY))
            evaluations += 1
            minimiser.zero_grad()
            total = objective()
            total.backward()
            return total

        minimiser = torch.optim.LBFGS(
            [scaled],
            max_iter=_MOST_STEPS,
            tolerance_grad=tolerance,
            tolerance_change=_SMALLEST_CHANGE,
            history_size=10,
            line_search_fn="strong_wolfe",
        )
        minimiser.step(step)
        (gradient,) = torch.autograd.grad(objective(), scaled)
        ran_out = minimiser.state[scaled]["n_iter"] >= _MOST_STEPS
        return gradient.abs().max().item(), ran_out

    with torch.enable_grad():
        steepest, ran_out = minimise(torch.float32)
        if steepest > 10 * tolerance and not ran_out:
            # A line search compares losses, so their rounding in float32 ends it: near a loss of
            # one at a gradient of about 1e-4, depending on the order in which a processor adds.
            steepest, _ = minimise(torch.float64)
    if steepest > 10 * tolerance:
        _log.warning(
            "A probe with %s loss stopped at a gradient of %.2g instead of %.2g: its scores are "
            "slightly suboptimal.",
            loss,
            steepest,
            tolerance,
        )
    with torch.no_grad():
        weights, intercepts = models(torch.float32)
    return LinearModels(weights.numpy(), intercepts.numpy())


def _product_with(rows: "torch.Tensor") -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return a function that multiplies coordinates `[n, r]` by few weights `[r, k]`.

    It has a gradient. Both products are computed with the long side last, from a transposed copy in
    one of them: with six columns 5 and 4 ms in place of 13 and 42 ms (8,000 units, 1,088 axes, a
    thread of an AMD EPYC without AVX-512).
    """
    import torch

    columns = rows.T.contiguous()  # [r, n]

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(_context: object, weights: torch.Tensor) -> torch.Tensor:
            return (weights.T @ columns).T

        @staticmethod
        def backward(_context: object, gradient: torch.Tensor) -> torch.Tensor:
            return (gradient.T @ rows).T

    return Product.apply


def _start(shares: np.ndarray, loss: Loss) -> np.ndarray:
    """Return intercepts that fit the targets' means with zero weights, `[c]`."""
    if loss == "squared":
        return shares
    return np.log(shares) if loss == "softmax" else np.log(shares / (1 - shares))


def _losses(values: "torch.Tensor", wanted: "torch.Tensor", loss: Loss) -> "torch.Tensor":
    """Compute the loss of each unit and target, `[n, c, g]`, or of each unit, `[n, g]`."""
    from torch.nn import functional

    if loss == "squared":
        return (values - wanted).square() / 2
    if loss == "logistic":
        return functional.softplus(values) - wanted * values
    return values.logsumexp(dim=1) - (wanted * values).sum(dim=1)
