"""Untrusted models: impossible or huge numbers are refused before memory is allocated."""

import json
import os
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mediafm_core.errors import ConfigurationError
from mediafm_core.model.model_files import DIGESTS, read_card, read_json
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import identity_of, load_model
from mediafm_core.pipeline.releases.candidates import Candidate, TrainingRecord

_LONGEST = 300
_NETWORK_BYTES = 8 << 20  # far more than the small network, far less than a hostile one


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    """Copy a model and remove the digests of its files, as an attacker who alters a file would."""
    folder = shutil.copytree(trained.folder, tmp_path / trained.folder.name)
    record = read_json(folder, "training.json")
    del record[DIGESTS]
    (folder / "training.json").write_text(json.dumps(record))
    return folder


def read_record(folder: Path) -> TrainingRecord:
    return Candidate(folder).record


def refusal(folder: Path, load: Callable[[Path], object] = load_model) -> str:
    """Return the error of loading a model, and require that little memory is allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(ConfigurationError) as caught:
            load(folder)
        assert tracemalloc.get_traced_memory()[1] < _NETWORK_BYTES
    finally:
        tracemalloc.stop()
    sentence = str(caught.value)
    assert len(sentence) <= _LONGEST
    assert "\n" not in sentence
    assert folder.name in sentence
    return sentence


def change(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))


_IMPOSSIBLE = (
    *(-1, 10**9, 2**63, 10**30, 1e308, 2.5, float("nan"), float("-inf")),
    *("4", True, None, [4], {}),
)


@pytest.mark.parametrize(
    "field",
    [
        *("fused_size", "global_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("intermediate_size", "max_shots", "input_components"),
    ],
)
def test_a_size_that_is_impossible_or_huge_is_refused(folder, field: str) -> None:
    for value in _IMPOSSIBLE:
        change(folder, **{field: value})
        for load in (load_model, read_record):
            sentence = refusal(folder, load)
            assert "config.json" in sentence
            assert field in sentence or "is no JSON number" in sentence


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_attention_heads": 0}, "num_attention_heads is 0 and should be greater than"),
        ({"hidden_size": 0}, "hidden_size is 0 "),
        ({"num_attention_heads": 3, "attention_slopes": None}, "which 3 heads do not divide"),
        ({"num_attention_heads": 4}, "attention_slopes has 2 numbers for 4 heads"),
        ({"num_hidden_layers": 500}, "2 layers in place of 500"),
        ({"intermediate_size": 65}, r"layers\.0\..* in place of \[65"),
        ({"attention": "bidirectional"}, r"cls_token None in place of \[32\]"),
        ({"attention_slopes": [1e300, 0]}, "attention_slopes.0 is 1e.300"),
        ({"attention_slopes": [[0.0]] * 2}, "attention_slopes.0 is"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout_prob is 2 "),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob is -0.1"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0 "),
        ({"initializer_range": -1}, "initializer_range is -1"),
        ({"hidden_act": "os.system"}, "hidden_act is 'os.system'"),
        ({"attention": "sideways"}, "attention is 'sideways'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"structure": "yes"}, "structure is 'yes'"),
        ({"fused_ranges": {"video": [0, 12], "audio": [12, 20]}}, "do not partition a vector"),
        ({"fused_ranges": {"video": [0, 24], "text": [24, 24]}}, "do not partition a vector"),
        ({"fused_ranges": {"video": [[[]], {}]}}, "fused_ranges.video.0 is"),
        ({"fused_ranges": {"v" * 10**5: [0, 24]}}, "fused_ranges.vvv"),
        ({"encoder_identities": {"video": "e" * 10**6}}, "encoder_identities.video is 'eee"),
        ({"model_type": "bert"}, "describes a 'bert' model"),
        ({"model_type": "b" * 10**6}, "describes a 'bbb"),
    ],
)
def test_inconsistent_fields_are_refused(folder, fields: dict, message: str) -> None:
    change(folder, **fields)
    with pytest.raises(ConfigurationError, match=message):
        load_model(folder)
    refusal(folder)


def test_a_missing_field_is_named_and_a_foreign_one_has_no_effect(folder, trained) -> None:
    change(folder, num_labels=10**9, auto_map={"AutoModel": "evil.Evil"}, dtype="float16")
    network = load_model(folder).network
    assert identity_of(network) == trained.identity
    assert network.config.num_labels < 10
    config = json.loads((folder / "config.json").read_bytes())
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    assert "(hidden_size is missing)" in refusal(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 10**5, "nested too deeply"),
        (b'{"a":' * 10**5, "nested too deeply"),
        (b'{"hidden_size": 32, "hidden_size": 10}', "the key 'hidden_size' comes twice"),
        (b'{"layer_norm_eps": 1e999}', "1e999 is not a finite number"),
        (b'{"hidden_size": ' + b"9" * 5000 + b"}", "limit"),
        (b'{"hidden_size": NaN}', "NaN is no JSON number"),
        (b"\xff\xfe\x00", "config.json is damaged"),
        (b"", "config.json is damaged"),
    ],
)
def test_a_configuration_that_is_no_plain_json_is_refused(
    folder, content: bytes, reason: str
) -> None:
    (folder / "config.json").write_bytes(content)
    assert reason in refusal(folder)
    assert reason in refusal(folder, read_record)


def test_a_file_of_a_gigabyte_is_not_read(folder) -> None:
    for name in ("training.json", "config.json", "README.md"):
        with (folder / name).open("r+b") as file:
            file.truncate(1 << 30)
    assert "1,073,741,824 bytes, more than" in refusal(folder)
    assert "1,073,741,824 bytes, more than" in refusal(folder, read_card)


@pytest.mark.parametrize("name", ["config.json", "training.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_a_pipe_or_link_in_place_of_a_file_is_refused(folder, name: str, kind: str) -> None:
    path = folder / name
    outside = shutil.move(path, folder.parent / "outside")
    if kind == "a link":
        path.symlink_to(outside)
    else:
        os.mkfifo(path)
    assert f"{name} is {kind}" in refusal(folder)


def rewrite_header(weights: Path, edit: Callable[[dict], object], pad: bytes = b"") -> None:
    data = weights.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :] + pad)


@pytest.mark.parametrize(
    "edit",
    [
        lambda header: header["norm.weight"].update(shape=[10**12]),
        lambda header: header["norm.weight"].update(shape=[2**63, 2**63]),
        lambda header: header["norm.weight"].update(shape=[-1]),
        lambda header: header["norm.weight"].update(data_offsets=[0, 2**63]),
        lambda header: header["norm.weight"].update(data_offsets=[0, 0]),
        lambda header: header["norm.weight"].update(dtype="Q128"),
        lambda header: header["norm.weight"].update(dtype="F64"),
        lambda header: header["norm.weight"].update(
            data_offsets=header["norm.bias"]["data_offsets"]
        ),
        lambda header: header.pop("norm.weight"),
        lambda header: header.update(extra={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
        lambda header: header.clear(),
    ],
)
def test_a_false_header_of_weights_is_refused(folder, edit) -> None:
    rewrite_header(folder / "model.safetensors", edit)
    assert "model.safetensors" in refusal(folder)


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_weights_of_impossible_length_is_refused(folder, length: int) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(struct.pack("<Q", length))
    assert "model.safetensors" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_weights_of_another_type_are_refused(folder, dtype: torch.dtype) -> None:
    path = folder / "model.safetensors"
    save_file({name: each.to(dtype) for name, each in load_file(path).items()}, path)
    assert "in place of F32" in refusal(folder)


def test_weights_that_are_not_finite_are_refused(folder) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["norm.weight"][0] = np.nan
    save_file(weights, path, metadata={"format": "pt"})
    network = MediaFM(load_model_config(folder))
    network.load_state_dict(weights)
    record = json.loads((folder / "training.json").read_bytes())
    record["identity"] = identity_of(network).model_dump()
    (folder / "training.json").write_text(json.dumps(record))
    assert "not finite" in refusal(folder)


def load_model_config(folder: Path) -> Any:
    return MediaFM.config_class.from_pretrained(folder)


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        b"[]",
        b'{"identity": []}',
        b'{"identity": "mediafm-7@aa"}',
        b'{"identity": {"name": 1, "version": "4", "digest": null}}',
        b'{"identity": {"name": "mediafm", "version": "4", "digest": "' + b"a" * 10**5 + b'"}}',
        b'{"identity": ' + b"[" * 10**5,
    ],
)
def test_a_record_of_training_of_another_form_is_refused(folder, record: bytes) -> None:
    (folder / "training.json").write_bytes(record)
    refusal(folder)
    refusal(folder, read_record)


@pytest.mark.parametrize(
    "fields",
    [
        {"shots": 1e400},
        {"shots": "many"},
        {"curve": {}},
        {"curve": [{"step": []}]},
        {"baselines": [1]},
        {"baselines": {"zero": 10**400}},
        {"titles": None},
        {"titles": ["a"]},
        {"objective": []},
        {"training": 1},
        {"validation_titles": {}},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "yesterday"},
        {"kept_step": 10**9},
    ],
)
def test_a_record_with_wrong_types_is_refused(folder, fields: dict) -> None:
    path = folder / "training.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))
    assert "does not say what was trained" in refusal(folder, read_record)
