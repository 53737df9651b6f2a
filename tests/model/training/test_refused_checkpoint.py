"""Checkpoints that are damaged or of another training: refused, or not resumed."""

import json
from pathlib import Path

import pytest
import torch
from interrupted_training import (
    BRIEF,
    TINY,
    besides_phases,
    train_until,
)

from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training import training, training_loop
from mediafm_core.model.training.progress_events import Event
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_checkpoint import (
    Checkpoints,
    load_checkpoint,
    read_metadata,
)
from mediafm_core.model.training.training_data import TrainingData


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
