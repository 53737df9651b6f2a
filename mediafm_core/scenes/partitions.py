"""Probability of a scene boundary at each shot, over all partitions of a title into scenes.

A scene is a run of consecutive shots. Its cost is the scatter of its shots around their mean, which
for vectors `x` with products `k(i, j) = x_i . x_j` is

    cost(a, b) = sum of k(i, i) - sum of k(i, j) / (b - a),   i and j from a to b - 1,

the cost of kernel change-point detection (S. Arlot, A. Celisse, Z. Harchaoui, JMLR 20(162), 2019).
In place of the cheapest partition, all partitions are weighted by

    exp(-(sum of the costs of the scenes) / temperature - penalty * number of scenes)

and a shot's marginal is the share of the partitions in which a scene starts at it, computed by the
forward-backward recursion over scene ends (as for segmental models: S. Sarawagi, W. Cohen, NIPS
2004). The penalty follows from the wanted mean length of a scene, the grain: with it, a scene is
expected to start at one in `grain` of the shots after the first. Other evidence for a boundary at a
shot, as the logarithm of odds, is added to the exponent of every partition that has it.

Costs are float64 and are computed within a band of the longest scene around the diagonal: memory is
`shots * longest_scene * temperatures`. All sums are over the shots of a scene, so that
they are as accurate at the end of a long title as at its start. The recursion is in logarithms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

GRAINS = (4, 6, 9, 14, 22)  # mean shots of a scene
DEFAULT_GRAIN = 9
TEMPERATURES = (0.1, 0.3)  # of costs, in which a shot that is like no other of its scene counts 1
LONGEST_SCENE = 80  # shots

_BLOCK = 512  # shots whose products are computed together
_TOLERANCE = 1e-5  # of the expected number of boundaries, as a share of it
_MOST_PASSES = 60  # to find a penalty; 5 to 10 are needed


def boundary_marginals(
    vectors: np.ndarray,
    grains: Sequence[float] = GRAINS,
    temperatures: Sequence[float] = TEMPERATURES,
    longest_scene: int = LONGEST_SCENE,
    evidence: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the probability that a scene starts at each shot, mean over temperatures.

    Args:
        vectors: `[n, d]` of the shots of one title; of length one, if the temperatures are to mean
            the same everywhere.
        grains: mean shots of a scene, above 1 and below `longest_scene`.
        temperatures: above 0; the lower, the more only the cheapest partitions count.
        longest_scene: in shots.
        evidence: `[n, grains]` logarithms of odds that are added for a boundary at each shot; only
            their differences between shots count, and the first shot's not at all.

    Returns:
        `[n, grains]` float32. Rows after the first sum to `(n - 1) / grain`; the first is 0: the
        start of the title is no boundary between scenes.

    Raises:
        ValueError: no shot, a value that is not finite, a grain or temperature out of
            range, or evidence of another shape.
    """
    metrics = marginals_of_metrics([vectors], grains, temperatures, longest_scene, evidence)
    only: np.ndarray = metrics[0]
    return only


def marginals_of_metrics(
    metrics: Sequence[np.ndarray],
    grains: Sequence[float] = GRAINS,
    temperatures: Sequence[float] = TEMPERATURES,
    longest_scene: int = LONGEST_SCENE,
    evidence: np.ndarray | None = None,
) -> np.ndarray:
    """Compute `boundary_marginals` of a title in several metrics, `[metrics, n, grains]` float32.

    They are equal to those of each metric by itself, and take half the time for three: a step of
    the recursion is short.

    Args:
        metrics: `[n, d]` vectors of the title's shots, in each metric.
        grains: as in `boundary_marginals`.
        temperatures: as in `boundary_marginals`.
        longest_scene: as in `boundary_marginals`.
        evidence: as in `boundary_marginals`, for all metrics.

    Raises:
        ValueError: as `boundary_marginals`.
    """
    for vectors in metrics:
        _check(vectors, grains, temperatures, longest_scene)
        if evidence is not None:
            _check_evidence(evidence, (len(vectors), len(grains)))
    lanes = [energies_of(scene_costs(each, longest_scene), temperatures) for each in metrics]
    marginals = _marginals(np.concatenate(lanes, axis=1), grains, evidence)
    lanes_of_metrics = marginals.reshape(len(metrics), len(temperatures), *marginals.shape[1:])
    means: np.ndarray = lanes_of_metrics.mean(axis=1)  # [metrics, grains, n]
    return means.transpose(0, 2, 1).astype(np.float32)


