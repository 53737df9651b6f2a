"""Boundary marginals: equal to sums over all partitions, and as many as the grain asks for."""

from itertools import pairwise, product

import numpy as np
import pytest

from mediafm_core.scenes.partitions import GRAINS, boundary_marginals, likely_starts, scene_costs


def title(*lengths: int, noise: float = 0.3, seed: int = 0, width: int = 16) -> np.ndarray:
    """Make unit vectors `[n, d]` of shots around one direction per scene."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(len(lengths), width)) / width**0.5
    shots = np.repeat(centres, lengths, axis=0)
    shots = shots + noise * generator.normal(size=shots.shape) / width**0.5
    return shots / np.linalg.norm(shots, axis=1, keepdims=True)


def cost_by_hand(vectors: np.ndarray, start: int, stop: int) -> float:
    scene = vectors[start:stop]
    return float(((scene - scene.mean(axis=0)) ** 2).sum())


def partitions_of(count: int, longest: int) -> list[list[int]]:
    """List the ends of the scenes of every partition of `count` shots."""
    found = []
    for starts in product((False, True), repeat=count - 1):
        edges = [0, *(i + 1 for i, start in enumerate(starts) if start), count]
        if max(np.diff(edges)) <= longest:
            found.append(edges)
    return found


def by_hand(
    vectors: np.ndarray,
    temperature: float,
    longest: int,
    grain: float,
    evidence: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the marginals by enumeration; the penalty by plain bisection."""
    partitions = partitions_of(len(vectors), longest)
    costs = [sum(cost_by_hand(vectors, *pair) for pair in pairwise(p)) for p in partitions]
    energies = -np.array(costs) / temperature
    inner = np.zeros((len(partitions), len(vectors)))  # True where a scene starts, but the first
    for row, edges in zip(inner, partitions, strict=True):
        row[edges[1:-1]] = 1
    if evidence is not None:
        energies = energies + inner @ evidence
    low, high = -50.0, 500.0
    for _ in range(60):
        penalty = (low + high) / 2
        weighted = energies - penalty * inner.sum(axis=1)
        weights = np.exp(weighted - weighted.max())
        marginals = weights @ inner / weights.sum()
        if marginals.sum() > (len(vectors) - 1) / grain:
            low = penalty
        else:
            high = penalty
    return marginals


def test_costs_are_the_scatter_of_scenes() -> None:
    vectors = 3 * title(3, 4, 2, noise=1.0)
    costs = scene_costs(vectors, 5)
    assert costs.shape == (9, 5)
    for last, length in np.ndindex(9, 5):
        start = last - length
        if start < 0:
            assert np.isinf(costs[last, length])
        else:
            expected = cost_by_hand(vectors, start, last + 1)
            assert costs[last, length] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("longest", [5, 80])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_marginals_are_those_of_all_partitions(longest: int, temperature: float) -> None:
    vectors = title(3, 2, 3, noise=0.8)
    grains = (1.5, 2.0, 4.0)
    found = boundary_marginals(vectors, grains, [temperature], longest)
    for column, grain in enumerate(grains):
        expected = by_hand(vectors, temperature, longest, grain)
        np.testing.assert_allclose(found[:, column], expected, atol=1e-4)


