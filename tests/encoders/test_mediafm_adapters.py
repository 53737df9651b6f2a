"""open_clip and wav2vec 2.0: the real loading code, on small checkpoints made here."""

import hashlib
import json

import numpy as np
import pytest
from small_checkpoints import save_clip, save_wav2vec2

from mediafm_core.config.settings import Settings
from mediafm_core.encoders import profiles
from mediafm_core.encoders.open_clip_images import OpenCLIP
from mediafm_core.encoders.wav2vec2 import Wav2Vec2
from mediafm_core.errors import ConfigurationError
from mediafm_core.vectors import unit_length

PICTURES = [
    np.random.default_rng(seed).integers(0, 256, (36, 64, 3), dtype=np.uint8) for seed in range(5)
]
SOUNDS = [
    np.random.default_rng(seed).uniform(-0.3, 0.3, 16_000).astype(np.float32) for seed in range(3)
]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("checkpoints") / "tiny-clip")


@pytest.fixture(scope="module")
def wav2vec2_folder(tmp_path_factory):
    return save_wav2vec2(tmp_path_factory.mktemp("checkpoints") / "tiny-wav2vec2")


def clip(model, **settings):
    return OpenCLIP(Settings(device="cpu", threads=1, video={"model": str(model)}, **settings))


def wav2vec2(model, **settings):
    return Wav2Vec2(Settings(device="cpu", threads=1, audio={"model": str(model)}, **settings))


def altered(folder, target, name, change):
    """Return a copy of a checkpoint with one file changed."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    change(target / name)
    return target


# --- open_clip


def test_clip_equals_open_clip_itself(clip_folder):
    import open_clip
    import torch
    from PIL import Image

    encoder = clip(clip_folder)
    encoder.check()
    assert encoder.dimension == 12
    network, _, _ = open_clip.create_model_and_transforms(f"local-dir:{clip_folder}")
    squashed = [
        np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BICUBIC))
        for picture in PICTURES
    ]
    pixels = torch.from_numpy(np.stack(squashed)).permute(0, 3, 1, 2) / 255 * 2 - 1
    with torch.inference_mode():
        expected = network.eval().encode_image(pixels).numpy()
    found = encoder.encode(PICTURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 rounding


def test_clip_batch_size_changes_nothing(clip_folder):
    encoder = clip(clip_folder)
    alone = np.concatenate([encoder.encode([picture]) for picture in PICTURES])
    np.testing.assert_allclose(unit_length(encoder.encode(PICTURES)), unit_length(alone), atol=1e-5)
    assert encoder.encode([]).shape == (0, 12)


def test_clip_in_bfloat16(clip_folder):
    exact, short = clip(clip_folder), clip(clip_folder, precision="bfloat16")
    assert exact.identity != short.identity
    cosine = (unit_length(exact.encode(PICTURES)) * unit_length(short.encode(PICTURES))).sum(axis=1)
    assert cosine.min() > 0.99  # eight bits of mantissa
    assert short.encode(PICTURES).dtype == np.float32


def test_clip_from_a_checkpoint_file_of_a_known_architecture(tmp_path):
    """The smallest architecture that open_clip lists, random weights, in bfloat16 to save space."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        network = open_clip.create_model("ViT-S-32-alt")
    file = tmp_path / "checkpoint.safetensors"
    save_file({name: value.bfloat16() for name, value in network.state_dict().items()}, file)
    encoder = clip(f"ViT-S-32-alt:{file}")
    assert encoder.dimension == 256
    assert encoder.identity.version == "checkpoint.safetensors"
    assert encoder.encode(PICTURES[:1]).shape == (1, 256)


def test_clip_leaves_torch_as_it_was(clip_folder):
    import torch

    state = torch.get_rng_state()
    clip(clip_folder).encode(PICTURES[:1])
    assert torch.equal(torch.get_rng_state(), state)


def test_clip_identity_follows_content_not_place(clip_folder, tmp_path):
    identity = clip(clip_folder).identity
    assert (identity.name, identity.version) == ("open_clip", "tiny-clip")
    moved = altered(clip_folder, tmp_path / "tiny-clip", "open_clip_config.json", lambda file: None)
    assert clip(moved).identity == identity
    (moved / "open_clip_model.safetensors").write_bytes(b"other weights")
    assert clip(moved).identity != identity


