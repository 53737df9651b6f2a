"""Blocks of columns of one probe, each in its own principal axes and with its own penalty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_core.evaluation.linear import PrincipalAxes

MOST_AXES = 320
"""Number of axes that each of several blocks keeps, so that 31,000 units cost seconds."""


@dataclass(frozen=True)
class BlockAxes:
    """Principal axes of the blocks of a probe, side by side.

    Each block is standardised by itself and has a total variance of one, so that a strength has the
    same effect on a block of any width. One block keeps all of its axes, several keep `MOST_AXES`
    each.

    Attributes:
        blocks: Axes of each block.
        variances: `[r]` float32, variances of the training units along all axes.
        block_of: `[r]` int64, block of each axis.
    """

    blocks: tuple[PrincipalAxes, ...]
    variances: np.ndarray
    block_of: np.ndarray

    @classmethod
    def of(cls, training: Sequence[np.ndarray]) -> "BlockAxes":
        """Find the axes of the training units.

        Args:
            training: Blocks `[n, d_i]` float32. Constant columns are ignored.
        """
        most = MOST_AXES if len(training) > 1 else None
        blocks = tuple(PrincipalAxes.of(block, most) for block in training)
        ranks = [len(block.variances) for block in blocks]
        variances = np.concatenate([block.variances for block in blocks])
        return cls(blocks, variances, np.repeat(np.arange(len(blocks)), ranks))

    def coordinates(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Transform blocks `[m, d_i]` to these axes, `[m, r]` float32."""
        transformed = [
            axes.coordinates(block) for axes, block in zip(self.blocks, features, strict=True)
        ]
        return np.concatenate(transformed, axis=1)

    def penalties(self, strengths: np.ndarray) -> np.ndarray:
        """Repeat the strengths of `g` candidates and `b` blocks, `[g, b]`, per axis: `[r, g]`."""
        return strengths.T[self.block_of]
