"""Times of video frames and sound, and truncated files."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from make_media import moving, tone, write_media

from mediafm_core.errors import TitleError
from mediafm_core.media.decoding import FrameClock, MediaDecoder, Picture, Sound
from mediafm_core.media.probe import probe
from mediafm_core.media.soundtrack import SAMPLE_RATE, SoundtrackWriter
from mediafm_core.titles.title_file import TitleFile


def decode(path: Path) -> tuple[list[float], MediaDecoder]:
    decoder = MediaDecoder(TitleFile.at(path), probe(TitleFile.at(path)))
    return [item.time_s for item in decoder if isinstance(item, Picture)], decoder


def soundtrack(path: Path) -> np.ndarray:
    flac = path.with_suffix(".flac")
    with SoundtrackWriter(flac) as writer:
        for item in MediaDecoder(TitleFile.at(path), probe(TitleFile.at(path))):
            if isinstance(item, Sound):
                writer.write(item)
    assert not flac.exists() or soundfile.info(flac).frames == round(writer.seconds * SAMPLE_RATE)
    return soundfile.read(flac)[0] if flac.exists() else np.empty(0)


def loud(samples: np.ndarray, start_s: float, end_s: float) -> float:
    """Return the root mean square of an interval."""
    return float(np.sqrt(np.mean(samples[int(start_s * 16e3) : int(end_s * 16e3)] ** 2)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_keeps_the_time_stamps_of_the_file(tmp_path: Path, suffix: str):
    written = np.cumsum([0.0, *np.tile([0.04, 0.1, 0.02], 10)])
    times, decoder = decode(write_media(tmp_path / f"film.{suffix}", moving(31), written))
    assert times == pytest.approx(written, abs=1e-3)
    assert decoder.end_s > times[-1]


def test_a_transport_stream_starts_near_zero(tmp_path: Path):
    stamps = 100 + np.arange(25) / 25
    path = write_media(tmp_path / "film.ts", moving(25), stamps, sound=tone(1), sound_start_s=100)
    assert probe(TitleFile.at(path)).start_s == pytest.approx(100, abs=0.1)
    times, _ = decode(path)
    assert times == pytest.approx(np.arange(25) / 25, abs=0.05)
    assert loud(soundtrack(path), 0.1, 0.9) > 0.3


def test_bad_time_stamps_still_give_increasing_times():
    clock = FrameClock(start_s=10.0, frame_s=0.04)
    frame = av.VideoFrame(16, 16)
    frame.time_base = Fraction(1, 100)
    times = []
    for pts in (None, 1010, 1010, 1005, None, 1100):
        frame.pts = pts
        times.append(clock.time_of(frame))
    assert times == pytest.approx([0.0, 0.1, 0.14, 0.18, 0.22, 1.0])
    assert clock.end_s == pytest.approx(1.04)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("title", ["his_girl_friday", "sintel_scene"])
def test_a_truncated_real_file_is_refused(
    shared_media: Path, tmp_path: Path, title: str, share: float
):
    """Both files have their index at the front, so that they open and start normally."""
    data = (shared_media / title / "media.mp4").read_bytes()
    path = tmp_path / "media.mp4"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TitleError, match="truncated"):
        decode(path)


def test_a_truncated_matroska_file_is_refused(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(200), sound=tone(8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TitleError, match="truncated"):
        decode(path)


def test_sound_is_resampled_in_place(tmp_path: Path):
    samples = soundtrack(write_media(tmp_path / "film.mkv", moving(50), sound=tone(2.0)))
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=1024)
    assert loud(samples, 0.2, 1.8) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE]))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_that_starts_late_is_preceded_by_silence(tmp_path: Path, suffix: str):
    path = write_media(tmp_path / f"film.{suffix}", moving(75), sound=tone(1.5), sound_start_s=1.2)
    samples = soundtrack(path)
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.7, abs=0.07)
    assert loud(samples, 0.0, 1.1) < 1e-3
    assert loud(samples, 1.3, 2.5) > 0.3


def test_a_gap_in_the_sound_is_silence(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(100), sound=tone(3.0), sound_gap=(1.0, 2.0))
    samples = soundtrack(path)
    assert len(samples) / SAMPLE_RATE == pytest.approx(4.0, abs=0.07)
    assert loud(samples, 0.2, 0.9) > 0.3
    assert loud(samples, 1.15, 1.85) < 0.02
    assert loud(samples, 2.15, 3.9) > 0.3


def test_without_sound_there_is_no_file(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(5))
    assert soundtrack(path).size == 0
    assert not path.with_suffix(".flac").exists()


def test_an_error_leaves_no_soundtrack(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(25), sound=tone(1))
    flac = tmp_path / "film.flac"

    def fail_half_way():
        with SoundtrackWriter(flac) as writer:
            for item in MediaDecoder(TitleFile.at(path), probe(TitleFile.at(path))):
                if isinstance(item, Sound):
                    writer.write(item)
            raise TitleError("half way")

    with pytest.raises(TitleError, match="half way"):
        fail_half_way()
    assert not flac.exists()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_pause_within_the_title_is_accepted(tmp_path: Path, suffix: str):
    path = write_media(
        tmp_path / f"film.{suffix}",
        moving(21),
        np.arange(21) * 10.0,
        sound=tone(2.0),
        sound_gap=(1.0, 150.0),
    )
    samples = soundtrack(path)
    assert len(samples) / SAMPLE_RATE == pytest.approx(151, abs=0.2)
    assert loud(samples, 150.1, 150.8) > 0.3


def test_sound_may_outlast_the_pictures(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(5), sound=tone(20.0))
    assert len(soundtrack(path)) / SAMPLE_RATE == pytest.approx(20, abs=0.1)


def test_a_stream_missing_since_the_probe_is_a_title_error(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(5), sound=tone(0.2))
    described = probe(TitleFile.at(path))
    write_media(path, moving(5))
    with pytest.raises(TitleError, match="no longer shows its audio stream 1"):
        list(MediaDecoder(TitleFile.at(path), described))
