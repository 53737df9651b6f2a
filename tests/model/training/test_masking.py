"""Masks: their number, places and randomness."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.model.training.masking import Masks, masks_of_step, sample_masks


def masks_of(lengths: list[int], seed: int = 0, mask_ratio: float = 0.2) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return sample_masks(torch.tensor(lengths), mask_ratio, generator)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_masks_have_the_mask_ratio_of_real_shots(
    lengths: list[int], share: float, seed: int
) -> None:
    masks = masks_of(lengths, seed, share)
    counts = torch.tensor(lengths)

    assert masks.masked.shape == (len(lengths), max(lengths))
    assert torch.equal(masks.masked.sum(dim=1), (counts * share).round().clamp(min=1).long())
    assert not (masks.masked & (torch.arange(max(lengths)) >= counts[:, None])).any()
    # `rows` lists the masked shots.
    for row, weights, places in zip(*masks[1:], masks.masked, strict=True):
        assert row[weights == 1].tolist() == places.nonzero()[:, 0].tolist()
        assert not row[weights == 0].any()


def test_masks_depend_on_their_generator_only() -> None:
    before = torch.get_rng_state()
    first, again, other = (masks_of([40, 30], seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.masked, other.masked)
    assert torch.equal(torch.get_rng_state(), before)


def test_masks_of_a_step_depend_on_step_and_seed() -> None:
    lengths = torch.tensor([40, 30])
    first, again, *others = (
        masks_of_step(step, lengths, 0.2, seed) for step, seed in ((3, 0), (3, 0), (4, 0), (3, 1))
    )
    assert torch.equal(first.masked, again.masked)
    assert not any(torch.equal(first.masked, other.masked) for other in others)


def test_every_shot_is_masked_about_equally_often() -> None:
    masked = masks_of([30] * 4000).masked
    assert masked.float().mean(dim=0) == pytest.approx(torch.full((30,), 0.2), abs=0.03)
