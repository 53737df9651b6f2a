"""Files whose clock wraps, jumps, pauses or restarts, for video and sound alike."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from decoded_media import Decoded, decode
from make_media import ffmpeg, gradient, tone, write_media

PCM_RATE = 8_000


def transport_stream(
    path: Path, offset_s: float = 0.0, seconds: int = 8, hertz: int = 440
) -> bytes:
    """Return a file with video and a tone whose clock starts near `offset_s`."""
    ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=size=64x64:rate=25:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=frequency={hertz}:duration={seconds}"),
        *("-c:v", "mpeg2video", "-c:a", "mp2", "-output_ts_offset", offset_s, path),
    )
    return path.read_bytes()


def small(count: int) -> list[np.ndarray]:
    return [gradient(32, 32, 2 * number) for number in range(count)]


def seconds(start: float, end: float) -> list[float]:
    """Return the times of 25 frames per second."""
    return [start + number / 25 for number in range(round((end - start) * 25))]


def pictures_first(
    path: Path, pictures_s: Sequence[float], sound_s: Iterable[float], length_s: float = 0.1
) -> Path:
    """Write video frames at given times, and after them chunks of PCM at other times."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuvj420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=PCM_RATE, layout="mono")
        for picture, time_s in zip(small(len(pictures_s)), pictures_s, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for time_s in sound_s:
            samples = np.full((1, round(PCM_RATE * length_s)), 9_000, np.int16)
            samples[0, ::2] = -9_000
            sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            sound.sample_rate, sound.time_base = PCM_RATE, Fraction(1, PCM_RATE)
            sound.pts = round(time_s * PCM_RATE)
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return path


def require_even(found: Decoded, frames: int, seconds: float) -> None:
    """Require video without a gap, and sound of the same length."""
    assert len(found.times) == frames
    assert 0 <= found.times[0] < 0.1
    assert np.diff(found.times).max() < 0.15
    assert found.decoder.end_s == pytest.approx(seconds, abs=0.15)
    assert found.sound_s == pytest.approx(seconds, abs=0.15)


def test_time_stamps_continue_when_the_clock_wraps(tmp_path: Path):
    """The 33-bit clock of MPEG wraps 3.7 s after this recording starts."""
    transport_stream(tmp_path / "film.ts", 95_440)
    found = decode(tmp_path / "film.ts")
    require_even(found, 200, 8.0)
    assert found.decoder.clock_jumps == 0


@pytest.mark.parametrize(
    ("first_s", "second_s", "jumped_s"),
    [(0, 7200, 7192), (7200, 0, 7208), (0, 0, 8), (0, 100, 92), (95_440, 0, 4)],
)
def test_joined_recordings_are_continuous(
    tmp_path: Path, first_s: float, second_s: float, jumped_s: float
):
    path = tmp_path / "film.ts"
    first = transport_stream(tmp_path / "first.ts", first_s, hertz=400)
    path.write_bytes(first + transport_stream(tmp_path / "second.ts", second_s, hertz=800))
    found = decode(path)
    require_even(found, 400, 16.0)
    assert found.pitch(7, 7.9) == pytest.approx(400, abs=5)
    assert found.pitch(8.2, 9) == pytest.approx(800, abs=5)
    assert found.decoder.clock_jumps == 1
    assert found.decoder.clock_jumped_s == pytest.approx(jumped_s, abs=1)
    assert found.decoder.damaged_packets == 0


@pytest.mark.parametrize("suffix", ["mkv", "mpg"])
def test_joined_files_of_other_formats_are_continuous(tmp_path: Path, suffix: str):
    part = tmp_path / f"part.{suffix}"
    transport_stream(part)
    (tmp_path / f"film.{suffix}").write_bytes(part.read_bytes() * 2)
    require_even(decode(tmp_path / f"film.{suffix}"), 400, 16.0)


def test_lost_parts_of_a_broadcast_recording_are_closed(tmp_path: Path):
    times = seconds(0, 4) + seconds(184, 188)
    found = decode(
        write_media(
            tmp_path / "film.ts",
            small(200),
            times,
            codec="libx264",
            sound=tone(8),
            sound_gap=(4.0, 184.0),
        )
    )
    require_even(found, 200, 8.0)
    assert found.decoder.clock_jumped_s == pytest.approx(180, abs=0.2)


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("mkv", "mpeg4")])
def test_a_frame_may_last_while_the_sound_continues(tmp_path: Path, suffix: str, codec: str):
    times = seconds(0, 2) + seconds(22, 24)
    found = decode(
        write_media(tmp_path / f"film.{suffix}", small(100), times, codec=codec, sound=tone(24))
    )
    assert np.diff(found.times).max() == pytest.approx(20, abs=0.1)
    assert found.decoder.end_s == pytest.approx(24, abs=0.1)
    assert found.loudness(5, 20) > 0.3
    assert found.decoder.clock_jumps == 0


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("mkv", "mpeg4")])
def test_a_pause_of_the_sound_alone_is_silence(tmp_path: Path, suffix: str, codec: str):
    found = decode(
        write_media(
            tmp_path / f"film.{suffix}",
            small(850),
            codec=codec,
            sound=tone(6),
            sound_gap=(2.0, 30.0),
        )
    )
    assert found.sound_s == pytest.approx(34, abs=0.1)
    assert found.loudness(3, 29) < 0.01
    assert found.loudness(30.5, 33.5) > 0.3
    assert found.facts == {"pauses": 1, "paused_s": pytest.approx(28, abs=0.1)}
    assert found.decoder.clock_jumps == 0


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("mkv", "mpeg4")])
def test_sound_may_start_late(tmp_path: Path, suffix: str, codec: str):
    path = tmp_path / f"film.{suffix}"
    found = decode(write_media(path, small(400), codec=codec, sound=tone(2), sound_start_s=14.0))
    assert found.sound_s == pytest.approx(16, abs=0.1)
    assert found.loudness(0, 13.9) < 0.01


