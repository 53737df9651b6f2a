"""Which streams represent a title, and how they are described."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from make_media import gradient, moving, tone, write_media

from mediafm_core.errors import TitleError
from mediafm_core.media.probe import MediaProbe, probe


def test_real_titles(shared_media: Path):
    nasa = probe(shared_media / "nasa_13013" / "media.mp4", "en")
    assert (nasa.video.index, nasa.video.width, nasa.video.height) == (0, 320, 180)
    assert nasa.audio is not None
    assert (nasa.audio.index, nasa.audio.sample_rate) == (1, 8000)
    assert [track.index for track in nasa.subtitles] == [2, 5]
    assert {track.codec for track in nasa.subtitles} == {"mov_text"}

    friday = probe(shared_media / "his_girl_friday" / "media.mp4", "en")
    assert friday.video.index == 1
    assert friday.audio is not None
    assert friday.audio.index == 0
    assert friday.duration_s == pytest.approx(6.166)


def test_a_probe_survives_json(shared_media: Path):
    described = probe(shared_media / "nasa_13013" / "media.mp4")
    assert MediaProbe.model_validate_json(described.model_dump_json()) == described


@pytest.mark.parametrize(("language", "index"), [("en", 1), ("eng", 1), ("de-AT", 2), ("fr", 1)])
def test_sound_of_the_titles_language_comes_first(tmp_path: Path, language: str, index: int):
    path = write_media(
        tmp_path / "film.mkv", moving(25), sound=tone(1), sound_languages=("eng", "deu")
    )
    audio = probe(path, language).audio
    assert audio is not None
    assert audio.index == index


def test_cover_art_is_no_video(tmp_path: Path):
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
        probe(path)


def test_sound_alone_is_no_title(tmp_path: Path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1)[None].astype("float32"), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(TitleError, match="no video stream"):
        probe(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_display_size_follows_pixel_shape_and_rotation(tmp_path: Path, suffix: str):
    wide = write_media(
        tmp_path / f"wide.{suffix}", moving(3), pixel_aspect=Fraction(4, 3), rotation=90
    )
    video = probe(wide).video
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
        probe(path)