def likely_starts(probability: np.ndarray, grain: float) -> NDArray[np.int64]:
    """Return the first shots of the scenes `[k]`, in order; the first is 0.

    After it they are the most probable ones, as many as the grain says. Their number does not
    follow from the probabilities, which are right on average but, if similarity says little, all
    close to that average.

    Args:
        probability: `[n]` of a scene start; the first is not used.
        grain: mean shots of a scene.
    """
    inner = probability[1:]
    count = round(len(inner) / grain)
    chosen = np.argsort(-inner, kind="stable")[:count]
    return np.concatenate([[0], 1 + np.sort(chosen)]).astype(np.int64)


def scene_costs(vectors: np.ndarray, longest_scene: int = LONGEST_SCENE) -> Costs:
    """Compute the cost of every possible scene of a title.

    Args:
        vectors: `[n, d]`.
        longest_scene: in shots.

    Returns:
        `[n, l]` with `l` the longest scene or n: entry `[i, j]` is the cost of the scene of
        `j + 1` shots that ends with shot i; infinite where it would start before the title.
    """
    count = len(vectors)
    longest = min(longest_scene, count)
    products = _products(vectors.astype(np.float64), longest)  # [n, l]
    # Grow every scene by a shot at its end: twice its products with the others, and its own.
    own = products[:, 0]
    grown = 2 * np.cumsum(products, axis=1) - own[:, None]  # [n, l]
    costs = np.full((count, longest), np.inf)
    within, scatter = np.zeros(count), np.zeros(count)  # of scenes that end with each shot
    for length in range(1, longest + 1):
        within[length - 1 :] = grown[length - 1 :, length - 1] + (
            within[length - 2 : -1] if length > 1 else 0.0
        )
        scatter[length - 1 :] = own[length - 1 :] + (
            scatter[length - 2 : -1] if length > 1 else 0.0
        )
        costs[length - 1 :, length - 1] = scatter[length - 1 :] - within[length - 1 :] / length
    return np.maximum(costs, 0.0)  # below zero only by rounding


def _products(vectors: Costs, longest: int) -> Costs:
    """Compute `[n, longest]` products of each shot with itself and with those before it."""
    padded = np.concatenate([np.zeros((longest - 1, vectors.shape[1])), vectors])
    products = np.empty((len(vectors), longest))
    lags = longest - 1 - np.arange(longest)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        near = block @ padded[start : start + len(block) + longest - 1].T
        row = np.arange(len(block))[:, None]
        products[start : start + len(block)] = near[row, row + lags]
    return products


def _marginals(
    energies: Costs, grains: Sequence[float], evidence: np.ndarray | None
) -> NDArray[np.float64]:
    """Compute marginals `[lanes, grains, n]` of energies `[n, lanes, l]`."""
    count, lanes = energies.shape[:2]
    marginals = np.zeros((lanes, len(grains), count))
    if count > 1:
        bonus = np.zeros((len(grains), count + 1))  # of a boundary before shot q
        if evidence is not None:
            bonus[:, 1:count] = evidence[1:].T
        boundaries = (count - 1) / np.asarray(grains, dtype=np.float64)
        penalties = _penalties(energies, bonus, boundaries)
        before = _forward(energies, bonus, penalties)[0]  # [lanes, g, n + 1]
        after = _forward(_reversed(energies), bonus[:, ::-1], penalties)[0][..., ::-1]
        # The bonus of a boundary is in both.
        logarithms = before + after - bonus - before[..., -1:]
        marginals[..., 1:] = np.exp(np.minimum(logarithms[..., 1:-1], 0.0))
    return marginals


def energies_of(costs: Costs, temperatures: Sequence[float]) -> Costs:
    """Return `-cost / temperature`, `[n, temperatures, l]`, the longest scene first."""
    scale = -1 / np.asarray(temperatures, dtype=np.float64)
    energies: Costs = costs[:, None, ::-1] * scale[:, None]
    return energies


def _reversed(energies: Costs) -> Costs:
    """Return the energies of the title whose shots are in the reversed order."""
    longest = energies.shape[2]
    turned = np.full_like(energies, -np.inf)
    for place in range(longest):
        length = longest - place
        turned[length - 1 :, :, place] = energies[length - 1 :, :, place][::-1]
    return turned


