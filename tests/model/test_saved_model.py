"""Saving, copying and loading model folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.inference.whole_title import contextualise
from mediafm_core.model import saved_model
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import (
    check_compatible,
    copy_model,
    identity_of,
    load_model,
    save_model,
)
from mediafm_core.model.training.loss_curve import loss_curve_png
from mediafm_core.vectors import unit_length

RANGES = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
IDENTITIES = {"video": "eyes-1@aa", "audio": "ears-1@bb", "text": "words-1@cc"}


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "model")


def test_a_loaded_model_equals_the_saved_one(trained) -> None:
    state = torch.get_rng_state()
    loaded = load_model(trained.folder)

    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.identity == trained.identity
    assert trained.folder.name == str(trained.identity)
    assert not loaded.network.training
    fused = unit_length(np.random.default_rng(0).standard_normal((50, 24)))
    before, after = (contextualise(x.network, fused) for x in (trained, loaded))
    np.testing.assert_array_equal(before.shots, after.shots)
    np.testing.assert_array_equal(before.title, after.title)


def test_transformers_own_loading_reads_the_folder(trained) -> None:
    network = MediaFM.from_pretrained(trained.folder, local_files_only=True)
    assert identity_of(network) == trained.identity


def test_the_folder_is_complete_and_no_temporary_file_is_left(trained) -> None:
    assert [path.name for path in trained.folder.parent.iterdir()] == [trained.folder.name]
    assert sorted(path.name for path in trained.folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "training.json",
    ]
    card = (trained.folder / "README.md").read_text()
    for fact in (str(trained.identity), "eyes-1@aa", "[12, 20)", "39 shots of 2 titles"):
        assert fact in card


def test_identity_follows_weights_and_configuration_only(trained) -> None:
    network = MediaFM(trained.network.config)
    network.load_state_dict(trained.network.state_dict())
    assert identity_of(network) == trained.identity
    with torch.no_grad():
        network.norm.weight[0] += 1e-3
    assert identity_of(network) != trained.identity
    network.load_state_dict(trained.network.state_dict())
    window = network.config.max_shots  # the configuration is shared with the trained one
    network.config.max_shots = window + 1
    try:
        assert identity_of(network) != trained.identity
    finally:
        network.config.max_shots = window


def test_saving_again_changes_nothing(trained) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.folder.iterdir()}
    record = json.loads((trained.folder / "training.json").read_text())
    again = save_model(trained.network, record, trained.folder.parent)
    assert again == (trained.folder, trained.identity)
    assert {path: path.stat().st_mtime_ns for path in trained.folder.iterdir()} == before


def test_a_failed_save_leaves_no_file(trained, tmp_path, monkeypatch) -> None:
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mediafm_core.model.saved_model.save_file", full_disk)
    record = json.loads((trained.folder / "training.json").read_text())
    with pytest.raises(ConfigurationError, match=r"cannot be saved in .*No space left"):
        save_model(trained.network, record, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_copied_model_gets_its_identity_as_name(folder, trained, tmp_path) -> None:
    assert copy_model(folder, tmp_path / "models") == trained.identity
    assert load_model(tmp_path / "models" / str(trained.identity)).identity == trained.identity


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_model_is_replaced_by_saving_or_copying_it_again(
    folder, trained, tmp_path, name: str
) -> None:
    models = tmp_path / "models"
    record = json.loads((folder / "training.json").read_text())
    for repair in (
        lambda: copy_model(folder, models),
        lambda: save_model(trained.network, record, models),
    ):
        damaged = shutil.copytree(folder, models / str(trained.identity), dirs_exist_ok=True)
        (damaged / name).write_bytes((folder / name).read_bytes()[:200])
        repair()
        assert load_model(damaged).identity == trained.identity
        assert list(models.iterdir()) == [damaged]


@pytest.mark.parametrize("name", ["config.json", "training.json"])
def test_a_missing_file_is_refused(folder, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=f"no trained model, it has no {name}"):
        load_model(folder)


def test_no_folder_and_a_file_are_refused(folder, tmp_path) -> None:
    for path in (tmp_path / "nothing", folder / "config.json"):
        with pytest.raises(ConfigurationError, match="no trained model"):
            load_model(path)


def test_truncated_weights_are_refused(folder) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 5, 400, len(whole) - 1):
        weights.write_bytes(whole[:size])
        with pytest.raises(ConfigurationError, match="truncated or damaged"):
            load_model(folder)


def test_unreadable_weights_are_refused_with_a_remedy(folder, monkeypatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(saved_model, "load_file", refuse)
        with pytest.raises(ConfigurationError, match=r"safetensors cannot be read .*permissions"):
            load_model(folder)
    for name in ("model.safetensors", "config.json"):  # the last one is read first
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read"):
            load_model(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_is_never_loaded(folder, trained, name: str) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(trained.network.state_dict(), folder / name)
    with pytest.raises(ConfigurationError, match=f"only {name}, a pickle, which is never loaded"):
        load_model(folder)
    with pytest.raises(OSError, match=r"model\.safetensors"):
        MediaFM.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "describes a 'bert' model"),
        ({"hidden_size": 64}, "contradicts config.json .*in place of"),
        (
            {"num_hidden_layers": 3},
            "contradicts config.json .*2 layers in place of 3",
        ),
        ({"hidden_size": "wide"}, "unusable value"),
        ({"max_shots": 41}, "records another identity"),
    ],
)
def test_another_configuration_is_refused(folder, change: dict, message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ConfigurationError, match=message):
        load_model(folder)


def test_a_model_of_another_version_is_refused_with_a_remedy(folder) -> None:
    record = json.loads((folder / "training.json").read_text())
    record["identity"]["version"] = "3"
    (folder / "training.json").write_text(json.dumps(record))
    with pytest.raises(
        ConfigurationError, match=r"of version 3 .* reads version 7: train a new one"
    ):
        load_model(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_configuration_is_refused(folder, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"config.json is damaged"):
        load_model(folder)


def test_vectors_of_the_models_own_encoders_are_accepted(trained) -> None:
    model = load_model(trained.folder)
    check_compatible(model, FusedSpace(IDENTITIES, RANGES))
    stored = {"encoders": IDENTITIES, "ranges": {name: list(span) for name, span in RANGES.items()}}
    check_compatible(model, FusedSpace.from_record(stored))


@pytest.mark.parametrize(
    ("ranges", "identities", "message"),
    [
        ({}, {"audio": "ears-2@dd"}, "audio encoder ears-1@bb against ears-2"),
        ({"text": (20, 25)}, {}, r"text columns \(20, 24\) against \(20, 25\)"),
        ({}, {"smell": "nose-1@ee"}, "smell encoder None"),
    ],
)
def test_vectors_of_other_encoders_are_refused(trained, ranges, identities, message: str) -> None:
    with pytest.raises(IdentityMismatchError, match=message):
        check_compatible(
            load_model(trained.folder), FusedSpace(IDENTITIES | identities, RANGES | ranges)
        )


def test_the_loss_curve_is_a_png(trained) -> None:
    assert loss_curve_png(trained.curve, trained.baselines).startswith(b"\x89PNG")
