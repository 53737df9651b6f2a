"""Reading in two directions: what each direction sees, and the blocks of contextual vectors."""

import numpy as np
import pytest
import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.configuration import MediaFMConfig, novelty_size
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.input_statistics import fit_components, fit_statistics
from mediafm_core.model.two_directions import LeadingComponents, reversed_order, take
from mediafm_core.vectors import unit_length

RANGES = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
HIDDEN = 16
TOLERANCE = {"atol": 1e-5, "rtol": 0}


def made(shots: int, seed: int = 0) -> torch.Tensor:
    """Make a title in which every third shot has no text."""
    fused = np.random.default_rng(seed).standard_normal((shots, 24))
    fused[::3, 20:] = 0
    return torch.from_numpy(unit_length(fused).astype(np.float32))


def make_network(**settings: object) -> MediaFM:
    shape = ModelSettings(
        hidden=HIDDEN,
        layers=2,
        heads=4,
        feed_forward=32,
        **settings,
    )
    config = MediaFMConfig.from_settings(
        shape, 24, 6, FusedSpace(ranges=RANGES), boundary_head=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MediaFM(config)
        for parameter in network.parameters():  # large weights, so that every fault shows
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    fit_statistics(network, [made(60, seed) for seed in (1, 2)])
    return network.eval()


GLOBAL = torch.from_numpy(np.random.default_rng(5).standard_normal((1, 6)).astype(np.float32))


@torch.inference_mode()
def test_past_and_future_do_not_see_each_other() -> None:
    network = make_network()
    title, other, place = made(20), made(20, 9), 8
    whole = network.directions(title[None], GLOBAL)
    found = network.directions(torch.cat([title[:place], other[place:]])[None], GLOBAL)
    torch.testing.assert_close(found.past[0, : place + 1], whole.past[0, : place + 1], **TOLERANCE)
    found = network.directions(torch.cat([other[:place], title[place:]])[None], GLOBAL)
    torch.testing.assert_close(found.future[0, place:], whole.future[0, place:], **TOLERANCE)
    changed = torch.cat([title[:place], other[place : place + 1], title[place + 1 :]])
    found = network.directions(changed[None], GLOBAL)
    assert (found.past[0, place + 1] - whole.past[0, place + 1]).abs().max() > 1e-3
    assert (found.future[0, place] - whole.future[0, place]).abs().max() > 1e-3
    assert (found.future[0, 0] - whole.future[0, 0]).abs().max() > 1e-4  # from far away as well


@torch.inference_mode()
def test_the_future_is_the_past_of_the_reversed_title() -> None:
    network, title = make_network(), made(15)
    forward = network.directions(title[None], GLOBAL)
    backward = network.directions(title.flip(0)[None], GLOBAL)
    torch.testing.assert_close(forward.past[0, 1:], backward.future[0, 1:].flip(0), **TOLERANCE)
    # The past of the first shot is that of the metadata alone.
    start = network.directions(made(3, 7)[None], GLOBAL).past[0, 0]
    torch.testing.assert_close(forward.past[0, 0], start, **TOLERANCE)
    unlike = network.directions(title[None], -GLOBAL).past
    assert (unlike - forward.past).abs().amax(dim=-1).min() > 1e-4  # every shot sees [GLOBAL]


@torch.inference_mode()
def test_padding_and_the_order_of_a_batch_change_nothing() -> None:
    network = make_network()
    titles = [made(length, length) for length in (11, 4, 1, 7)]
    fused = torch.nn.utils.rnn.pad_sequence(titles, batch_first=True, padding_value=9.0)
    present = torch.arange(11) < torch.tensor([len(title) for title in titles])[:, None]
    global_ = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    shots, title_vectors = network.contextual(fused, global_, present)
    logits = network.boundaries(fused, global_, present)
    for i, title in enumerate(titles):
        alone, whole = network.contextual(title[None], global_[i : i + 1])
        torch.testing.assert_close(shots[i, : len(title)], alone[0], **TOLERANCE)
        torch.testing.assert_close(title_vectors[i], whole[0], **TOLERANCE)
        torch.testing.assert_close(whole[0], alone[0].mean(dim=0), **TOLERANCE)
        expected = network.boundaries(title[None], global_[i : i + 1])[0]
        torch.testing.assert_close(logits[i, : len(title)], expected, **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("novelty", [True, False])
def test_no_block_of_a_contextual_vector_drowns_the_others(novelty: bool) -> None:
    network = make_network(novelty=novelty)
    shots, _ = network.contextual(made(40)[None], GLOBAL)
    extra = novelty_size(list(RANGES.values())) if novelty else 0
    widths = [HIDDEN, HIDDEN, 96, 7, *([extra] if novelty else [])]
    assert shots.shape[2] == network.config.context_size == sum(widths)
    blocks = shots[0].split(widths, dim=-1)
    lengths = torch.stack([block.norm(dim=-1).mean() for block in blocks])
    assert lengths.min() > 0.05  # of random weights, whose cosines are near zero
    assert lengths.max() < 3
    # The first cosine is the sum of the products.
    agreement = blocks[2].sum(dim=-1) / 96**0.5
    torch.testing.assert_close(blocks[3][:, 0] * 7**0.5, agreement, **TOLERANCE)


@torch.inference_mode()
def test_cosines_compare_past_and_future_at_distances() -> None:
    network, title = make_network(), made(9)
    parts = network.two_directions
    assert parts is not None
    past, future = (each[0] for each in parts.agreement(network.directions(title[None], GLOBAL)))
    shots, _ = network.contextual(title[None], GLOBAL)
    found = shots[0, :, 2 * HIDDEN + 96 :][:, :7] * 7**0.5
    pairs = [(0, 0), (0, 1), (-1, 0), (0, 2), (-2, 0), (0, 4), (-4, 0)]
    for shot in range(9):
        expected = [
            past[max(0, shot + before)] @ future[min(8, shot + after)] for before, after in pairs
        ]
        torch.testing.assert_close(found[shot], torch.stack(expected), **TOLERANCE)


def test_the_input_has_the_size_of_one_for_every_modality() -> None:
    ranges = list(RANGES.values())
    components, titles = LeadingComponents(ranges, 6), [made(80, 1), made(50, 2)]
    fit_components(components, titles)
    found = components(torch.cat(titles)[None])[0]
    assert components.widths == [7, 7, 5]
    for i, (start, stop) in enumerate([(0, 7), (7, 14), (14, 19)]):
        there = torch.cat(titles)[:, slice(*ranges[i])].any(dim=-1)
        squares = found[there, start : stop - 1].square().sum(dim=-1)
        assert float(squares.mean()) == pytest.approx(1 / 3, abs=1e-4)
        assert not found[~there, start:stop].any()
        assert (found[there, stop - 1] > 0).all()


def test_constant_shots_are_not_scaled_up() -> None:
    components = LeadingComponents([(0, 24)], 8)
    title = made(1).expand(30, -1) + 1e-7 * torch.randn(30, 24)
    fit_components(components, [title])
    assert components(title[None])[..., :8].abs().max() < 1e-3


def test_titles_are_reversed_within_their_own_length() -> None:
    values = torch.arange(5)[None, :, None].expand(2, -1, 1)
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    found = take(values, reversed_order(values, present))[..., 0]
    assert found.tolist() == [[4, 3, 2, 1, 0], [2, 1, 0, 3, 4]]


def test_only_one_direction_has_the_metadata_in_training() -> None:
    network = make_network()
    parts = network.two_directions
    assert parts is not None
    given = torch.ones(50, 6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        forward, backward = parts.train().metadata(given).chunk(2)
    assert torch.equal(forward + backward, given)
    assert 10 < int(forward[:, 0].sum()) < 40
    assert torch.equal(parts.eval().metadata(given), torch.cat([given, given]))


def test_masked_shots_and_unknown_kinds_are_refused() -> None:
    network = make_network()
    with pytest.raises(ValueError, match="no masked shots"):
        network(made(5)[None], GLOBAL, masked=torch.ones(1, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="attention is 'sideways'"):
        MediaFM(MediaFMConfig(attention="sideways"))