def test_a_screen_recording_shows_a_picture_for_minutes(tmp_path: Path):
    times = [60.0 * number for number in range(20)]
    found = decode(write_media(tmp_path / "film.mkv", small(20), times))
    assert found.times == pytest.approx(times)
    assert found.decoder.clock_jumps == 0


def test_a_slide_of_twenty_minutes_lasts_while_the_sound_continues(tmp_path: Path):
    """The sound is stored after all video frames in the file."""
    slides = [0.0, 1200.0, 1200.04]
    sound = [float(number) for number in range(1_201)]
    found = decode(pictures_first(tmp_path / "film.mkv", slides, sound, length_s=1.0))
    assert found.times == pytest.approx(slides, abs=1e-3)
    assert found.loudness(1190, 1200) > 0.1
    assert found.decoder.clock_jumps == 0


@pytest.mark.parametrize(("suffix", "hours"), [("mkv", 239), ("mov", 20)])
def test_a_gap_of_days_is_closed(tmp_path: Path, suffix: str, hours: int):
    gap_s = hours * 3600.0
    found = decode(pictures_first(tmp_path / f"film.{suffix}", [0.0, gap_s], [0.0, gap_s]))
    assert len(found.times) == 2
    assert found.decoder.end_s < 1
    assert found.sound_s < 1
    assert found.decoder.clock_jumps >= 1


def test_pauses_are_closed_beyond_an_hour_of_silence_in_all(tmp_path: Path):
    times = [500.0 * number for number in range(40)]
    found = decode(pictures_first(tmp_path / "film.mkv", times, times))
    assert len(found.times) == 40
    assert 3_000 < found.sound_s < 4_500


def test_a_jump_that_is_undone_shifts_no_later_packet(tmp_path: Path):
    """The clock jumps two hours ahead for a second, then continues as before."""
    path = tmp_path / "film.ts"
    parts = [transport_stream(path, offset, seconds=2) for offset in (0.0, 7200.0, 4.0)]
    path.write_bytes(b"".join(parts))
    found = decode(path)
    require_even(found, 150, 6.0)


def test_a_file_that_starts_below_zero_starts_at_zero(tmp_path: Path):
    path = tmp_path / "film.mpg"
    source = tmp_path / "source.ts"
    transport_stream(source)
    ffmpeg("-i", source, "-avoid_negative_ts", "disabled", "-output_ts_offset", -3, path)
    found = decode(path)
    assert found.probe.start_s < -1
    require_even(found, 200, 8.0)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4", "flv"])
def test_a_single_frame_lasts_as_long_as_the_sound(tmp_path: Path, suffix: str):
    path = tmp_path / f"film.{suffix}"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.04"),
        *("-f", "lavfi", "-i", "sine=duration=20", "-c:v", "libx264", "-c:a", "aac", path),
    )
    found = decode(path)
    assert len(found.times) == 1
    assert found.decoder.end_s == pytest.approx(20, abs=0.2)
    assert found.sound_s == pytest.approx(20, abs=0.2)


def test_subtitles_longer_than_the_film_have_no_effect(tmp_path: Path):
    text, path = tmp_path / "late.srt", tmp_path / "film.mkv"
    text.write_text("1\n00:00:01,000 --> 00:01:30,000\nHello\n")
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2", "-i", text),
        *("-c:v", "mpeg4", path),
    )
    assert decode(path).decoder.end_s == pytest.approx(2)
