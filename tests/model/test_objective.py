"""Masks, loss and baselines."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.model.objective import (
    baseline_predictions,
    masked_cosine_distance,
    sample_mask,
)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_masks_hide_the_asked_share_of_real_shots(
    lengths: list[int], share: float, seed: int
) -> None:
    counts = torch.tensor(lengths)
    masked = sample_mask(counts, share, torch.Generator().manual_seed(seed))

    assert masked.shape == (len(lengths), max(lengths))
    expected = (counts * share).round().clamp(min=1).long()
    assert torch.equal(masked.sum(dim=1), expected)
    assert not (masked & (torch.arange(max(lengths)) >= counts[:, None])).any()


def test_masks_follow_their_generator_and_nothing_else() -> None:
    def masks(seed: int) -> torch.Tensor:
        return sample_mask(torch.tensor([40, 30]), 0.2, torch.Generator().manual_seed(seed))

    before = torch.get_rng_state()
    assert torch.equal(masks(1), masks(1))
    assert not torch.equal(masks(1), masks(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_shot_is_hidden_equally_often() -> None:
    masked = sample_mask(torch.full((4000,), 10), 0.2, torch.Generator().manual_seed(0))
    assert masked.float().mean(dim=0) == pytest.approx(torch.full((10,), 0.2), abs=0.03)


def test_the_loss_reads_masked_shots_only_and_ignores_length() -> None:
    target = torch.nn.functional.normalize(
        torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    masked = torch.zeros(2, 5, dtype=torch.bool)
    masked[0, 1] = masked[0, 2] = masked[1, 4] = True
    prediction = torch.full_like(target, torch.nan)
    prediction[0, 1] = 7 * target[0, 1]  # distance 0
    prediction[0, 2] = -target[0, 2]  # distance 2
    prediction[1, 4] = 0.1 * target[1, 4]  # distance 0
    assert float(masked_cosine_distance(prediction, target, masked)) == pytest.approx(2 / 3)


def test_baselines() -> None:
    fused = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])[:, None]
    masked = torch.tensor([True, False, True, True, False, True])

    predicted = {
        name: prediction[masked, 0].tolist()
        for name, prediction in baseline_predictions(fused, masked).items()
    }

    assert predicted["title_mean"] == [8.5] * 4
    assert predicted["nearest_shot"] == [1, 1, 16, 16]
    assert predicted["interpolation"] == pytest.approx([1, 6, 11, 16])


def test_of_two_equally_near_shots_the_earlier_is_copied() -> None:
    predicted = baseline_predictions(torch.eye(3), torch.tensor([False, True, False]))
    assert predicted["nearest_shot"][1].tolist() == [1, 0, 0]
