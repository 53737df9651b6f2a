"""Killed and interrupted trainings, and resuming them."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from stopped_training import BRIEF, TINY, assert_same_weights, besides_phases, train_until

from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training.progress_events import Event, Progress
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TitleSource, TrainingData


@pytest.mark.parametrize(
    ("step", "optimiser", "attention"),
    [
        (5, "muon", "two_directions"),
        (10, "adamw", "two_directions"),
        (5, "adamw", "bidirectional"),
    ],
)
def test_a_resumed_training_gives_the_weights_of_an_unbroken_one(
    make_catalogue, tmp_path, step: int, optimiser: str, attention: str
) -> None:
    data = make_catalogue(30, *range(5, 16))  # enough titles to hold some out
    settings = BRIEF.model_copy(update={"optimiser": optimiser})
    model = TINY.model_copy(update={"attention": attention})
    unbroken = train(data, model, settings, tmp_path / "unbroken")
    checkpoints = tmp_path / "checkpoints"
    train_until(step, data, model, settings, tmp_path / "models", checkpoints=checkpoints)
    assert not (tmp_path / "models").exists()
    assert len(list(checkpoints.glob("*/step-*"))) == 1
    torch.manual_seed(step)  # global random state has no effect
    events: list[Event] = []
    resumed = train(
        data, model, settings, tmp_path / "models", besides_phases(events), checkpoints=checkpoints
    )

    assert events[0].step == (step - 1) // 2 * 2
    assert_same_weights(resumed.folder, unbroken.folder)
    assert resumed.curve == unbroken.curve
    assert resumed.kept_step == unbroken.kept_step
    assert resumed.padding_share == unbroken.padding_share
    assert not checkpoints.exists()


KILLED = """
import sys
from pathlib import Path
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.model.training.training import train

train(
    TrainingData([TitleSource(Path(path).stem, Path(path)) for path in sys.argv[5:]], 6),
    ModelSettings.model_validate_json(sys.argv[1]),
    TrainingSettings.model_validate_json(sys.argv[2]),
    Path(sys.argv[3]),
    lambda event: hasattr(event, "step") and print(event.step, flush=True),
    checkpoints=Path(sys.argv[4]),
)
"""


def test_a_killed_process_resumes_from_its_last_step(make_catalogue, tmp_path) -> None:
    titles = [TitleSource(title.title_id, title.path) for title in make_catalogue(30, 9).titles]
    data = TrainingData(titles, 6)
    settings = BRIEF.model_copy(update={"steps": 40, "checkpoint_every": 1})
    models, checkpoints = tmp_path / "models", tmp_path / "checkpoints"
    arguments = [TINY.model_dump_json(), settings.model_dump_json(), models, checkpoints]
    command = [sys.executable, "-c", KILLED, *arguments, *(title.path for title in titles)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    last = random.Random().randint(5, 35)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) == last:
                time.sleep(random.Random().random() / 200)  # also in the middle of a save
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    events: list[Event] = []
    resumed = train(data, TINY, settings, models, besides_phases(events), checkpoints=checkpoints)
    assert last - 1 <= events[0].step < 40
    assert resumed.identity == train(data, TINY, settings, tmp_path / "unbroken").identity
    assert not checkpoints.exists()


INTERRUPTED = """
from mediafm_core.runtime.interruption import stopping_on_signals
with stopping_on_signals():
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_its_current_step(
    make_catalogue, tmp_path, number: signal.Signals
) -> None:
    """Checkpoints are due every 1,000 steps, so this one comes from the interrupt."""
    titles = [TitleSource(title.title_id, title.path) for title in make_catalogue(30, 9).titles]
    data = TrainingData(titles, 6)
    settings = BRIEF.model_copy(update={"steps": 40, "checkpoint_every": 1000})
    models, checkpoints = tmp_path / "models", tmp_path / "checkpoints"
    arguments = [TINY.model_dump_json(), settings.model_dump_json(), models, checkpoints]
    body = INTERRUPTED + textwrap.indent(KILLED, "    ")
    command = [sys.executable, "-c", body, *arguments, *(title.path for title in titles)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    last = random.Random().randint(3, 30)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            if int(line) == last:
                process.send_signal(number)
                break
        process.stdout.read()
        errors = process.stderr.read()
    assert errors.rstrip().endswith("Interrupt"), errors
    (saved,) = checkpoints.glob("*/step-*")
    events: list[Event] = []
    resumed = train(data, TINY, settings, models, events.append, checkpoints=checkpoints)
    resumed_at = next(event.step for event in events if hasattr(event, "step"))
    assert resumed_at == int(saved.name.removeprefix("step-")) >= last
    assert resumed.identity == train(data, TINY, settings, tmp_path / "unbroken").identity


def test_two_processes_do_not_train_the_same(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    refusals: list[str] = []
    seeds: list[int] = []

    def train_the_same(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 5:
            with pytest.raises(ConfigurationError, match="wait for it or end it") as error:
                train(data, TINY, BRIEF, models, checkpoints=checkpoints)
            refusals.append(str(error.value))
            other = BRIEF.model_copy(update={"seed": 1})
            seeds.append(train(data, TINY, other, models, checkpoints=checkpoints).kept_step)

    result = train(data, TINY, BRIEF, models, train_the_same, checkpoints=checkpoints)
    assert len(refusals) == len(seeds) == 1
    assert "is being trained by another process" in refusals[0]
    assert result.identity == train(data, TINY, BRIEF, tmp_path / "alone").identity
    assert not checkpoints.exists()
