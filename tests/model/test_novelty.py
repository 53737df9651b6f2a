"""Novelty features: what they measure, and invariances."""

import pytest
import torch
from small_network import make_network

from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.training.novelty_statistics import fit_novelty

RANGES = [(0, 12), (12, 20)]
COSINES = [0, 1, 4, 7, 10, 11, 14, 17]  # `a . b` of both bands at all reaches


def titles(*lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, 20, generator=generator) for length in lengths]


@pytest.fixture
def novelty() -> NoveltyFeatures:
    made = NoveltyFeatures(RANGES)
    fit_novelty(made, titles(60, 40))
    return made


def test_similarity_is_least_at_scene_starts(novelty) -> None:
    noise, places = titles(30)[0], titles(3)[0]
    title = 0.3 * noise + places.repeat_interleave(10, dim=0)
    alike = novelty(title[None])[0][5:25, COSINES].mean(dim=1)
    assert set(alike.topk(2, largest=False).indices.tolist()) == {5, 15}  # shots 10 and 20


def test_features_have_mean_zero_and_deviation_one_over_the_titles(novelty) -> None:
    values = torch.cat([novelty(title[None])[0] for title in titles(60, 40)])
    torch.testing.assert_close(values.mean(dim=0), torch.zeros(novelty.size), atol=1e-4, rtol=0)
    deviations = values.std(dim=0, correction=0)
    torch.testing.assert_close(deviations, torch.ones(novelty.size), atol=1e-4, rtol=0)


def test_padding_and_the_batch_do_not_change_features(novelty) -> None:
    long, short = titles(30, 11)
    present = torch.arange(30) < torch.tensor([30, 11])[:, None]
    batch = torch.stack([long, torch.cat([short, torch.full((19, 20), 7.0)])])
    together = novelty(batch, present)
    torch.testing.assert_close(together[0], novelty(long[None])[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1, :11], novelty(short[None])[0], atol=1e-5, rtol=0)


def test_lengths_of_vectors_and_half_precision_change_features_little(novelty) -> None:
    title = titles(25)[0]
    expected = novelty(title[None])
    torch.testing.assert_close(novelty(5 * title[None]), expected, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(novelty(title[None]), expected)


def test_few_equal_and_missing_shots_give_finite_features() -> None:
    alike = torch.ones(5, 20).contiguous()
    alike[:, 12:] = 0  # no shot has the second modality
    for fitted_on in ([alike], titles(60), [alike[:1]]):
        made = NoveltyFeatures(RANGES)
        fit_novelty(made, fitted_on)
        for title in (alike, alike[:1], *titles(3)):
            assert made(title[None]).isfinite().all()


def test_features_depend_on_near_shots_only(novelty) -> None:
    title = titles(60)[0]
    changed = title.clone()
    changed[40] = titles(1)[0]
    difference = (novelty(title[None]) - novelty(changed[None]))[0].abs().amax(dim=1)
    assert (difference[:32] < 1e-4).all()
    assert (difference[34:48] > 1e-2).all()
    assert (difference[49:] < 1e-4).all()


def test_a_network_without_novelty_has_no_weights_for_it() -> None:
    assert not [name for name in make_network().state_dict() if "structure" in name]
