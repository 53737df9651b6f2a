"""What a shot is told of its neighbours' content."""

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
def test_it_is_a_map_of_the_means_on_both_sides(reach: int) -> None:
    told, title = make(reach), shots(12)
    shot = 6
    before = title[0, shot - reach : shot].mean(dim=0)
    after = title[0, shot + 1 : shot + 1 + reach].mean(dim=0)
    expected = told.projection(torch.cat([before, after]))
    torch.testing.assert_close(told(title)[0, shot], expected)


@torch.inference_mode()
def test_the_shot_itself_padding_and_a_single_shot() -> None:
    told, title = make(), shots(9)
    other = title.clone()
    other[0, 4] += 1
    assert torch.equal(told(title)[0, 4], told(other)[0, 4])
    padded = torch.cat([title, torch.full((1, 5, 20), 3.0)], dim=1)
    present = torch.arange(14)[None] < 9
    torch.testing.assert_close(told(padded, present)[:, :9], told(title))
    assert torch.equal(told(shots(1))[0, 0], told.projection.bias)


def test_a_probe_reads_the_neighbours_off_contextual_vectors_without_training() -> None:
    """Of a network fresh from its random weights: with it the neighbours are there, without not."""
    title = torch.nn.functional.normalize(shots(400), dim=-1)
    wanted = title[0, :-2].roll(1, dims=0)[1:]  # the shot before

    def share_read(neighbour_means: int) -> float:
        shape = ModelSettings(
            hidden=64, layers=2, heads=4, feed_forward=64, neighbour_means=neighbour_means
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

    assert share_read(1) > 0.6
    assert share_read(0) < 0.3
