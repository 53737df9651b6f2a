"""Trainings of a few steps that stop at a chosen step."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.model.training.progress_events import Event, Observer, Phase, Progress
from mediafm_core.model.training.training import train

TINY = ModelSettings(hidden=32, layers=2, heads=2, feed_forward=64, dropout=0.1, max_shots=40)
BRIEF = TrainingSettings(
    steps=12, titles_per_batch=3, crop_shots=12, validate_every=3, checkpoint_every=2
)


class KilledError(Exception):
    """Raised in place of a signal, so that the test process survives."""


def besides_phases(events: list[Event]) -> Observer:
    """Return a callback that records all events but phases."""
    return lambda event: None if isinstance(event, Phase) else events.append(event)


def train_until(step: int, *arguments, **keywords) -> None:
    """Train and stop as soon as a step is reported."""

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.step == step:
            raise KilledError

    with pytest.raises(KilledError):
        train(*arguments, progress=stop, **keywords)


def assert_same_weights(one: Path, other: Path) -> None:
    left, right = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name
