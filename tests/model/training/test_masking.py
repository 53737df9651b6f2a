"""Masks: their number, places and randomness."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.model.training.masking import Masks, sample_masks


def masks_of(lengths: list[int], seed: int = 0, modalities: int = 3, **settings: float) -> Masks:
    return sample_masks(
        torch.tensor(lengths),
        None,
        ObjectiveSettings.model_validate(settings),
        modalities,
        torch.Generator().manual_seed(seed),
    )


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    share=st.floats(0.01, 0.99),
    span=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_masks_have_the_mask_ratio_of_real_shots(
    lengths: list[int], share: float, span: int, seed: int
) -> None:
    masks = masks_of(lengths, seed, mask_ratio=share, span_shots=span)
    hidden = masks.masked.all(dim=-1)  # whole shots
    counts = torch.tensor(lengths)

    assert torch.equal(hidden, masks.masked.any(dim=-1))
    assert hidden.shape == (len(lengths), max(lengths))
    assert torch.equal(hidden.sum(dim=1), (counts * share).round().clamp(min=1).long())
    assert not (hidden & (torch.arange(max(lengths)) >= counts[:, None])).any()
    # `rows` lists the masked shots.
    for row, weights, places in zip(masks.rows, masks.row_weights, hidden, strict=True):
        assert row[weights == 1].sort().values.tolist() == places.nonzero()[:, 0].tolist()
        assert not row[weights == 0].any()


def test_masks_depend_on_their_generator_only() -> None:
    before = torch.get_rng_state()
    changes = {"single_modality_ratio": 0.5, "modality_dropout": 0.5, "span_shots": 2}
    first, again, other = (masks_of([40, 30], seed, **changes) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.masked, other.masked)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("span", [1, 3])
def test_every_shot_is_masked_about_equally_often(span: int) -> None:
    masked = masks_of([30] * 4000, span_shots=span).masked[..., 0]
    # Shots at the ends are in fewer runs that start inside, but in no fewer runs.
    assert masked.float().mean(dim=0) == pytest.approx(torch.full((30,), 0.2), abs=0.03)


def test_spans_mask_neighbours_together() -> None:
    def share_with_masked_neighbour(span: int) -> float:
        masked = masks_of([60] * 200, span_shots=span).masked[..., 0]
        following = masked[:, 1:] & masked[:, :-1]
        return float(following.sum() / masked.sum())

    assert share_with_masked_neighbour(1) == pytest.approx(0.2, abs=0.05)
    assert share_with_masked_neighbour(4) > 0.7


def test_single_modalities_are_masked_where_a_shot_has_them() -> None:
    lengths = torch.tensor([50] * 40)
    has = torch.rand(40, 50, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    has[..., 0] = True
    settings = ObjectiveSettings(single_modality_ratio=1.0)
    masked = sample_masks(lengths, has, settings, 3, torch.Generator().manual_seed(1)).masked
    shots = masked.any(dim=-1)

    assert shots.sum(dim=1).tolist() == [10] * 40
    assert masked.sum(dim=-1)[shots].unique().tolist() == [1]
    assert not (masked & ~has).any()
    assert masked[shots].float().mean(dim=0).min() > 0.1  # each of them gets its turn


def test_a_fraction_of_sequences_loses_one_modality() -> None:
    dropped = masks_of([5] * 2000, modality_dropout=0.3).dropped
    assert dropped.sum(dim=1).unique().tolist() == [0, 1]
    assert dropped.any(dim=1).float().mean() == pytest.approx(0.3, abs=0.04)
    assert dropped.float().mean(dim=0) == pytest.approx(torch.full((3,), 0.1), abs=0.03)


def test_the_only_modality_is_never_dropped() -> None:
    masks = masks_of([9, 9], modalities=1, single_modality_ratio=1.0, modality_dropout=0.9)
    assert masks.masked.shape == (2, 9, 1)
    assert masks.masked.sum(dim=1).flatten().tolist() == [2, 2]
    assert not masks.dropped.any()
