"""Batches of training steps: similar lengths, drawn from seed and step alone."""

import numpy as np
import pytest
import torch

from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training.batches import BatchReader, Plan

SETTINGS = TrainingSettings(titles_per_batch=4, crop_shots=10)


def reader(data, settings=SETTINGS, rank: int = 0, processes: int = 1):
    plan = Plan(data.shots, range(len(data)), settings, max_shots=40)
    return BatchReader(data, plan, 0.2, settings, rank, processes)


@pytest.mark.parametrize("parts", [1, 4])
def test_padding_is_less_than_one_place_in_twenty(parts: int) -> None:
    shots = np.random.default_rng(0).integers(20, 600, size=500)
    settings = TrainingSettings(titles_per_batch=16, crop_shots=512)
    plan = Plan(shots, range(500), settings, max_shots=512)
    lengths = np.stack([plan.step(step).lengths for step in range(1, 201)])  # [steps, b]
    longest = lengths.reshape(200 * parts, -1).max(axis=1)
    assert lengths.sum() > 0.95 * longest.sum() * 16 // parts
    # The number of crops is complete, and all lengths occur.
    assert lengths.min() < 60
    assert (lengths == 512).any()


def test_titles_come_in_proportion_to_their_shots() -> None:
    shots = np.array([10, 30, 60])
    plan = Plan(shots, [0, 2], SETTINGS, max_shots=40)
    drawn = np.concatenate([plan.step(step).titles for step in range(1, 501)])
    assert set(drawn) == {0, 2}
    assert np.mean(drawn == 2) == pytest.approx(60 / 70, abs=0.03)


def test_crops_and_positions_stay_within_title_and_network() -> None:
    shots = np.array([1, 9, 10, 11, 300])
    plan = Plan(shots, range(5), SETTINGS, max_shots=12)
    steps = [plan.step(step) for step in range(1, 201)]
    for step in steps:
        np.testing.assert_array_equal(step.lengths, np.minimum(shots[step.titles], 10))
        assert (step.starts >= 0).all()
        assert (step.starts + step.lengths <= shots[step.titles]).all()
        assert (step.first_positions + step.lengths.max() <= 12).all()
    assert {int(start) for step in steps for start in step.starts[step.titles == 4]} >= {0, 290}


def test_a_step_depends_on_seed_and_step_alone(make_catalogue) -> None:
    data = make_catalogue(30, 9, 17)
    in_order = [reader(data).read(step) for step in range(1, 41)]
    alone = reader(data).read(40)
    assert_same(alone.batches[0], in_order[-1].batches[0])
    other = reader(data, SETTINGS.model_copy(update={"seed": 1})).read(40)
    assert not torch.equal(other.batches[0].rows, alone.batches[0].rows)
    assert [step for step, _ in reader(data).prefetch(38, 40)] == [38, 39, 40]
    for (_, prefetched), expected in zip(reader(data).prefetch(38, 40), in_order[37:], strict=True):
        assert_same(prefetched.batches[0], expected.batches[0])


def test_processes_and_accumulated_batches_share_one_step(make_catalogue) -> None:
    data = make_catalogue(30, 9, 17, 4)
    whole = reader(data).read(3)
    halves = SETTINGS.model_copy(update={"accumulation": 2})
    parts = [
        batch
        for rank in range(2)
        for batch in reader(data, halves, rank, processes=2).read(3).batches
    ]
    assert len(parts) == 4
    for place, part in enumerate(parts):
        shots, rows = part.fused.shape[1], part.rows.shape[1]
        assert part.present is None  # of one sequence each: nothing is padded
        expected = whole.batches[0]
        assert torch.equal(part.fused[0], expected.fused[place, :shots])
        assert torch.equal(part.masked[0], expected.masked[place, :shots])
        assert torch.equal(part.rows[0], expected.rows[place, :rows])
        assert torch.equal(part.first_position[0], expected.first_position[place])
        assert torch.equal(part.global_[0], expected.global_[place])
    assert reader(data, halves, 1, 2).read(3).counts == whole.counts
    assert whole.counts.masked == sum(int(part.row_weights.sum()) for part in parts)
    assert whole.counts.shots == sum(part.fused.shape[1] for part in parts)


def test_padding_is_marked_and_zero(make_catalogue) -> None:
    read = reader(make_catalogue(3, 5, 9)).read
    batches = (read(step).batches[0] for step in range(1, 33))
    batch = next(batch for batch in batches if batch.present is not None)
    padding = ~batch.present
    assert padding.any()
    assert not batch.fused[padding].any()
    assert not batch.masked[padding].any()
    assert batch.fused[batch.present].norm(dim=-1).allclose(torch.ones(1))


def test_steps_that_cannot_be_divided_evenly_are_refused(make_catalogue) -> None:
    with pytest.raises(ConfigurationError, match="titles_per_batch is 4, which 3 processes"):
        reader(make_catalogue(9), processes=3)


def assert_same(one, other) -> None:
    for left, right in zip(one, other, strict=True):
        assert (left is None and right is None) or torch.equal(left, right)