def _forward(energies: Costs, bonus: Costs, penalties: NDArray) -> tuple[Costs, NDArray]:
    """Sum the weights of all partitions of the first shots of a title.

    Args:
        energies: `[n, lanes, l]`, the longest scene first.
        bonus: `[g, n + 1]` of a boundary after so many shots, zero at both ends.
        penalties: `[lanes, g]` of each scene.

    Returns:
        Logarithms of the sums for the first 0 to n shots, `[lanes, g, n + 1]`, and the expected
        number of scenes of the whole title, `[lanes, g]`.
    """
    count, _, longest = energies.shape
    # Row `q + longest` is for the first q shots; rows of fewer than none are impossible.
    sums = np.full((*penalties.shape, longest + count + 1), -np.inf)
    scenes = np.zeros_like(sums)
    sums[..., longest] = 0.0
    for end in range(1, count + 1):
        window = slice(end, end + longest)  # the first `end - longest` to `end - 1` shots
        terms = sums[..., window] + energies[end - 1, :, None]  # [lanes, g, l]
        largest = terms.max(axis=-1, keepdims=True)
        np.subtract(terms, largest, out=terms)
        np.exp(terms, out=terms)
        total = terms.sum(axis=-1)
        mean = np.einsum("agl,agl->ag", terms, scenes[..., window]) / total
        sums[..., end + longest] = np.log(total) + largest[..., 0] + bonus[:, end] - penalties
        scenes[..., end + longest] = mean + 1
    return sums[..., longest:], scenes[..., -1]


def _penalties(energies: Costs, bonus: Costs, boundaries: NDArray) -> NDArray:
    """Find penalties `[lanes, g]` with which so many boundaries `[g]` are expected.

    The logarithm of the expected number falls with the penalty, nearly linearly: its zero is found
    by the Illinois variant of regula falsi, all lanes at once.
    """
    count, lanes, _ = energies.shape
    wanted = np.broadcast_to(np.log(boundaries), (lanes, len(boundaries)))

    def excess(penalties: NDArray) -> NDArray:
        expected = _forward(energies, bonus, penalties)[1] - 1
        return np.log(np.maximum(expected, 1e-300)) - wanted

    # To divide a scene never costs more. So a shot starts a scene with odds of at least
    # exp(bonus - penalty): this penalty leaves too many boundaries, or just enough.
    share = boundaries / (count - 1)
    low = np.broadcast_to(np.log(1 / share - 1), wanted.shape) + bonus[:, 1:-1].min(axis=1)
    above = excess(low)
    step = 2.0
    high = low + step
    below = excess(high)
    while (below > 0).any():
        step *= 2
        high = np.where(below > 0, high + step, high)
        below = excess(high)
    middle, found = low, above < _TOLERANCE
    for _ in range(_MOST_PASSES):
        if found.all():
            break
        slope = np.where(above > below, above - below, 1.0)
        # A lane that is found stays as it is: it does not depend on the others.
        middle = np.where(found, middle, low + above * (high - low) / slope)
        now = excess(middle)
        found |= np.abs(now) < _TOLERANCE
        positive = now > 0
        # The end that stays twice in a row counts half.
        below = np.where(positive, below / 2, now)
        above = np.where(positive, now, above / 2)
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return middle


def _check(
    vectors: np.ndarray,
    grains: Sequence[float],
    temperatures: Sequence[float],
    longest_scene: int,
) -> None:
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(
            f"The vectors have the shape {vectors.shape}: pass [n, d] of at least one shot."
        )
    faulty = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(faulty):
        raise ValueError(
            f"Shot {faulty[0]} has a vector that is not finite ({len(faulty)} such in all): "
            "compute its vector again."
        )
    if not grains or not all(1 < grain < longest_scene for grain in grains):
        raise ValueError(
            f"The grains are {tuple(grains)}: choose mean lengths above 1 and below the longest "
            f"scene, {longest_scene} shots."
        )
    if not len(temperatures) or not all(0 < each < np.inf for each in temperatures):
        raise ValueError(f"The temperatures are {tuple(temperatures)}: choose some above 0.")


def _check_evidence(evidence: np.ndarray, shape: tuple[int, int]) -> None:
    if evidence.shape != shape:
        raise ValueError(
            f"The evidence has the shape {evidence.shape}: pass one number per shot and grain, "
            f"{shape}."
        )
    if not np.isfinite(evidence).all():
        raise ValueError("The evidence has a value that is not finite: compute it again.")
