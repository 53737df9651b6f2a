"""Past against future: the loss equals a plain one, and what counts as a negative."""

import math

import pytest
import torch
from torch.nn import functional

from mediafm_core.model.training import past_future as module
from mediafm_core.model.training.past_future import SKIPPED, pairs_of, past_future

TEMPERATURE = 0.1


def unit(*size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*size, generator=generator), dim=-1)


def plain(
    past: torch.Tensor, future: torch.Tensor, lengths: list[int], shots: torch.Tensor
) -> tuple[float, int]:
    """Compute loss and number of correct pairs, one pair at a time."""
    pairs = [(i, t) for i, length in enumerate(lengths) for t in range(SKIPPED, length)]
    loss, correct = 0.0, 0
    for pair in pairs:
        others = [each for each in pairs if each == pair or int(shots[each]) != int(shots[pair])]
        scores = {each: float(past[pair] @ future[each]) / TEMPERATURE for each in others}
        loss += math.log(sum(map(math.exp, scores.values()))) - scores[pair]
        correct += scores[pair] == max(scores.values())
    return loss, correct


def test_the_loss_equals_a_plain_one() -> None:
    lengths = [9, 5, 2]
    past, future = unit(3, 9, 8), unit(3, 9, 8, seed=1)
    present = torch.arange(9) < torch.tensor(lengths)[:, None]
    # The second crop overlaps the first by shots 4 to 8, the third is of another title.
    shots = torch.tensor([[0], [4], [100]]) + torch.arange(9)
    found = past_future(past, future, present, shots, TEMPERATURE)
    loss, correct = plain(past, future, lengths, shots)
    assert float(found.loss) == pytest.approx(loss, rel=1e-5)
    assert int(found.correct) == correct
    assert pairs_of(torch.tensor(lengths)).tolist() == [6, 2, 0]


def test_nothing_padded_is_the_same_as_everything_present() -> None:
    past, future = unit(2, 7, 8), unit(2, 7, 8, seed=1)
    shots = torch.arange(14).view(2, 7)
    given = past_future(past, future, torch.ones(2, 7, dtype=torch.bool), shots, TEMPERATURE)
    assert torch.equal(past_future(past, future, None, shots, TEMPERATURE).loss, given.loss)


def test_titles_without_a_past_have_no_loss() -> None:
    past = unit(2, 3, 8).requires_grad_()
    found = past_future(past, unit(2, 3, 8), None, torch.arange(6).view(2, 3), TEMPERATURE)
    found.loss.backward()
    assert float(found.loss.detach()) == float(found.correct) == 0
    assert past.grad is not None
    assert not past.grad.any()


def test_of_many_pairs_some_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    past, future, shots = unit(4, 30, 8), unit(4, 30, 8, seed=1), torch.arange(120).view(4, 30)
    everything = past_future(past, future, None, shots, TEMPERATURE)
    monkeypatch.setattr(module, "MOST_PAIRS", 60)
    some = past_future(past, future, None, shots, TEMPERATURE)
    pairs = 4 * (30 - SKIPPED)
    # With half as many negatives the loss of random vectors falls by about log 2.
    fall = float(everything.loss - some.loss) / pairs
    assert fall == pytest.approx(math.log(2), abs=0.3)
