"""Scenes of titles: what decides them, whole titles and prefixes, and unusable input."""

import numpy as np
import pytest
import torch
from small_network import make_network

from mediafm_core.errors import TitleError
from mediafm_core.inference.scenes import (
    LOOK_BACK,
    prefix_probabilities,
    temperatures_of,
    title_scenes,
)
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.input_statistics import fit_statistics
from mediafm_core.scenes.partitions import GRAINS, boundary_marginals
from mediafm_core.vectors import unit_length

SCENE = 8


def title(scenes: int, seed: int = 0, scene: int = SCENE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = np.repeat(rng.standard_normal((scenes, 20)), scene, axis=0)
    return unit_length(places + 0.5 * rng.standard_normal(places.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> MediaFM:
    made = make_network().eval()
    fit_statistics(made, [torch.from_numpy(title(15, seed)) for seed in range(6)])
    return made


def test_scene_starts_are_found(network) -> None:
    found = title_scenes(network, title(9, seed=20), grain=SCENE + 1)
    assert found.probabilities.shape == (72, len(GRAINS))
    assert found.probabilities.dtype == np.float32
    assert found.grains == GRAINS
    assert found.starts.tolist() == list(range(0, 72, SCENE))
    assert set(np.argsort(found.probability)[-8:]) == set(range(SCENE, 72, SCENE))


def test_as_many_starts_are_expected_as_the_grain_says(network) -> None:
    found = title_scenes(network, title(9, seed=21))
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 71 / np.array(GRAINS), rtol=1e-3)


def test_similarity_and_content_are_combined_over_all_partitions(network) -> None:
    fused = title(9, seed=22)
    slow, shots = network.slow_features, torch.from_numpy(fused)
    with torch.inference_mode():
        vectors = slow(shots).numpy()
        evidence = network.content_head(shots).numpy()
    assert evidence.any()
    temperatures = temperatures_of(slow)
    both = title_scenes(network, fused).probabilities
    alone = title_scenes(network, fused, heads=False).probabilities
    for found, heads in ((both, evidence), (alone, None)):
        expected = boundary_marginals(vectors, GRAINS, temperatures, evidence=heads)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(both - alone).max() > 1e-3


@pytest.fixture(scope="module")
def reading() -> MediaFM:
    """Make a network whose boundary head reads in two directions."""
    made = make_network(attention="two_directions", boundary_head=True).eval()
    fit_statistics(made, [torch.from_numpy(title(15, seed)) for seed in range(6)])
    return made


def test_the_boundary_head_is_evidence_as_well(reading) -> None:
    fused, metadata = title(6, seed=25), np.ones(5, np.float32)
    shots = torch.from_numpy(fused)
    for each in (metadata, None):
        read = torch.from_numpy(np.zeros(5, np.float32) if each is None else each)
        with torch.inference_mode():
            logits = reading.boundaries(shots[None], read[None])[0]
            evidence = (reading.content_head(shots) + 0.5 * logits).numpy()
            vectors = reading.slow_features(shots).numpy()
        temperatures = temperatures_of(reading.slow_features)
        expected = boundary_marginals(vectors, GRAINS, temperatures, evidence=evidence)
        found = title_scenes(reading, fused, each).probabilities
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - title_scenes(reading, fused, heads=False).probabilities).max() > 1e-3


def test_long_titles_are_read_in_windows(reading) -> None:
    fused = title(40, seed=26)
    assert len(fused) > 2 * reading.config.max_shots
    found = title_scenes(reading, fused).probabilities
    np.testing.assert_allclose(found.sum(axis=0), 319 / np.array(GRAINS), rtol=1e-3)


def test_temperatures_fall_with_what_similarity_says(network) -> None:
    slow = network.slow_features
    information = float((slow.slowness**2).sum())
    assert temperatures_of(slow) == pytest.approx([1.5 / information, 4.5 / information])
    unfitted = make_network()
    assert temperatures_of(unfitted.slow_features) == pytest.approx([3.0, 9.0])
    assert title_scenes(unfitted, title(2)).probabilities[1:].min() > 0


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_short_titles_have_scenes(network, shots: int) -> None:
    found = title_scenes(network, title(1)[:shots])
    assert found.starts[0] == 0
    assert np.isfinite(found.probabilities).all()
    assert not found.probabilities[0].any()


def test_equal_shots_are_one_kind_of_shot(network) -> None:
    found = title_scenes(network, np.repeat(title(1)[:1], 40, axis=0))
    np.testing.assert_allclose(found.probabilities[1:, 0], 1 / GRAINS[0], rtol=1e-2)


@pytest.mark.parametrize("kind", ["network", "reading"])
def test_a_prefix_reads_no_later_shots(kind: str, request: pytest.FixtureRequest) -> None:
    network, fused = request.getfixturevalue(kind), title(5, seed=23)
    whole = prefix_probabilities(network, fused)
    np.testing.assert_allclose(prefix_probabilities(network, fused[:21]), whole[:21], atol=1e-6)
    for shot in (1, 20, 39):
        alone = title_scenes(network, fused[: shot + 1]).probabilities[-1]
        np.testing.assert_allclose(whole[shot], alone, atol=1e-6)
    if kind == "network":  # the weights of the other are drawn
        starts = np.arange(40) % SCENE == 0
        mean = whole.mean(axis=1)
        assert mean[starts][1:].min() > np.median(mean[~starts])


def test_a_prefix_with_the_whole_title_ahead_is_the_whole_title(network) -> None:
    fused = title(4, seed=24)
    assert len(fused) < LOOK_BACK
    found = prefix_probabilities(network, fused, look_ahead=len(fused))
    np.testing.assert_allclose(found, title_scenes(network, fused).probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("fused", "words"),
    [
        (np.zeros((0, 20), np.float32), "film has no shots"),
        (np.ones((3, 7), np.float32), r"film has fused vectors of shape \(3, 7\)"),
        (np.full((3, 20), np.nan, np.float32), "film .* not finite at shot 0"),
        (np.zeros((3, 20), np.float32), "film .* zero at shot 0"),
    ],
)
def test_unusable_vectors_are_refused(network, fused: np.ndarray, words: str) -> None:
    with pytest.raises(TitleError, match=words):
        title_scenes(network, fused, title_id="film")
    with pytest.raises(TitleError, match=words):
        prefix_probabilities(network, fused, title_id="film")