def test_clip_faults(clip_folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    name = "open_clip_model.safetensors"
    without = altered(clip_folder, tmp_path / "without", name, lambda file: file.unlink())
    with pytest.raises(ConfigurationError, match=r"holds no open_clip_config\.json"):
        clip(empty).check()
    with pytest.raises(ConfigurationError, match=f"without holds no weights: put {name}"):
        clip(without).check()
    with pytest.raises(ConfigurationError, match="no architecture 'ViT-X'"):
        clip("ViT-X:openai").check()
    with pytest.raises(ConfigurationError, match=r"'nope' is neither .* \(openai, laion400m"):
        clip("ViT-L-14:nope").check()

    def shrink(file):
        config = json.loads(file.read_text())
        config["model_cfg"]["embed_dim"] = 8
        file.write_text(json.dumps(config))

    other = altered(clip_folder, tmp_path / "other", "open_clip_config.json", shrink)
    with pytest.raises(ConfigurationError, match="does not load as"):
        clip(other).encode(PICTURES)


def test_weights_of_another_sha256_are_refused(clip_folder, wav2vec2_folder):
    for modality, build, folder, name in (
        ("video", OpenCLIP, clip_folder, "open_clip_model.safetensors"),
        ("audio", Wav2Vec2, wav2vec2_folder, "model.safetensors"),
    ):
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        build(Settings(**{modality: {"model": str(folder), "sha256": found.upper()}})).check()
        other = Settings(**{modality: {"model": str(folder), "sha256": "0" * 64}})
        with pytest.raises(ConfigurationError, match=rf"{name} has the sha256 {found}, not the"):
            build(other).check()


# --- wav2vec 2.0


def test_wav2vec2_equals_transformers_itself(wav2vec2_folder):
    import torch
    from transformers import Wav2Vec2Model

    encoder = wav2vec2(wav2vec2_folder)
    encoder.check()
    assert encoder.dimension == 24
    network = Wav2Vec2Model.from_pretrained(wav2vec2_folder).eval()
    sound = torch.from_numpy(SOUNDS[0])
    normalised = (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)
    with torch.inference_mode():
        expected = network(normalised[None]).last_hidden_state[0].numpy()
    (found,) = encoder.encode(SOUNDS[:1])
    assert found.shape == (49, 24)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # float32 rounding of unscaled output


def test_wav2vec2_windows_of_several_lengths(wav2vec2_folder):
    """Windows are not padded, so their batch does not matter; the shortest still give a frame."""
    encoder = wav2vec2(wav2vec2_folder)
    windows = [SOUNDS[0], SOUNDS[1][:7000], SOUNDS[2], SOUNDS[0][:1]]
    together = encoder.encode(windows)
    assert [len(frames) for frames in together] == [49, 21, 49, 1]
    for window, frames in zip(windows, together, strict=True):
        (alone,) = encoder.encode([window])
        np.testing.assert_allclose(unit_length(alone), unit_length(frames), atol=1e-5)
    assert encoder.encode([]) == []


def test_wav2vec2_silence_is_finite(wav2vec2_folder):
    (frames,) = wav2vec2(wav2vec2_folder).encode([np.zeros(16_000, dtype=np.float32)])
    assert np.isfinite(frames).all()


def test_wav2vec2_identity_follows_content(wav2vec2_folder, tmp_path):
    identity = wav2vec2(wav2vec2_folder).identity
    moved = altered(wav2vec2_folder, tmp_path / "tiny-wav2vec2", "config.json", lambda file: None)
    assert wav2vec2(moved).identity == identity
    preprocessing = json.loads((moved / "preprocessor_config.json").read_text())
    preprocessing["do_normalize"] = False
    (moved / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    assert wav2vec2(moved).identity != identity


def test_wav2vec2_faults(wav2vec2_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    def drop_a_weight(file):
        weights = load_file(file)
        weights.pop("feature_projection.projection.weight")
        save_file(weights, file, metadata={"format": "pt"})

    name = "model.safetensors"
    partial = altered(wav2vec2_folder, tmp_path / "partial", name, drop_a_weight)
    with pytest.raises(ConfigurationError, match="lacks 1 weights, such as feature_projection"):
        wav2vec2(partial).encode(SOUNDS)

    def rename(file):
        file.write_text(json.dumps({"model_type": "hubert", "hidden_size": 4}))

    other = altered(wav2vec2_folder, tmp_path / "other", "config.json", rename)
    with pytest.raises(ConfigurationError, match="of type 'hubert', not wav2vec2"):
        wav2vec2(other).check()


# --- the model hub


@pytest.mark.parametrize(("modality", "build"), [("video", clip), ("audio", wav2vec2)])
def test_hub_that_cannot_be_reached(modality, build, tmp_path):
    """Offline is decided when the hub's library is imported, hence a process of its own."""
    import os
    import subprocess
    import sys

    script = (
        "from mediafm_core.config.settings import Settings\n"
        "from mediafm_core.encoders import profiles\n"
        "from mediafm_core.errors import ConfigurationError\n"
        f"try: profiles.{modality}_encoder(Settings(profile='mediafm')).check()\n"
        "except ConfigurationError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert "are not on this machine" in result.stdout
    assert f"set `{modality}.model` to a local folder" in result.stdout
    with pytest.raises(ConfigurationError, match="neither a folder that exists nor a name"):
        build("no/such/folder").check()


def test_mediafm_profile_takes_these_encoders(clip_folder, wav2vec2_folder):
    settings = Settings(
        profile="mediafm",
        video={"model": str(clip_folder)},
        audio={"model": str(wav2vec2_folder)},
    )
    assert isinstance(profiles.video_encoder(settings), OpenCLIP)
    assert isinstance(profiles.audio_encoder(settings), Wav2Vec2)
    assert profiles.text_encoder(settings).identity.name == "openai"
