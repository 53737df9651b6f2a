"""Checkpoints of trainings that are killed, diverge or fill the disk, and resuming from them."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.model import saved_model
from mediafm_core.model.training import training, training_checkpoint, training_loop
from mediafm_core.model.training.progress_events import Event, Observer, Phase, Progress
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_checkpoint import (
    Checkpoints,
    load_checkpoint,
    read_metadata,
    remove_old_checkpoints,
)
from mediafm_core.model.training.training_data import TitleSource, TrainingData

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


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
@pytest.mark.parametrize("step", [5, 10])
def test_a_resumed_training_gives_the_weights_of_an_unbroken_one(
    make_catalogue, tmp_path, step: int, optimiser: str
) -> None:
    data = make_catalogue(30, *range(5, 16))  # enough titles to hold some out
    settings = BRIEF.model_copy(update={"optimiser": optimiser})
    unbroken = train(data, TINY, settings, tmp_path / "unbroken")
    checkpoints = tmp_path / "checkpoints"
    train_until(step, data, TINY, settings, tmp_path / "models", checkpoints=checkpoints)
    assert not (tmp_path / "models").exists()
    assert len(list(checkpoints.glob("*/step-*"))) == 1
    torch.manual_seed(step)  # global random state has no effect
    events: list[Event] = []
    resumed = train(
        data, TINY, settings, tmp_path / "models", besides_phases(events), checkpoints=checkpoints
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


def test_a_folder_that_cannot_be_locked_is_refused(make_catalogue, tmp_path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(
        ConfigurationError, match=r"checkpoints cannot hold the checkpoints .*make space"
    ):
        train(make_catalogue(9), TINY, BRIEF, tmp_path, checkpoints=tmp_path / "checkpoints")


def test_early_stop_keeps_the_weights_of_the_best_validation(make_catalogue, tmp_path) -> None:
    data = make_catalogue(*range(5, 17))
    wild = BRIEF.model_copy(
        update={
            "steps": 60,
            "validate_every": 1,
            "patience": 3,
            "muon_learning_rate": 0.3,
            "adamw_learning_rate": 0.3,
        }
    )
    stopped = train(data, TINY, wild, tmp_path / "models")
    losses = [point.validation_loss for point in stopped.curve]
    assert len(losses) < 60
    assert stopped.kept_step == 1 + losses.index(min(losses)) == len(losses) - 3
    assert json.loads((stopped.folder / "training.json").read_text())["kept_step"] == (
        stopped.kept_step
    )
    # The same training, stopped at the best step: rates follow from the number of steps, so that
    # only an interrupted training has the same weights at that step.
    checkpoints = tmp_path / "checkpoints"
    frequent = wild.model_copy(update={"checkpoint_every": stopped.kept_step})
    train_until(stopped.kept_step + 1, data, TINY, frequent, tmp_path, checkpoints=checkpoints)
    (checkpoint,) = checkpoints.glob("*/step-*/state.safetensors")
    at_best = load_file(checkpoint)
    for name, tensor in load_file(stopped.folder / "model.safetensors").items():
        assert torch.equal(tensor, at_best[f"network.{name}"]), name


def test_without_patience_the_last_weights_are_kept(make_catalogue, tmp_path) -> None:
    settings = BRIEF.model_copy(update={"patience": 0, "muon_learning_rate": 0.3})
    result = train(make_catalogue(*range(5, 17)), TINY, settings, tmp_path)
    assert result.kept_step == 12


def test_a_diverged_training_can_start_from_its_last_checkpoint(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    train_until(8, data, TINY, BRIEF, models, checkpoints=checkpoints)
    (checkpoint,) = checkpoints.glob("*/step-*")
    steep = BRIEF.model_copy(
        update={"start_from": checkpoint, "muon_learning_rate": 1e38, "adamw_learning_rate": 1e38}
    )
    with pytest.raises(
        ConfigurationError, match=r"(nan|not finite).*: lower training.muon"
    ) as error:
        train(
            data,
            TINY,
            steep.model_copy(update={"warmup_ratio": 0}),
            models,
            checkpoints=checkpoints,
        )
    assert "step" in str(error.value)
    assert not models.exists()
    assert checkpoint.exists()
    gentle = train(
        data,
        TINY,
        BRIEF.model_copy(update={"start_from": checkpoint.parent}),
        models,
        checkpoints=checkpoints,
    )
    record = json.loads((gentle.folder / "training.json").read_text())
    digest = json.loads((checkpoint / "state.json").read_text())["digest"]
    assert record["started_from"] == f"training-{checkpoint.parent.name}-step-6@{digest[:16]}"
    assert "start_from" not in record["training"]
    assert "weights started from training-" in (gentle.folder / "README.md").read_text()


def test_no_checkpoint_has_weights_that_are_not_finite(make_catalogue, tmp_path) -> None:
    steep = BRIEF.model_copy(
        update={"muon_learning_rate": 1e38, "adamw_learning_rate": 1e38, "checkpoint_every": 1}
    )
    with pytest.raises(ConfigurationError, match="lower training"):
        train(make_catalogue(20), TINY, steep, tmp_path, checkpoints=tmp_path / "checkpoints")
    for path in (tmp_path / "checkpoints").glob("*/step-*/state.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_a_training_can_start_from_a_model(make_catalogue, trained, tmp_path) -> None:
    data = make_catalogue(30, 9, 14)
    settings = BRIEF.model_copy(update={"start_from": trained.folder})
    result = train(data, TINY, settings, tmp_path)
    assert json.loads((result.folder / "training.json").read_text())["started_from"] == str(
        trained.identity
    )
    first = result.curve[0].training_loss
    assert first < train(data, TINY, BRIEF, tmp_path).curve[0].training_loss


def test_a_warm_start_from_another_network_is_refused(make_catalogue, trained, tmp_path) -> None:
    data = make_catalogue(30, 9)
    settings = BRIEF.model_copy(update={"start_from": trained.folder})
    with pytest.raises(
        ConfigurationError, match="network with num_hidden_layers 2, and this one has 1"
    ):
        train(data, TINY.model_copy(update={"layers": 1, "context_layer": 1}), settings, tmp_path)
    space = replace(data.space, encoders={**data.space.encoders, "video": "lynx-1@dd"})
    foreign = TrainingData(data.titles, 6, space)
    with pytest.raises(IdentityMismatchError, match=r"eyes-1@aa.*lynx-1@dd"):
        train(foreign, TINY, settings, tmp_path)
    empty = BRIEF.model_copy(update={"start_from": tmp_path})
    with pytest.raises(ConfigurationError, match="has neither a trained model nor a checkpoint"):
        train(data, TINY, empty, tmp_path)


def test_a_warm_start_from_another_version_is_refused(
    make_catalogue, trained, tmp_path, monkeypatch
) -> None:
    data = make_catalogue(30, 9)
    model = shutil.copytree(trained.folder, tmp_path / "earlier")
    record = json.loads((model / "training.json").read_text())
    record["identity"]["version"] = "3"
    (model / "training.json").write_text(json.dumps(record))
    monkeypatch.setattr(training_loop, "MODEL_VERSION", "3")
    train_until(8, data, TINY, BRIEF, tmp_path, checkpoints=tmp_path / "checkpoints")
    monkeypatch.undo()
    (checkpoint,) = (tmp_path / "checkpoints").glob("*/step-*")
    for folder in (model, checkpoint):
        settings = BRIEF.model_copy(update={"start_from": folder})
        with pytest.raises(
            ConfigurationError, match=r"of version 3, .*trains version 4: remove training.start_fr"
        ):
            train(data, TINY, settings, tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "altered", "no json", "altered json"])
def test_a_damaged_checkpoint_is_refused(make_catalogue, tmp_path, damage: str) -> None:
    data = make_catalogue(30, 9)
    checkpoints = tmp_path / "checkpoints"
    train_until(8, data, TINY, BRIEF, tmp_path, checkpoints=checkpoints)
    (checkpoint,) = checkpoints.glob("*/step-*")
    tensors, metadata = checkpoint / "state.safetensors", checkpoint / "state.json"
    content = bytearray(tensors.read_bytes())
    if damage == "truncated":
        tensors.write_bytes(content[: len(content) // 2])
    elif damage == "altered":
        content[-100] ^= 1
        tensors.write_bytes(content)
    elif damage == "no json":
        metadata.unlink()
    else:
        metadata.write_text(metadata.read_text().replace('"waited": 0', '"waited": 1'))
    with pytest.raises(ConfigurationError, match=f"{checkpoint} is damaged .*: delete the folder"):
        train(data, TINY, BRIEF, tmp_path / "models", checkpoints=checkpoints)
    assert not (tmp_path / "models").exists()


def test_a_full_disk_leaves_the_previous_checkpoint(make_catalogue, tmp_path, monkeypatch) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    save_file = training_checkpoint.save_file

    def fill_disk_after_step_4(tensors, path: Path) -> None:
        save_file(tensors, path)
        if "00000006" in str(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_checkpoint, "save_file", fill_disk_after_step_4)
    with pytest.raises(ConfigurationError, match=r"after step 6 cannot.*space.*step 4 is kept"):
        train(data, TINY, BRIEF, models, checkpoints=checkpoints)
    assert [path.name for path in checkpoints.glob("*/*")] == ["step-00000004"]
    assert not models.exists()
    monkeypatch.undo()
    events: list[Event] = []
    resumed = train(data, TINY, BRIEF, models, besides_phases(events), checkpoints=checkpoints)
    assert events[0].step == 4
    assert resumed.identity == train(data, TINY, BRIEF, tmp_path / "unbroken").identity


def test_a_disk_that_is_full_at_the_end_leaves_the_last_checkpoint(
    make_catalogue, tmp_path, monkeypatch
) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"

    def fill_disk(_tensors, _path: Path, metadata: dict) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_model, "save_file", fill_disk)
    with pytest.raises(ConfigurationError, match=r"model cannot be saved.*make space"):
        train(data, TINY, BRIEF, models, checkpoints=checkpoints)
    assert not list(models.iterdir())
    monkeypatch.undo()
    events: list[Event] = []
    resumed = train(data, TINY, BRIEF, models, besides_phases(events), checkpoints=checkpoints)
    assert events[0].step == 10
    assert resumed.identity == train(data, TINY, BRIEF, tmp_path / "unbroken").identity


def test_checkpoints_of_other_settings_and_data_are_not_resumed(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9)
    checkpoints = tmp_path / "checkpoints"
    train_until(8, data, TINY, BRIEF, tmp_path, checkpoints=checkpoints)
    for other_data, settings in (
        (data, BRIEF.model_copy(update={"seed": 1})),
        (TrainingData(data.titles[:1], 6, data.space), BRIEF),
    ):
        events: list[Event] = []
        train(other_data, TINY, settings, tmp_path, besides_phases(events), checkpoints=checkpoints)
        assert events[0].step == 0
    assert len(list(checkpoints.glob("*/step-00000006"))) == 1  # can still be resumed


def test_a_checkpoint_of_another_version_is_not_resumed(
    make_catalogue, tmp_path, monkeypatch
) -> None:
    data = make_catalogue(30, 9)
    checkpoints = tmp_path / "checkpoints"
    train_until(8, data, TINY, BRIEF, tmp_path, checkpoints=checkpoints)
    monkeypatch.setattr(training, "MODEL_VERSION", "another")
    events: list[Event] = []
    train(data, TINY, BRIEF, tmp_path, besides_phases(events), checkpoints=checkpoints)
    assert events[0].step == 0
    assert len(list(checkpoints.glob("*/step-00000006"))) == 1


def test_a_checkpoint_of_another_precision_is_not_resumed(
    make_catalogue, tmp_path, monkeypatch
) -> None:
    """As when a training moves from a CPU to a GPU."""
    data = make_catalogue(30, 9)
    checkpoints = tmp_path / "checkpoints"
    train_until(8, data, TINY, BRIEF, tmp_path, checkpoints=checkpoints)
    for module in (training, training_loop):
        monkeypatch.setattr(module, "fast_precision", lambda *_: "bfloat16")
    events: list[Event] = []
    result = train(data, TINY, BRIEF, tmp_path, besides_phases(events), checkpoints=checkpoints)
    assert events[0].step == 0
    assert json.loads((result.folder / "training.json").read_text())["arithmetic"] == "bfloat16"


def rename_weight(tensors: dict[str, torch.Tensor]) -> None:
    tensors["network.renamed"] = tensors.pop(next(name for name in tensors if "network." in name))


def widen_moment(tensors: dict[str, torch.Tensor]) -> None:
    tensors["optimisers.adamw.0.exp_avg"] = torch.zeros(3, 3)


def rename_optimiser(tensors: dict[str, torch.Tensor]) -> None:
    tensors["optimisers.sgd.0.momentum"] = torch.zeros(3)


def alter_checkpoint(checkpoint: Path, change) -> None:
    """Write a checkpoint again with changed tensors and a valid digest."""
    saved = load_checkpoint(checkpoint)
    change(saved.tensors)
    metadata = {name: saved.metadata[name] for name in ("model_version", "config", "course")}
    checkpoints = Checkpoints(checkpoint.parent.parent, {})
    checkpoints.key, checkpoints.folder = checkpoint.parent.name, checkpoint.parent
    (checkpoint / "state.json").unlink()
    (checkpoint / "state.safetensors").unlink()
    checkpoints.save(saved.step, metadata, saved.tensors)
    assert read_metadata(checkpoint)["key"] == checkpoint.parent.name


@pytest.mark.parametrize("change", [rename_weight, widen_moment, rename_optimiser])
def test_a_checkpoint_of_another_network_is_refused(make_catalogue, tmp_path, change) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    train_until(8, data, TINY, BRIEF, models, checkpoints=checkpoints)
    (checkpoint,) = checkpoints.glob("*/step-*")
    alter_checkpoint(checkpoint, change)
    message = f"{checkpoint} is damaged .it is of another network: .*: delete the folder"
    with pytest.raises(ConfigurationError, match=message) as error:
        train(data, TINY, BRIEF, models, checkpoints=checkpoints)
    assert "\n" not in str(error.value)
    if change is rename_weight:
        begun = BRIEF.model_copy(update={"start_from": checkpoint})
        with pytest.raises(ConfigurationError, match=r"weights of another network .*start from"):
            train(data, TINY, begun, models)


def test_locks_of_killed_processes_are_removed_and_others_kept(tmp_path) -> None:
    running = Checkpoints(tmp_path, {"it": "runs"})
    killed = tmp_path / "0123456789abcdef.lock"
    with running.held():
        (running.folder / "step-00000001").mkdir(parents=True)
        (lock,) = tmp_path.glob("*.lock")
        killed.touch()
        for path in (running.folder, lock, killed):
            os.utime(path, (0, 0))
        assert remove_old_checkpoints(tmp_path) == []
        assert set(tmp_path.iterdir()) == {running.folder, lock}
    os.utime(running.folder, (0, 0))
    assert remove_old_checkpoints(tmp_path) == [running.folder]
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_killed_process_stays_while_its_checkpoint_does(tmp_path) -> None:
    (tmp_path / "aaaa" / "step-00000001").mkdir(parents=True)
    for name in ("aaaa.lock", "bbbb.lock"):
        (tmp_path / name).touch()
    assert remove_old_checkpoints(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"aaaa", "aaaa.lock"}


def test_old_checkpoints_that_were_not_resumed_are_removed(tmp_path) -> None:
    old, wanted, new = (tmp_path / name for name in ("old", "wanted", "new"))
    for folder in (old, wanted, new):
        (folder / "step-00000001").mkdir(parents=True)
    for folder in (old, wanted):
        os.utime(folder, (0, 0))
    assert remove_old_checkpoints(tmp_path, {wanted / "step-00000001", None}) == [old]
    assert not old.exists()
    assert wanted.exists()
    assert new.exists()


def test_a_checkpoint_has_no_pickle(make_catalogue, tmp_path) -> None:
    checkpoints = tmp_path / "checkpoints"
    train_until(8, make_catalogue(9), TINY, BRIEF, tmp_path, checkpoints=checkpoints)
    files = sorted(path.name for path in checkpoints.glob("*/*/*"))
    assert files == ["state.json", "state.safetensors"]
    assert re.fullmatch(r"[0-9a-f]{16}", next(checkpoints.iterdir()).name)


def test_bfloat16_comes_close_to_float32(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 25, 20)
    settings = BRIEF.model_copy(update={"steps": 30, "validate_every": 30})
    model = TINY.model_copy(update={"dropout": 0.0})
    exact = train(data, model, settings, tmp_path)
    rounded = train(data, model, settings.model_copy(update={"precision": "bfloat16"}), tmp_path)
    assert exact.identity != rounded.identity
    assert rounded.curve[-1].validation_loss == pytest.approx(
        exact.curve[-1].validation_loss, rel=0.02
    )
    assert all(each.dtype == torch.float32 for each in rounded.network.parameters())
