"""Downmix of sound with any number of channels, in any phase, to mono."""

from pathlib import Path

import av
import numpy as np
import pytest
from decoded_media import decode
from make_media import ffmpeg, moving, tone, write_media

from mediafm_core.media.probe import probe
from mediafm_core.titles.title_file import TitleFile

VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=3")


def with_sound(path: Path, expressions: str, *options: object) -> Path:
    sound = f"aevalsrc={expressions}:duration=3:sample_rate=48000:channel_layout=stereo"
    ffmpeg(*VIDEO, "-f", "lavfi", "-i", sound, "-c:v", "mpeg4", *options, path)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mkv", "flac"), ("mkv", "pcm_u8"), ("mkv", "pcm_f32le"), ("mp4", "aac"), ("ts", "mp2")],
)
def test_channels_in_opposite_phase_do_not_cancel(tmp_path: Path, suffix: str, codec: str):
    tone_of = "0.5*sin(2*PI*440*t)"
    path = with_sound(tmp_path / f"film.{suffix}", f"{tone_of}|-{tone_of}", "-c:a", codec)
    found = decode(path)
    assert found.loudness(0.2, 2.8) == pytest.approx(0.35, rel=0.1)
    assert found.pitch(0.5, 2.5) == pytest.approx(440, abs=1)
    spectrum = np.abs(np.fft.rfft(found.sound[16_000:32_000]))
    assert spectrum.max() > 0.98 * np.linalg.norm(spectrum)
    assert found.facts["opposite_phase_s"] == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    "expressions",
    [
        "0.5*sin(2*PI*440*t)|0.5*sin(2*PI*440*t)",
        "0.5*sin(2*PI*440*t)|0",
        "0.5*sin(2*PI*440*t)|0.5*sin(2*PI*1000*t)",
        "0.5*sin(2*PI*440*t)|0.5*sin(2*PI*440*t+2.5)",
        "0.0001*sin(2*PI*440*t)|-0.0001*sin(2*PI*440*t)",
    ],
)
def test_other_sound_is_mixed_by_libav(tmp_path: Path, expressions: str):
    path = with_sound(tmp_path / "film.mkv", expressions, "-c:a", "pcm_s16le")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    mixed = np.concatenate([frame.to_ndarray()[0] for frame in frames]) / 32_768
    found = decode(path)
    assert np.array_equal(found.sound, mixed.astype(np.float32))
    assert found.facts == {}


def with_channels(path: Path, channels: int) -> Path:
    """Write a second of a tone in many channels without a channel layout."""
    raw = path.with_suffix(".raw")
    samples = np.round(16_000 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000))
    raw.write_bytes(samples.astype("<i2").repeat(channels).tobytes())
    sound = ("-f", "s16le", "-ar", 8_000, "-channel_layout", f"{channels}C", "-i", raw)
    ffmpeg(*VIDEO, *sound, "-c:v", "mpeg4", "-c:a", "copy", path)
    return path


@pytest.mark.parametrize("channels", [9, 30, 60])
def test_channels_of_an_unknown_layout_are_averaged(tmp_path: Path, channels: int):
    found = decode(with_channels(tmp_path / "film.mkv", channels))
    assert found.loudness(0.1, 0.9) == pytest.approx(0.35, rel=0.05)
    assert found.pitch(0, 1) == pytest.approx(440, abs=1)
    assert found.facts == {"averaged_channels": channels}


def test_a_stream_with_too_many_channels_is_skipped_with_a_note(tmp_path: Path):
    found = decode(with_channels(tmp_path / "film.mkv", 100))
    assert found.sound_s == 0
    assert found.probe.audio is None
    assert found.probe.notes == (
        "stream 1 (sound of 100 channels) is not used: at most 64 can be mixed",
    )


def test_a_stream_with_an_implausible_rate_is_skipped_with_a_note(tmp_path: Path):
    path = tmp_path / "film.mkv"
    ffmpeg(
        *VIDEO,
        *("-f", "lavfi", "-i", "sine=duration=3:sample_rate=200", "-c:v", "mpeg4"),
        *("-ar", 200, "-c:a", "pcm_s16le", path),
    )
    found = decode(path)
    assert (found.probe.audio, found.sound_s) == (None, 0)
    assert "sound at 200 Hz" in found.probe.notes[0]


def test_layout_and_rate_may_change_within_a_file(tmp_path: Path):
    """A broadcast changes from surround to stereo, and to another sample rate."""
    parts = []
    for layout, rate in (("5.1", 48_000), ("stereo", 44_100), ("mono", 32_000)):
        part = tmp_path / f"{layout}.ts"
        sound = f"sine=frequency=440:duration=3:sample_rate={rate}"
        ffmpeg(
            *(*VIDEO, "-f", "lavfi", "-i", sound, "-af", f"aformat=channel_layouts={layout}"),
            *("-c:v", "mpeg2video", "-c:a", "ac3", part),
        )
        parts.append(part.read_bytes())
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(parts))
    found = decode(path)
    assert found.sound_s == pytest.approx(9, abs=0.3)
    for start in (0.5, 3.5, 6.5):
        assert found.pitch(start, start + 2) == pytest.approx(440, abs=2)


def test_a_track_without_decoder_is_chosen_last(tmp_path: Path):
    """Phones record spatial sound in a proprietary codec, with a stereo track beside it."""
    path = write_media(
        tmp_path / "film.mkv", moving(5), sound=tone(0.3), sound_languages=("eng", "eng")
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A_AAC", b"A_XYZ", 1))
    audio = probe(TitleFile.at(path), "en").audio
    assert audio is not None
    assert audio.index == 2
