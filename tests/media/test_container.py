"""Opening of untrusted media files."""

import errno
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import av
import pytest
from make_media import moving, write_media

from mediafm_core.errors import TitleError
from mediafm_core.media.container import cause_in, open_media
from mediafm_core.media.probe import probe
from mediafm_core.titles.title_file import TitleFile

MODULE = "mediafm_core.media.container"


@pytest.fixture
def server():
    """A loopback web server, and the list of requested paths."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", requests
        http.shutdown()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "ts", "flv", "mpg", "ogv", "wmv"])
def test_real_containers_open(tmp_path: Path, suffix: str):
    codec = {"flv": "flv", "ogv": "libvpx", "wmv": "wmv2"}.get(suffix, "mpeg4")
    path = write_media(tmp_path / f"film.{suffix}", moving(10), codec=codec)
    with open_media(TitleFile.at(path)) as container:
        assert len(container.streams.video) == 1


def test_the_format_follows_from_the_content(tmp_path: Path):
    path = write_media(tmp_path / "film.mkv", moving(3)).rename(tmp_path / "film.mp4")
    with open_media(TitleFile.at(path)) as container:
        assert container.format.name.startswith("matroska")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"just some notes\n" * 50, "is a text file"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n", "HLS playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n#EXTINF:9,\n{file}\n", "HLS playlist"),
        (b"ffconcat version 1.0\nfile '{file}'\n", "ffconcat script"),
        (b"ffconcat version 1.0\nfile '{url}'\n", "ffconcat script"),
        (b"<MPD><BaseURL>{url}</BaseURL></MPD>", "XML"),
        (bytes(range(256)) * 20, "of an unknown kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "of an unknown kind"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, server, content: bytes, said: str):
    url, requests = server
    other = write_media(tmp_path / "other.mp4", moving(3))
    path = tmp_path / "film.mp4"
    content = content.replace(b"{url}", f"{url}/a.ts".encode())
    path.write_bytes(content.replace(b"{file}", str(other).encode()))
    with pytest.raises(TitleError, match=said) as refused, open_media(TitleFile.at(path)):
        pass
    assert str(path) in str(refused.value)
    assert requests == []


@pytest.mark.parametrize("format_name", ["hls", "concat"])
def test_each_further_defence_is_sufficient(tmp_path: Path, server, monkeypatch, format_name):
    """The second defence holds without the first one, and the third without both."""
    url, requests = server
    other = write_media(tmp_path / "other.ts", moving(25))
    script = {
        "hls": f"#EXTM3U\n#EXTINF:9,\n{{}}\n#EXTINF:9,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{{}}'\nfile '{url}/a.ts'\n",
    }[format_name]
    path = tmp_path / "film.mp4"
    path.write_text(script.format(other))

    def frames() -> int:
        try:
            with open_media(TitleFile.at(path)) as container:
                return sum(len(packet.decode()) for packet in container.demux())
        except av.FFmpegError:
            return 0

    monkeypatch.setattr(f"{MODULE}._container_format", lambda *_: format_name)
    with pytest.raises(TitleError):
        frames()
    monkeypatch.setattr(f"{MODULE}.CONTAINER_FORMATS", (format_name, "mpegts"))
    for place in (other, f"{url}/b.ts"):
        path.write_text(script.format(place))
        try:
            read = frames()
        except TitleError:  # refused at once
            read = 0
        assert read == 0
    assert requests == []


def test_a_reference_movie_is_not_followed(tmp_path: Path):
    """A QuickTime file with an index only, whose samples are in another file, is refused."""
    other = write_media(tmp_path / "other.mov", moving(25))
    path = tmp_path / "film.mov"
    path.write_bytes(reference_movie(other))

    def frames(container) -> int:
        return sum(len(packet.decode()) for packet in container.demux())

    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as unsafe:
        assert frames(unsafe) == 25, "libav must be able to follow the reference"
    with open_media(TitleFile.at(path)) as container:
        assert container.container_options["enable_drefs"] == "0"
        assert frames(container) == 0
    with pytest.raises(TitleError):
        probe(TitleFile.at(path))


def reference_movie(other: Path) -> bytes:
    """Build a movie: the index of `other`, and its path as an alias (libavformat/mov.c, `dref`)."""
    name = str(other).encode()
    padding = len(name) % 2
    alias = bytes(10) + b"\x00" + bytes(27) + bytes(12) + b"\x00" + bytes(63) + bytes(16)
    alias += struct.pack(">hh", 0, 0) + bytes(16)
    alias += struct.pack(">hh", 2, len(name)) + name + bytes(padding) + struct.pack(">h", -1)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    data_reference = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry

    def rebuilt(data: bytes) -> bytes:
        boxes, at = [], 0
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            body = data[at + 8 : at + size]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
                body = rebuilt(body)
            box = struct.pack(">I4s", 8 + len(body), kind) + body
            if kind == b"dref":
                box = data_reference
            if kind not in (b"mdat", b"wide", b"free"):
                boxes.append(box)
            at += size
        return b"".join(boxes)

    return rebuilt(other.read_bytes())


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(TitleError, match=r"absent\.mp4 is missing: add it"):
        TitleFile.at(tmp_path / "absent.mp4")


def test_a_file_truncated_before_its_index_is_refused(tmp_path: Path):
    path = write_media(tmp_path / "film.mp4", moving(50))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TitleError, match="truncated or damaged"), open_media(TitleFile.at(path)):
        pass


def test_damage_reported_as_eio_is_not_blamed_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "film.mkv"
    path.write_bytes(b"damaged")
    input_error = OSError(errno.EIO, "Input/output error")
    other = OSError(errno.EINVAL, "Invalid argument")
    with TitleFile.at(path) as file:
        assert cause_in(file, input_error) is None
        assert cause_in(file, other) is other

        def fail(*_arguments: int) -> bytes:
            raise input_error

        monkeypatch.setattr("os.pread", fail)
        with pytest.raises(TitleError, match="cannot be read") as raised:
            cause_in(file, input_error)
        assert raised.value.__cause__ is input_error
