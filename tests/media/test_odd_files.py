"""Real files with tags, side data and captions, and with formats that change within a file."""

from pathlib import Path

import numpy as np
import pytest
from decoded_media import decode
from make_media import ffmpeg, gradient
from PIL import Image

from mediafm_core.media.probe import CAPTIONS_UNREAD

MARK = b"ZZZZqq"
VIDEO = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=2")
SOUND = ("-f", "lavfi", "-i", "sine=duration=2")


@pytest.mark.parametrize(
    ("suffix", "codecs"),
    [
        ("mp4", ("mpeg4", "aac")),
        ("mov", ("mpeg4", "aac")),
        ("mkv", ("mpeg4", "aac")),
        ("avi", ("mpeg4", "mp3")),
        ("flv", ("flv1", "mp3")),
        ("ts", ("mpeg2video", "mp2")),
    ],
)
def test_tags_in_another_encoding_have_no_effect(
    tmp_path: Path, suffix: str, codecs: tuple[str, str]
):
    """The tags are of the file, its streams, chapters and services."""
    tags = tmp_path / "tags.txt"
    chapter = "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=ZZZZqq\n"
    tags.write_text(f";FFMETADATA1\ntitle=ZZZZqq\nservice_name=ZZZZqq\n{chapter}")
    path = tmp_path / f"film.{suffix}"
    ffmpeg(
        *(*VIDEO, *SOUND, "-i", tags, "-map", "0", "-map", "1", "-map_metadata", 2),
        *("-map_chapters", 2, "-metadata:s:a:0", "title=ZZZZqq"),
        *("-c:v", codecs[0], "-c:a", codecs[1], path),
    )
    data = path.read_bytes()
    assert MARK in data
    path.write_bytes(data.replace(MARK, b"\xe9\xff\x80 qq"))
    assert len(decode(path).times) in (50, 51)


@pytest.mark.parametrize(("orientation", "size"), [(1, (96, 64)), (6, (64, 96)), (7, (64, 96))])
def test_pictures_with_exif(tmp_path: Path, orientation: int, size: tuple[int, int]):
    """PyAV does not support EXIF side data; the camera's orientation is applied."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(gradient(96, 64)).save(tmp_path / "picture.jpg", exif=exif)
    path = tmp_path / "film.mov"
    still = ("-loop", 1, "-framerate", 25, "-t", 1, "-i", tmp_path / "picture.jpg")
    ffmpeg(*still, "-c", "copy", path)
    found = decode(path)
    assert len(found.times) == 25
    video = found.probe.video
    assert (video.display_width, video.display_height) == size
    assert video.orientation.transpose == (orientation > 4)
    if orientation == 7:
        assert video.orientation.flip_horizontal
        assert video.orientation.flip_vertical


def with_captions(units: bytes) -> bytes:
    """Insert a CEA-608 message (ATSC A/53) before each frame of an H.264 stream."""
    pairs = bytes([0xFC, 0x94, 0x20, 0xFC, 0x48, 0x69])  # "resume caption loading", "Hi"
    message = b"\xb5\x00\x31GA94\x03" + bytes([0xC0 | 2, 0xFF]) + pairs + b"\xff"
    sei = b"\x00\x00\x00\x01\x06\x04" + bytes([len(message)]) + message + b"\x80"
    start = b"\x00\x00\x00\x01"
    pieces = units.split(start)
    pictures = (0x61, 0x41, 0x01, 0x65, 0x21)
    return start.join(
        piece if not piece or piece[0] not in pictures else sei[4:] + start + piece
        for piece in pieces
    )


def test_captions_inside_the_pictures_give_a_note(tmp_path: Path):
    raw, path = tmp_path / "film.h264", tmp_path / "film.mp4"
    ffmpeg(*VIDEO, "-c:v", "libx264", "-x264-params", "slices=1:repeat-headers=1", raw)
    units = raw.read_bytes().replace(b"\x00\x00\x00\x01", b"\x00\x00\x01")
    raw.write_bytes(with_captions(units.replace(b"\x00\x00\x01", b"\x00\x00\x00\x01")))
    ffmpeg("-r", 25, "-i", raw, "-c", "copy", path)
    found = decode(path)
    assert found.probe.captions_in_pictures
    assert found.probe.notes == (CAPTIONS_UNREAD,)


def test_size_and_pixel_format_may_change_within_a_file(tmp_path: Path):
    parts = []
    for size, pixels in (("96x64", "yuv420p"), ("160x120", "yuv422p10le"), ("64x64", "yuv420p")):
        part = tmp_path / f"{size}.ts"
        ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=1"),
            *("-c:v", "libx264", "-pix_fmt", pixels, part),
        )
        parts.append(part.read_bytes())
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(parts))
    found = decode(path)
    assert len(found.times) == 75
    assert found.decoder.end_s == pytest.approx(3, abs=0.2)


def test_a_dvd_has_a_stream_before_its_pictures(tmp_path: Path):
    path = tmp_path / "film.vob"
    ffmpeg(*VIDEO, *SOUND, "-target", "pal-dvd", path)
    found = decode(path)
    assert found.probe.video.index == 1
    assert len(found.times) == 50
    assert found.sound_s == pytest.approx(2, abs=0.1)


def test_slides_in_a_transport_stream(tmp_path: Path):
    """There is a frame every 15 s, and the encoder reorders some of them."""
    path = tmp_path / "film.ts"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1/15:duration=90"),
        *(
            "-f",
            "lavfi",
            "-i",
            "sine=duration=90:sample_rate=16000",
            "-c:v",
            "libx264",
            "-c:a",
            "mp2",
            path,
        ),
    )
    found = decode(path)
    assert np.diff(found.times) == pytest.approx([15.0] * 5, abs=0.01)
    assert found.decoder.clock_jumps == 0


def test_pictures_never_start_below_zero(tmp_path: Path):
    """The 33-bit clock of MPEG wraps between the first two frames."""
    path = tmp_path / "film.ts"
    wraps_s = 2**33 / 90_000
    ffmpeg(*VIDEO, "-c:v", "mpeg2video", "-output_ts_offset", wraps_s - 1.44 - 0.02, path)
    found = decode(path)
    assert -0.1 < found.probe.start_s < 0
    assert found.times == pytest.approx(np.arange(50) / 25)
