"""Warm starts from models and checkpoints."""

import json
import shutil
from dataclasses import replace

import pytest
from stopped_training import BRIEF, TINY, train_until

from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.model.training import training_loop
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TrainingData


def test_a_diverged_training_can_start_from_its_last_checkpoint(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9)
    checkpoints, models = tmp_path / "checkpoints", tmp_path / "models"
    train_until(8, data, TINY, BRIEF, models, checkpoints=checkpoints)
    (checkpoint,) = checkpoints.glob("*/step-*")
    steep = BRIEF.model_copy(
        update={"start_from": checkpoint, "muon_learning_rate": 1e38, "adamw_learning_rate": 1e38}
    )
    with pytest.raises(
        ConfigurationError, match=r"(nan|not finite).*: lower training.adamw"
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
        train(data, TINY.model_copy(update={"layers": 1}), settings, tmp_path)
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
            ConfigurationError, match=r"of version 3, .*trains version 7: remove training.start_fr"
        ):
            train(data, TINY, settings, tmp_path)
