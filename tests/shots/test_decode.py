"""Decode of a title in one pass, for real and for unusual files."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from make_media import gradient, moving, tone, write_media
from PIL import Image
from simple_detectors import CutEvery

from mediafm_core.config.media_settings import KeyframeSettings
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import TitleError
from mediafm_core.media.probe import probe
from mediafm_core.shots.decode import PARTS, SHOT_SCHEMA, DecodeSummary, decode_title
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA
from mediafm_core.shots.transnetv2 import TransNetV2Detector
from mediafm_core.titles.title_file import TitleFile


def one_pass(path: Path, detector, folder: Path, **settings) -> tuple[DecodeSummary, pa.Table]:
    batches: list[pa.RecordBatch] = []
    summary = decode_title(
        TitleFile.at(path),
        "a-title",
        probe(TitleFile.at(path), "en"),
        detector,
        KeyframeSettings(**settings),
        batches.append,
        folder / "soundtrack.flac",
    )
    return summary, pa.Table.from_batches(batches, KEYFRAME_SCHEMA)


def check(summary: DecodeSummary, keyframes: pa.Table) -> None:
    """Check properties of the decode of any title."""
    shots = summary.shots
    assert shots.schema == SHOT_SCHEMA
    start, end = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    first, last = shots["start_frame"].to_numpy(), shots["end_frame"].to_numpy()
    assert shots["shot_index"].to_pylist() == list(range(len(shots)))
    assert (start[1:] == end[:-1]).all()
    assert (end > start).all()
    assert (first[1:] == last[:-1] + 1).all()
    assert (first[0], last[-1] + 1) == (0, summary.frames)
    assert end[-1] == summary.duration_s

    assert keyframes.num_rows == summary.keyframes
    shot = keyframes["shot_index"].to_numpy()
    assert (np.unique(shot) == np.arange(len(shots))).all()
    assert (np.diff(shot) >= 0).all()
    frame, time_s = keyframes["frame"].to_numpy(), keyframes["time_s"].to_numpy()
    assert ((frame >= first[shot]) & (frame <= last[shot])).all()
    assert ((time_s >= start[shot]) & (time_s < end[shot])).all()
    assert (np.diff(frame) > 0).all()
    assert set(summary.cpu_seconds) == set(PARTS)


def pictures(keyframes: pa.Table) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in keyframes["jpeg"].to_pylist()]


@pytest.fixture(scope="module")
def transnet() -> TransNetV2Detector:
    return TransNetV2Detector(load_settings(device="cpu"))


@pytest.mark.parametrize(
    ("title", "frames", "cuts", "seconds", "size"),
    [
        ("his_girl_friday", 185, [], 6.167, (384, 288)),
        ("nasa_13013", 325, [202], 13.0, (320, 180)),
        ("sintel_scene", 652, [76, 121, 319, 457, 545, 611], 26.113, (509, 288)),
    ],
)
def test_real_titles(shared_media, transnet, tmp_path, title, frames, cuts, seconds, size):
    """`cuts` are the obvious ones: the picture changes from one frame to the next."""
    summary, keyframes = one_pass(shared_media / title / "media.mp4", transnet, tmp_path)
    check(summary, keyframes)
    assert summary.frames == frames
    assert summary.duration_s == pytest.approx(seconds, abs=1e-3)
    assert summary.damaged_packets == 0
    assert set(cuts) <= set(summary.shots["start_frame"].to_pylist())
    assert {picture.shape for picture in pictures(keyframes)} == {(size[1], size[0], 3)}
    sound = soundfile.info(tmp_path / "soundtrack.flac")
    assert (sound.samplerate, sound.channels, sound.subtype) == (16_000, 1, "PCM_16")
    assert sound.frames / 16_000 == summary.soundtrack_s
    assert summary.soundtrack_s == pytest.approx(seconds, abs=0.15)


def test_keyframes_hold_the_frames_in_their_rows(tmp_path: Path):
    """Each written picture carries its own number as its blue level."""
    path = write_media(tmp_path / "film.mp4", moving(120))
    summary, keyframes = one_pass(path, CutEvery(30), tmp_path, per_shot=2)
    check(summary, keyframes)
    assert keyframes["frame"].to_pylist() == [7, 22, 37, 52, 67, 82, 97, 112]
    for picture, frame in zip(pictures(keyframes), keyframes["frame"].to_pylist(), strict=True):
        assert picture[..., 2].mean() == pytest.approx(2 * frame, abs=6)


def test_shots_longer_than_the_detectors_delay(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(300, 64, 64))
    summary, keyframes = one_pass(path, CutEvery(1000), tmp_path, per_shot=3, short_side=64)
    check(summary, keyframes)
    assert len(summary.shots) == 1
    assert np.abs(keyframes["frame"].to_numpy() - [50, 150, 250]).max() <= 100 / 16 + 1


def test_variable_frame_rate(tmp_path: Path):
    times = np.cumsum([0.0, *np.tile([0.04, 0.12, 0.02], 30)])
    path = write_media(tmp_path / "film.mkv", moving(91), times)
    summary, keyframes = one_pass(path, CutEvery(20), tmp_path)
    check(summary, keyframes)
    assert summary.shots["start_s"].to_numpy() == pytest.approx(times[::20], abs=1e-3)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotated_pictures_are_turned_upright(tmp_path: Path, rotation: int):
    """The stored picture is turned by the inverse of the display matrix."""
    upright = gradient(96, 64)
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    path = write_media(tmp_path / "film.mp4", [stored] * 10, rotation=rotation)
    summary, keyframes = one_pass(path, CutEvery(100), tmp_path, per_shot=1)
    check(summary, keyframes)
    assert np.abs(pictures(keyframes)[0].astype(int) - upright).mean() < 8


def test_anamorphic_pictures_are_stretched(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", [gradient(100, 100)] * 5, pixel_aspect=Fraction(2, 1))
    summary, keyframes = one_pass(path, CutEvery(100), tmp_path, per_shot=1, short_side=64)
    check(summary, keyframes)
    assert (keyframes["width"][0].as_py(), keyframes["height"][0].as_py()) == (128, 64)


def test_odd_sizes(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", [gradient(101, 67)] * 5)
    summary, keyframes = one_pass(path, CutEvery(100), tmp_path, per_shot=1)
    check(summary, keyframes)
    assert pictures(keyframes)[0].shape == (67, 101, 3)
    assert np.abs(pictures(keyframes)[0].astype(int) - gradient(101, 67)).mean() < 8


def test_a_single_frame(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(1))
    summary, keyframes = one_pass(path, CutEvery(10), tmp_path)
    check(summary, keyframes)
    assert (summary.frames, keyframes.num_rows) == (1, 1)
    assert summary.duration_s == pytest.approx(0.04)


def test_no_sound(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(30))
    summary, _ = one_pass(path, CutEvery(10), tmp_path)
    assert summary.soundtrack_s == 0.0
    assert not (tmp_path / "soundtrack.flac").exists()


def test_late_sound_stays_late(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(75), sound=tone(1), sound_start_s=2.0)
    summary, _ = one_pass(path, CutEvery(10), tmp_path)
    samples, rate = soundfile.read(tmp_path / "soundtrack.flac")
    assert summary.soundtrack_s == pytest.approx(3.0, abs=0.07)
    assert np.abs(samples[: int(1.9 * rate)]).max() < 1e-3


def test_a_truncated_title_leaves_no_file(shared_media: Path, tmp_path: Path):
    data = (shared_media / "his_girl_friday" / "media.mp4").read_bytes()
    path = tmp_path / "film.mp4"
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(TitleError, match=r"film\.mp4.*truncated"):
        one_pass(path, CutEvery(10), tmp_path)
    assert not (tmp_path / "soundtrack.flac").exists()


def test_progress_is_reported_in_seconds(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(200))
    told: list[float] = []
    decode_title(
        TitleFile.at(path),
        "a-title",
        probe(TitleFile.at(path)),
        CutEvery(50),
        KeyframeSettings(),
        lambda batch: None,
        tmp_path / "soundtrack.flac",
        told.append,
    )
    assert told == sorted(told)
    assert 0 < told[-1] <= 8.0
