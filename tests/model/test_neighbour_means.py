"""Neighbour means: what is added to a shot, and what a probe reads of it."""

import pytest
import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM, NeighbourMeans


def shots(count: int, width: int = 20) -> torch.Tensor:
    return torch.randn(1, count, width, generator=torch.Generator().manual_seed(1))


def make(reach: int = 2) -> NeighbourMeans:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NeighbourMeans(20, 16, reach)


@torch.inference_mode()
@pytest.mark.parametrize("reach", [1, 2, 5])
def test_features_are_a_linear_map_of_the_means_on_both_sides(reach: int) -> None:
    means, title = make(reach), shots(12)
    shot = 6
    before = title[0, shot - reach : shot].mean(dim=0)
    after = title[0, shot + 1 : shot + 1 + reach].mean(dim=0)
    expected = means.projection(torch.cat([before, after]))
    torch.testing.assert_close(means(title)[0, shot], expected)


@torch.inference_mode()
def test_the_shot_itself_and_padding_have_no_effect() -> None:
    means, title = make(), shots(9)
    other = title.clone()
    other[0, 4] += 1
    assert torch.equal(means(title)[0, 4], means(other)[0, 4])
    padded = torch.cat([title, torch.full((1, 5, 20), 3.0)], dim=1)
    present = torch.arange(14)[None] < 9
    torch.testing.assert_close(means(padded, present)[:, :9], means(title))
    assert torch.equal(means(shots(1))[0, 0], means.projection.bias)


def test_a_probe_finds_neighbours_in_contextual_vectors_without_training() -> None:
    """With random weights, a linear probe finds the shot before only with neighbour means."""
    title = torch.nn.functional.normalize(shots(400), dim=-1)
    wanted = title[0, :-2].roll(1, dims=0)[1:]  # the shot before

    def explained_variance(neighbour_means: int) -> float:
        shape = ModelSettings(
            attention="bidirectional",
            hidden=64,
            layers=2,
            heads=4,
            feed_forward=64,
            neighbour_means=neighbour_means,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = MediaFM(MediaFMConfig.from_settings(shape, 20, 6)).eval()
        with torch.inference_mode():
            read, _ = network.contextual(title, torch.zeros(1, 6))
        read = torch.cat([read[0, 1:-2], torch.ones(len(wanted), 1)], dim=1).double()
        solution = torch.linalg.lstsq(read[:200], wanted[:200].double()).solution
        error = (read[200:] @ solution - wanted[200:]).square().mean()
        return float(1 - error / wanted[200:].var())

    assert explained_variance(1) > 0.6
    assert explained_variance(0) < 0.3
