"""The structure around each shot: what it says, and what it must not depend on."""

import pytest
import torch
from small_network import make_network
from torch.nn import functional

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM, NoveltyFeatures
from mediafm_core.model.training.novelty_statistics import fit_novelty

RANGES = [(0, 12), (12, 20)]
COSINES = [0, 1, 4, 7, 10, 11, 14, 17]  # `a . b` of both bands at all reaches


def titles(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, 20, generator=generator) for length in lengths]


@pytest.fixture
def structure() -> NoveltyFeatures:
    made = NoveltyFeatures(RANGES)
    fit_novelty(made, titles(60, 40))
    return made


def fitted_network() -> MediaFM:
    shape = ModelSettings(hidden=16, layers=2, heads=4, feed_forward=32)
    ranges = {"video": (0, 12), "audio": (12, 20)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = MediaFMConfig.from_settings(shape, 20, 6, FusedSpace(ranges=ranges))
        network = MediaFM(config).eval()
    assert network.structure is not None
    fit_novelty(network.structure, titles(60, 40))
    return network


def test_a_scene_starts_where_what_follows_is_unlike_what_came_before(structure) -> None:
    noise, places = titles(30)[0], titles(3)[0]
    title = 0.3 * noise + places.repeat_interleave(10, dim=0)
    alike = structure(title[None])[0][5:25, COSINES].mean(dim=1)
    assert set(alike.topk(2, largest=False).indices.tolist()) == {5, 15}  # shots 10 and 20


def test_features_have_mean_zero_and_deviation_one_over_the_titles(structure) -> None:
    values = torch.cat([structure(title[None])[0] for title in titles(60, 40)])
    torch.testing.assert_close(values.mean(dim=0), torch.zeros(structure.size), atol=1e-4, rtol=0)
    deviations = values.std(dim=0, correction=0)
    torch.testing.assert_close(deviations, torch.ones(structure.size), atol=1e-4, rtol=0)


def test_padding_and_neighbours_in_a_batch_change_nothing(structure) -> None:
    long, short = titles(30, 11)
    present = torch.arange(30) < torch.tensor([30, 11])[:, None]
    batch = torch.stack([long, torch.cat([short, torch.full((19, 20), 7.0)])])
    together = structure(batch, present)
    torch.testing.assert_close(together[0], structure(long[None])[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1, :11], structure(short[None])[0], atol=1e-5, rtol=0)


def test_the_length_of_vectors_and_half_precision_matter_little(structure) -> None:
    title = titles(25)[0]
    expected = structure(title[None])
    torch.testing.assert_close(structure(5 * title[None]), expected, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(structure(title[None]), expected)


def test_few_alike_and_absent_shots_are_no_trouble() -> None:
    alike = torch.ones(5, 20).contiguous()
    alike[:, 12:] = 0  # no shot has the second modality
    for fitted_on in ([alike], titles(60), [alike[:1]]):
        made = NoveltyFeatures(RANGES)
        fit_novelty(made, fitted_on)
        for title in (alike, alike[:1], *titles(3)):
            assert made(title[None]).isfinite().all()


def test_a_far_shot_says_nothing_and_a_near_one_does(structure) -> None:
    title = titles(60)[0]
    changed = title.clone()
    changed[40] = titles(1)[0]
    difference = (structure(title[None]) - structure(changed[None]))[0].abs().amax(dim=1)
    assert (difference[:32] < 1e-4).all()
    assert (difference[34:48] > 1e-2).all()
    assert (difference[49:] < 1e-4).all()


def test_a_hidden_shot_does_not_leak_through_the_structure() -> None:
    network, title = fitted_network(), titles(20)[0][None]
    hidden = torch.zeros(1, 20, dtype=torch.bool)
    hidden[0, 7] = True
    other = title.clone()
    other[0, 7] = functional.normalize(titles(8)[0][7], dim=-1)
    with torch.inference_mode():
        one, two = (network(each, torch.zeros(1, 6), masked=hidden) for each in (title, other))
    torch.testing.assert_close(one.shots, two.shots, atol=1e-6, rtol=0)
    torch.testing.assert_close(one.reconstruction[0, 7], two.reconstruction[0, 7])


def test_a_network_without_it_has_no_weights_for_it() -> None:
    assert not [name for name in make_network().state_dict() if "structure" in name]
