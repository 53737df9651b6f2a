"""Choice and description of the streams that represent a title."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from make_media import gradient, moving, tone, write_media

from mediafm_core.errors import TitleError
from mediafm_core.media.probe import MediaProbe, probe
from mediafm_core.titles.title_file import TitleFile


def test_real_titles(shared_media: Path):
    nasa = probe(TitleFile.at(shared_media / "nasa_13013" / "media.mp4"), "en")
    assert (nasa.video.index, nasa.video.width, nasa.video.height) == (0, 320, 180)
    assert nasa.audio is not None
    assert (nasa.audio.index, nasa.audio.sample_rate) == (1, 8000)
    assert [track.index for track in nasa.subtitles] == [2, 5]
    assert {track.codec for track in nasa.subtitles} == {"mov_text"}

    friday = probe(TitleFile.at(shared_media / "his_girl_friday" / "media.mp4"), "en")
    assert friday.video.index == 1
    assert friday.audio is not None
    assert friday.audio.index == 0
    assert friday.duration_s == pytest.approx(6.166)


def test_a_probe_survives_json(shared_media: Path):
    described = probe(TitleFile.at(shared_media / "nasa_13013" / "media.mp4"))
    assert MediaProbe.model_validate_json(described.model_dump_json()) == described


@pytest.mark.parametrize(("language", "index"), [("en", 1), ("eng", 1), ("de-AT", 2), ("fr", 1)])
def test_sound_of_the_titles_language_comes_first(tmp_path: Path, language: str, index: int):
    path = write_media(
        tmp_path / "film.mkv", moving(25), sound=tone(1), sound_languages=("eng", "deu")
    )
    audio = probe(TitleFile.at(path), language).audio
    assert audio is not None
    assert audio.index == index


def test_cover_art_is_not_chosen_as_video(tmp_path: Path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(gradient(64, 64), format="rgb24")
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
    with pytest.raises(TitleError, match="no video stream"):
        probe(TitleFile.at(path))


def test_a_file_without_video_is_refused(tmp_path: Path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1)[None].astype("float32"), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(TitleError, match="no video stream"):
        probe(TitleFile.at(path))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_display_size_follows_pixel_shape_and_rotation(tmp_path: Path, suffix: str):
    wide = write_media(
        tmp_path / f"wide.{suffix}", moving(3), pixel_aspect=Fraction(4, 3), rotation=90
    )
    video = probe(TitleFile.at(wide)).video
    assert (video.width, video.height) == (96, 64)
    assert (video.display_width, video.display_height) == (64, 128)
    assert video.rotation in (90, 270)


def test_a_file_without_pictures_in_its_stream_is_refused(tmp_path: Path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1)[None].astype("float32"), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(TitleError, match="no picture that can be decoded"):
        probe(TitleFile.at(path))


def test_a_decoder_that_does_not_open_is_a_title_error(tmp_path: Path):
    path = write_media(tmp_path / "film.wmv", moving(3), codec="wmv2")
    data = path.read_bytes()
    size = struct.pack("<ii", 96, 64)
    assert size in data
    path.write_bytes(data.replace(size, struct.pack("<ii", -96, 64)))
    with pytest.raises(TitleError, match="cannot be decoded"):
        probe(TitleFile.at(path))


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        (b"00:00:02.500000000", 2.5),
        (b"239:59:59", 863_999.0),
        (b"00:00:1/0", None),
        (b"00:00:1e5000000", None),
        (b"00:00:1e999999999", None),
        (b"00:00:-1", None),
        (b"00:00:nan", None),
        (b"999:00:00", None),
        (b"soon", None),
    ],
)
def test_a_malformed_duration_tag_is_ignored(tmp_path: Path, tag: bytes, seconds: float | None):
    path = write_media(tmp_path / "film.mkv", moving(25))
    data = path.read_bytes()
    start = data.index(b"00:00:0", data.index(b"DURATION"))
    path.write_bytes(data[:start] + tag.ljust(18, b"\0") + data[start + 18 :])
    assert probe(TitleFile.at(path)).video.duration_s == seconds


@pytest.mark.parametrize("pixel_aspect", [Fraction(20), Fraction(1, 20)])
def test_an_implausible_aspect_ratio_is_refused(tmp_path: Path, pixel_aspect: Fraction):
    path = write_media(tmp_path / "film.mp4", moving(3), pixel_aspect=pixel_aspect)
    with pytest.raises(TitleError, match="aspect ratio"):
        probe(TitleFile.at(path))


def test_the_largest_aspect_ratio_is_accepted(tmp_path: Path):
    video = probe(TitleFile.at(write_media(tmp_path / "film.mp4", moving(3, 256, 32)))).video
    assert (video.display_width, video.display_height) == (256, 32)


def test_a_picture_that_is_too_large_is_refused(tmp_path: Path):
    row = np.zeros((16, 16_400, 3), np.uint8)
    path = write_media(tmp_path / "film.mkv", [row], codec="ffv1")
    with pytest.raises(TitleError, match="16400 x 16, more than"):
        probe(TitleFile.at(path))