def test_as_many_boundaries_are_expected_as_the_grain_says() -> None:
    for count in (2, 3, 30, 300):
        vectors = title(*[5] * (count // 5), count % 5, noise=0.7)
        found = boundary_marginals(vectors)
        assert found.shape == (count, len(GRAINS))
        assert found.dtype == np.float32
        assert not found[0].any()
        np.testing.assert_allclose(found.sum(axis=0), (count - 1) / np.array(GRAINS), rtol=1e-3)


def test_scene_starts_are_found() -> None:
    vectors = title(10, 13, 9, 12)
    found = boundary_marginals(vectors, grains=[14.0])[:, 0]
    assert np.sort(np.argsort(found)[-3:]).tolist() == [10, 23, 32]
    assert found[[10, 23, 32]].min() > 0.9


def test_a_reversed_title_has_the_reversed_boundaries() -> None:
    vectors = title(10, 4, 9, 12, noise=0.7)
    found = boundary_marginals(vectors, longest_scene=30)
    turned = boundary_marginals(vectors[::-1], longest_scene=30)
    np.testing.assert_allclose(turned[1:][::-1], found[1:], atol=1e-4)


def test_temperatures_are_averaged() -> None:
    vectors = title(6, 7, 8, noise=0.7)
    alone = [boundary_marginals(vectors, temperatures=[each]) for each in (0.1, 0.3)]
    both = boundary_marginals(vectors, temperatures=[0.1, 0.3])
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-6)


def test_a_title_of_one_shot_has_no_boundary() -> None:
    assert boundary_marginals(title(1)).tolist() == [[0.0] * len(GRAINS)]


def test_equal_shots_are_divided_evenly() -> None:
    found = boundary_marginals(np.tile(title(1), (50, 1)), grains=[5.0])[:, 0]
    np.testing.assert_allclose(found[1:], 0.2, rtol=1e-3)


def test_scenes_of_a_long_title_depend_on_the_shots_around_them_only() -> None:
    part = title(10, 14, 8, 15, 9, 12, noise=0.5)
    once = boundary_marginals(part, GRAINS[:4], longest_scene=20)
    many = boundary_marginals(np.concatenate([part] * 40), GRAINS[:4], longest_scene=20)
    copies = many.reshape(40, len(part), -1)
    np.testing.assert_allclose(copies[35, 15:-15], copies[4, 15:-15], atol=1e-4)
    assert np.abs(copies[20, 15:-15] - once[15:-15]).max() < 0.3


@pytest.mark.parametrize(
    ("vectors", "grains", "temperatures", "words"),
    [
        (np.zeros((0, 4)), GRAINS, [0.1], "at least one"),
        (np.zeros(4), GRAINS, [0.1], r"\[n, d\]"),
        (np.full((5, 2), np.nan), GRAINS, [0.1], "Shot 0 .* not finite .5 such"),
        (title(3), [1.0], [0.1], "above 1"),
        (title(3), [80.0], [0.1], "below the longest scene, 80"),
        (title(3), [], [0.1], "grains"),
        (title(3), GRAINS, [0.0], "temperatures .* above 0"),
    ],
)
def test_unusable_input_is_refused(
    vectors: np.ndarray, grains: list[float], temperatures: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        boundary_marginals(vectors, grains, temperatures)


def test_evidence_adds_to_the_odds_of_boundaries() -> None:
    vectors = title(3, 2, 3, noise=0.8)
    evidence = np.random.default_rng(1).normal(size=(8, 2))
    found = boundary_marginals(vectors, (2.0, 4.0), [0.2], evidence=evidence)
    for column, grain in enumerate((2.0, 4.0)):
        expected = by_hand(vectors, 0.2, 80, grain, evidence[:, column])
        np.testing.assert_allclose(found[:, column], expected, atol=1e-4)
    moved = boundary_marginals(vectors, (2.0, 4.0), [0.2], evidence=evidence + np.array([5, -7]))
    np.testing.assert_allclose(moved, found, atol=1e-4)
    turned = boundary_marginals(
        vectors[::-1], (2.0, 4.0), [0.2], evidence=np.roll(evidence[::-1], 1, axis=0)
    )
    np.testing.assert_allclose(turned[1:][::-1], found[1:], atol=1e-4)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (np.zeros((3, 1)), r"shape \(3, 1\): .* \(3, 2\)"),
        (np.full((3, 2), np.inf), "not finite"),
    ],
)
def test_unusable_evidence_is_refused(evidence: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        boundary_marginals(title(3), (2.0, 4.0), evidence=evidence)


def test_starts_are_the_most_probable_and_as_many_as_the_grain_says() -> None:
    probability = np.array([0.0, 0.1, 0.3, 0.2, 0.9, 0.4, 0.2, 0.1, 0.0, 0.5])
    assert likely_starts(probability, 3).tolist() == [0, 4, 5, 9]
    assert likely_starts(probability, 9).tolist() == [0, 4]
    assert likely_starts(probability[:4], 9).tolist() == [0]
    assert likely_starts(np.full(5, 0.2), 2).tolist() == [0, 1, 2]
    assert likely_starts(np.ones(1), 9).tolist() == [0]
