"""Untrusted checkpoints are refused before a library builds their networks."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_checkpoints import save_clip, save_wav2vec2

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.open_clip_images import OpenCLIP
from mediafm_core.encoders.wav2vec2 import Wav2Vec2
from mediafm_core.errors import ConfigurationError

_CONFIG = {"clip": "open_clip_config.json", "wav2vec2": "config.json"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    save_clip(folder / "clip")
    save_wav2vec2(folder / "wav2vec2")
    return folder


def encode(folder: Path) -> None:
    if (folder / _CONFIG["clip"]).exists():
        clip = OpenCLIP(Settings(device="cpu", threads=1, video={"model": str(folder)}))
        clip.check()
        assert clip.dimension
        clip.encode([np.zeros((8, 8, 3), np.uint8)])
    else:
        sound = Wav2Vec2(Settings(device="cpu", threads=1, audio={"model": str(folder)}))
        sound.check()
        assert sound.dimension
        sound.encode([np.zeros(16_000, np.float32)])


def refusal(folder: Path) -> str:
    """Return the message with which an encoder refuses a checkpoint."""
    with pytest.raises(ConfigurationError) as caught:
        encode(folder)
    sentence = str(caught.value)
    assert len(sentence) <= 300
    assert ".model`" in sentence
    return sentence


def changed(source: Path, target: Path, *place: str, value: Any) -> Path:
    """Return a copy of a checkpoint with another value in its configuration."""
    folder = shutil.copytree(source, target / source.name)
    path = folder / _CONFIG[source.name]
    document = json.loads(path.read_bytes())
    part = document
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    path.write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("hidden_size",), -1),
        (("hidden_size",), 10**9),
        (("hidden_size",), "24"),
        (("hidden_size",), 2.5),
        (("hidden_size",), True),
        (("hidden_size",), 65_536),
        (("num_hidden_layers",), 1_000_000),
        (("num_hidden_layers",), 500),
        (("num_hidden_layers",), 0),
        (("num_attention_heads",), 0),
        (("num_attention_heads",), 5),
        (("intermediate_size",), 2**63),
        (("num_labels",), 10**9),
        (("layer_norm_eps",), float("nan")),
        (("hidden_dropout",), 1e308),
        (("conv_dim",), [8, -8, 8, 8, 8, 8, 8]),
        (("conv_dim",), [8]),
        (("conv_stride",), [0] * 7),
        (("hidden_act",), "os.system"),
        (("feat_extract_norm",), {}),
        (("model_type",), "hubert"),
    ],
    ids=str,
)
def test_a_configuration_of_wav2vec2(checkpoints, tmp_path, place, value) -> None:
    refusal(changed(checkpoints / "wav2vec2", tmp_path, *place, value=value))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("model_cfg",), []),
        (("model_cfg", "embed_dim"), 0),
        (("model_cfg", "embed_dim"), "wide"),
        (("model_cfg", "embed_dim"), None),
        (("model_cfg", "vision_cfg"), None),
        (("model_cfg", "vision_cfg", "layers"), 1_000_000),
        (("model_cfg", "vision_cfg", "layers"), 512),
        (("model_cfg", "vision_cfg", "layers"), "two"),
        (("model_cfg", "vision_cfg", "width"), 1 << 20),
        (("model_cfg", "vision_cfg", "width"), -32),
        (("model_cfg", "vision_cfg", "head_width"), 0),
        (("model_cfg", "vision_cfg", "image_size"), 1 << 20),
        (("model_cfg", "vision_cfg", "image_size"), [1 << 20, 32]),
        (("model_cfg", "vision_cfg", "patch_size"), 0),
        (("model_cfg", "vision_cfg", "mlp_ratio"), -4.0),
        (("model_cfg", "vision_cfg", "unknown"), 1),
        (("model_cfg", "text_cfg", "vocab_size"), 1 << 20),
        (("model_cfg", "text_cfg", "heads"), 0),
        (("model_cfg", "text_cfg", "heads"), 3),
        (("model_cfg", "text_cfg", "context_length"), float("inf")),
        (("preprocess_cfg", "mean"), "grey"),
    ],
    ids=str,
)
def test_a_configuration_of_clip(checkpoints, tmp_path, place, value) -> None:
    refusal(changed(checkpoints / "clip", tmp_path, *place, value=value))


@pytest.mark.parametrize("kind", ["clip", "wav2vec2"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"[" * 10**5, b'{"a": 1, "a": 1}', b"\xff\xfe{"]
)
def test_a_configuration_that_is_no_plain_json(checkpoints, tmp_path, kind, content) -> None:
    folder = shutil.copytree(checkpoints / kind, tmp_path / kind)
    (folder / _CONFIG[kind]).write_bytes(content)
    assert _CONFIG[kind] in refusal(folder)


@pytest.mark.parametrize("kind", ["clip", "wav2vec2"])
def test_weights_that_are_a_pickle_of_more_than_tensors(checkpoints, tmp_path, kind) -> None:
    folder = shutil.copytree(checkpoints / kind, tmp_path / kind)
    weights = next(folder.glob("*.safetensors"))
    weights.unlink()
    mark = tmp_path / "was run"
    name = "open_clip_pytorch_model.bin" if kind == "clip" else "pytorch_model.bin"
    torch.save({"a": _Evil(mark), "b": torch.zeros(1 << 16)}, folder / name)
    refusal(folder)
    assert not mark.exists()


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["clip", "wav2vec2"])
def test_truncated_weights(checkpoints, tmp_path, kind) -> None:
    folder = shutil.copytree(checkpoints / kind, tmp_path / kind)
    weights = next(folder.glob("*.safetensors"))
    whole = weights.read_bytes()
    for size in (4, 100, len(whole) - 7):
        weights.write_bytes(whole[:size])
        refusal(folder)
