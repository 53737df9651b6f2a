"""Damage is counted by what the decoder cannot decode, not by the marks of the container."""

import shutil
from pathlib import Path

import pytest
from decoded_media import decode
from make_media import ffmpeg

from mediafm_core.errors import TitleError

PACKET = 188


@pytest.fixture(scope="module", params=["libx264", "mpeg2video"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Write a transport stream of 500 frames."""
    path = tmp_path_factory.mktemp("recording") / "film.ts"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=20"),
        *("-f", "lavfi", "-i", "sine=duration=20"),
        *("-c:v", request.param, "-b:v", "1M", "-g", 50, "-c:a", "mp2", path),
    )
    return path.read_bytes()


def packets(data: bytes) -> list[bytearray]:
    return [bytearray(data[at : at + PACKET]) for at in range(0, len(data), PACKET)]


def pictures_of(stream: list[bytearray]) -> list[int]:
    """Return the offsets of full video packets (PID 256) that do not begin a frame."""
    return [
        place
        for place, packet in enumerate(stream)
        if (packet[1] & 0x1F, packet[2]) == (1, 0)
        and not packet[1] & 0x40
        and packet[3] & 0x30 == 0x10
    ]


def test_packet_counters_that_restart_are_not_damage(tmp_path: Path, recording: bytes):
    """The stream consists of segments with packet counters of their own."""
    stream = packets(recording)
    for place, packet in enumerate(stream):
        segment = 5 * place // len(stream)
        packet[3] = packet[3] & 0xF0 | (packet[3] + 3 * segment) & 0x0F
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(stream))
    found = decode(path)
    assert (len(found.times), found.decoder.damaged_packets) == (500, 0)


def test_one_lost_packet_is_counted_and_accepted(tmp_path: Path, recording: bytes):
    """The loss is counted if the decoder notices it; the rest may decode by chance."""
    stream = packets(recording)
    middle = pictures_of(stream)
    del stream[middle[len(middle) // 2]]
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(stream))
    found = decode(path)
    assert len(found.times) == 500
    assert found.decoder.damaged_packets <= 1


def test_many_lost_packets_are_refused(tmp_path: Path, recording: bytes):
    stream = packets(recording)
    for place in reversed(pictures_of(stream)[50::40]):
        del stream[place]
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(stream))
    with pytest.raises(TitleError, match="packets cannot be decoded"):
        decode(path)


@pytest.mark.parametrize(("case", "pictures"), [("damaged_ts", 74), ("damaged_flv", 73)])
def test_streams_that_appear_in_the_middle_are_skipped(
    shared_cases: Path, tmp_path: Path, case: str, pictures: int
):
    """Damage can look like new streams to the demuxer; PyAV has no objects for them."""
    (source,) = (shared_cases / "hostile" / "inbox" / case).glob("film.*")
    assert len(decode(Path(shutil.copy(source, tmp_path))).times) == pictures
