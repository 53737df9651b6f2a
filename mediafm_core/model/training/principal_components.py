"""Principal components of vectors, at the cost of the smaller one of their number and width."""

import torch
from torch import Tensor

_SMALLEST = 1e-30  # under a root; components without variance are for the caller to leave out


def principal_components(rows: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Find the leading principal components of vectors.

    Fewer vectors than numbers have as many components as vectors at most: these follow from the
    products of the vectors with each other, `[n, n]`, which for the 300 shots of a first catalogue
    takes a hundredth of the time of `[d, d]`.

    Args:
        rows: `[n, d]` float64, centred, at least one.
        most: number of components to return.

    Returns:
        Variances `[most]`, the largest first, and components `[d, most]` of length one; zeros, or
        directions without meaning and a variance of about zero, where there are fewer.
    """
    count, width = rows.shape
    few = count < width
    products = rows @ rows.T if few else rows.T @ rows
    found, vectors = torch.linalg.eigh(products / count)  # the weakest first
    found, vectors = found.flip(0)[:most], vectors.flip(1)[:, :most]
    if few:
        vectors = rows.T @ (vectors / (found * count).clamp(min=_SMALLEST).sqrt())
    variances, components = rows.new_zeros(most), rows.new_zeros(width, most)
    variances[: len(found)] = found
    components[:, : len(found)] = vectors
    return variances, components
