"""Slow features: which directions they keep, invariances, and what a network stores of them."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mediafm_core.model.saved_model import load_model
from mediafm_core.model.slow_features import SlowFeatures, diffused
from mediafm_core.model.training.slow_feature_statistics import fit_slow_features


def titles(*lengths: int, seed: int = 0, scene: int = 8) -> list[torch.Tensor]:
    """Make titles `[n, 20]`: ten columns stay for a scene, ten change with every shot."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for length in lengths:
        places = torch.randn(length // scene + 1, 10, generator=generator)
        slow = places.repeat_interleave(scene, dim=0)[:length]
        made.append(torch.cat([slow, 2 * torch.randn(length, 10, generator=generator)], dim=1))
    return made


@pytest.fixture(scope="module")
def slow() -> SlowFeatures:
    made = SlowFeatures(20)
    fit_slow_features(made, titles(300, 200, 150))
    return made


def test_coordinates_are_white_and_the_slowest_come_first(slow) -> None:
    found = torch.cat([slow.coordinates(title) for title in titles(300, 200, 150)])
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(20), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.T @ found / len(found), torch.eye(20), atol=1e-3, rtol=0)
    assert (slow.slowness[:10] > 0.5).all()
    assert (slow.slowness[10:] < 0.2).all()


def test_shots_of_a_scene_are_closer_than_in_the_fused_space(slow) -> None:
    [unseen] = titles(160, seed=1)
    scene = torch.arange(160) // 8
    same = (scene[:, None] == scene) & ~torch.eye(160, dtype=torch.bool)
    vectors = slow(unseen)
    cosines = vectors @ vectors.T
    assert cosines[same].mean() > 0.6
    assert cosines[scene[:, None] != scene].mean().abs() < 0.1
    plain = functional.normalize(unseen, dim=-1) @ functional.normalize(unseen, dim=-1).T
    assert plain[same].mean() < 0.3


def test_similarity_is_the_mean_of_six_cosines(slow) -> None:
    [title] = titles(60, seed=4)
    unit, coordinates = functional.normalize(title, dim=-1), slow.coordinates(title)
    parts = [coordinates * slow.slowness.sqrt(), coordinates * slow.slowness, unit - slow.mean]
    parts = [functional.normalize(part, dim=-1) for part in parts]
    plain = torch.cat(parts, dim=-1) / 3**0.5
    vectors = slow(title)
    torch.testing.assert_close(
        vectors @ vectors.T,
        (sum(part @ part.T for part in parts) / 3 + diffused(plain) @ diffused(plain).T) / 2,
        atol=1e-5,
        rtol=0,
    )


def test_spread_is_the_mean_square_distance_of_fused_vectors(slow) -> None:
    sample = [functional.normalize(each, dim=-1) for each in titles(300, 200, 150)]
    found = (torch.cat(sample) - slow.mean) / slow.spread
    assert float(found.square().sum(dim=1).mean()) == pytest.approx(1, abs=1e-4)


def test_vectors_have_unit_length_and_do_not_depend_on_the_given_length(slow) -> None:
    [title] = titles(60, seed=2)
    vectors = slow(title)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(60))
    torch.testing.assert_close(slow(7 * title), vectors, atol=1e-5, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(slow(title), vectors)


def test_rounding_stays_small(slow) -> None:
    [title] = titles(1500, seed=3)
    exact = SlowFeatures(20).double()
    exact.load_state_dict({name: value.double() for name, value in slow.state_dict().items()})
    moved = title * (1 + 2.0**-23 * torch.sign(torch.randn(title.shape)))
    expected = exact(title.double())
    for vectors in (slow(title), slow(moved)):
        torch.testing.assert_close(vectors.double(), expected, atol=2e-5, rtol=0)


def test_diffusion_is_a_weighted_mean_of_near_shots() -> None:
    vectors = functional.normalize(torch.randn(700, 6), dim=-1)
    place = torch.arange(700)
    distance = (place[:, None] - place).abs()
    weights = torch.exp(4 * (vectors @ vectors.T - 1) - distance / 12) * (distance <= 96)
    weights = weights / weights.sum(dim=1, keepdim=True)
    expected = functional.normalize(weights @ (weights @ vectors), dim=-1)
    torch.testing.assert_close(diffused(vectors), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shots", [[1], [1, 1, 1], [2], [30], [5, 40]])
def test_few_and_equal_shots_give_finite_vectors(shots: list[int]) -> None:
    for sample in (titles(*shots), [torch.ones(count, 20) for count in shots]):
        made = SlowFeatures(20)
        fit_slow_features(made, sample)
        for title in (*titles(1, 2, 40), torch.ones(3, 20)):
            vectors = made(title)
            assert vectors.shape == (len(title), 2 * 3 * 20)
            assert vectors.isfinite().all()
            assert (vectors.norm(dim=-1) < 1 + 1e-5).all()


def test_a_small_sample_has_few_directions() -> None:
    made = SlowFeatures(20)
    fit_slow_features(made, titles(30, 18))
    assert int((made.slowness > 0).sum()) <= 48 // 12
    assert not made.axes[:, 4:].any()


def test_every_trained_network_stores_its_metric(trained) -> None:
    stored = load_model(trained.folder).network.slow_features
    assert stored.axes.any()
    assert np.isfinite(stored.axes.numpy()).all()
    assert torch.equal(stored.slowness, trained.network.slow_features.slowness)
