"""Checkpoints of trainings: what is saved, refused and removed."""

import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from stopped_training import BRIEF, TINY, besides_phases, train_until

from mediafm_core.errors import ConfigurationError
from mediafm_core.model import saved_model
from mediafm_core.model.training import training, training_checkpoint, training_loop
from mediafm_core.model.training.progress_events import Event
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_checkpoint import (
    Checkpoints,
    load_checkpoint,
    read_metadata,
    remove_old_checkpoints,
)
from mediafm_core.model.training.training_data import TrainingData


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


def test_no_checkpoint_has_weights_that_are_not_finite(make_catalogue, tmp_path) -> None:
    steep = BRIEF.model_copy(
        update={"muon_learning_rate": 1e38, "adamw_learning_rate": 1e38, "checkpoint_every": 1}
    )
    with pytest.raises(ConfigurationError, match="lower training"):
        train(make_catalogue(20), TINY, steep, tmp_path, checkpoints=tmp_path / "checkpoints")
    for path in (tmp_path / "checkpoints").glob("*/step-*/state.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


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
