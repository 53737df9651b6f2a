"""Pseudo-labels: scene starts are found where vectors change."""

import torch
from torch.nn import functional

from mediafm_core.model.training.pseudo_boundaries import WINDOWS, pseudo_boundaries


def scenes(*lengths: int, noise: float = 0.2, seed: int = 0) -> torch.Tensor:
    """Make shots `[n, d]` around one direction per scene."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(len(lengths), 64, generator=generator)
    shots = centres.repeat_interleave(torch.tensor(lengths), dim=0)
    return functional.normalize(
        shots + noise * torch.randn(shots.shape, generator=generator), dim=-1
    )


def split_by_hand(fused: torch.Tensor, window: int) -> torch.Tensor:
    """Compute the targets by their definition, one window and one split at a time."""
    count = len(fused)
    splits, chances = torch.zeros(count), torch.zeros(count)
    for start in range(count - window + 1):
        part = fused[start : start + window].double()
        to_first, to_last = part @ part[0], part @ part[-1]
        scores = [
            float((to_first - to_last)[:at].sum() - (to_first - to_last)[at:].sum())
            for at in range(1, window)
        ]
        splits[start + 1 + max(range(window - 1), key=scores.__getitem__)] += 1
        chances[start + 1 : start + window] += 1
    return splits / chances.clamp(min=1)


def test_a_shot_is_scored_by_the_windows_that_split_at_it() -> None:
    fused = scenes(7, 9, 4, noise=0.8)
    target, known = pseudo_boundaries(fused[None], torch.tensor([20]), (12,))
    torch.testing.assert_close(target[0], split_by_hand(fused, 12))
    assert known[0].tolist() == [False] + [True] * 19


def test_scene_starts_are_found() -> None:
    fused = scenes(10, 13, 9, 12)
    target, _ = pseudo_boundaries(fused[None], torch.tensor([44]))
    assert target[0].topk(3).indices.sort().values.tolist() == [10, 23, 32]
    assert target.min() >= 0
    assert target.max() <= 1


def test_padding_has_no_effect_and_short_titles_have_no_target() -> None:
    long, short = scenes(10, 14), scenes(6, 5, seed=1)
    alone, _ = pseudo_boundaries(long[None], torch.tensor([24]))
    batch = torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True, padding_value=3.0)
    target, known = pseudo_boundaries(batch, torch.tensor([11, 24]))
    torch.testing.assert_close(target[1], alone[0])
    assert len(short) < min(WINDOWS)
    assert not known[0].any()
    assert not target[0].any()


def test_targets_are_the_same_in_mixed_precision() -> None:
    fused, lengths = scenes(10, 14)[None], torch.tensor([24])
    expected, _ = pseudo_boundaries(fused, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        target, _ = pseudo_boundaries(fused, lengths)
    assert torch.equal(target, expected)
