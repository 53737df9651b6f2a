"""Opening media files that nobody vouches for.

A media file may be hostile: an HLS playlist, a concat script or a reference movie under the name
`film.mp4` asks the reader to open other files or addresses. Three walls stand against it, each of
which would be enough:

1. The demuxer is chosen here, by the file's first bytes, from a short list of container formats
   that hold their own data; libav never guesses.
2. libav is given an open file descriptor and only its `fd` protocol, so that it has no means of
   opening a path or an address.
3. References to data outside a QuickTime file (`dref`) are not followed.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mediafm_core.errors import TitleError
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

CONTAINER_FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "mxf", "ogg", "asf")
_HEAD_BYTES = 64 << 10

_SIGNATURES = (
    (b"\x1a\x45\xdf\xa3", "matroska"),  # EBML, also WebM
    (b"\x00\x00\x01\xba", "mpeg"),  # pack header of a program stream
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),  # also WMV
)
# Types of the first box of a QuickTime or ISO base media file.
_MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
_MXF_PARTITION = b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01"
_MXF_RUN_IN_BYTES = 64 << 10  # SMPTE ST 377-1: what may come before the first partition
_TS_PACKET_BYTES = (188, 192, 204)  # plain, with time code (m2ts), with error correction
_TS_SYNC = 0x47
_TS_PACKETS_SEEN = 4


@contextmanager
def open_media(file: TitleFile) -> Iterator["InputContainer"]:
    """Open a media file for demuxing, and nothing but this file.

    Args:
        file: the media file; libav moves the position of its descriptor.

    Yields:
        The open container, closed at the end of the block.

    Raises:
        TitleError: the file is empty, no media, or cut off before its index.
    """
    import av

    format_name = _container_format(file, file.head(_HEAD_BYTES))
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    options = {
        "fd": str(file.fileno()),
        "protocol_whitelist": "fd",
        "format_whitelist": ",".join(CONTAINER_FORMATS),
    }
    if format_name == "mov":
        options["enable_drefs"] = "0"
    try:
        container = av.open(
            "fd:",
            format=format_name,
            container_options=options,
            metadata_errors="replace",  # tags in another encoding decide nothing
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise TitleError(
            f"{file} begins like a {format_name} file but has no readable index or streams "
            f"({_reason(error)}): it is truncated or damaged; copy or export it again."
        ) from cause_in(file, error)
    with container:
        yield container


def cause_in(file: TitleFile, error: Exception) -> Exception | None:
    """Return what a `TitleError` about an error of libav is to be raised from.

    Demuxers return EIO, the system's number for a device that fails, for damaged data too. Where
    the whole file can be read, the device does not fail: the error is then no cause to name.

    Raises:
        TitleError: the file cannot be read; its cause is the system's error.
    """
    if getattr(error, "errno", None) != errno.EIO:
        return error
    for _ in file.pieces():
        pass
    return None


def packets_of(container: "InputContainer", *streams: "Stream") -> Iterator["Packet"]:
    """Yield the packets of streams as they lie in the file, then an empty one for each stream.

    PyAV 18.1 ends with an IndexError where further streams have appeared in the middle of the
    file (transport streams, FLV), after all packets of `streams`: it has no object for those.
    """
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet


def stream_at(container: "InputContainer", file: TitleFile, index: int, kind: str) -> "Stream":
    """A stream that an earlier look into the file has found.

    Some formats (FLV, transport streams) announce a stream only where its first packet lies, so
    that a damaged file need not show the same streams each time.

    Args:
        container: the open file.
        file: the media file.
        index: the stream's number in the file.
        kind: `video`, `audio` or `subtitle`.

    Raises:
        TitleError: the stream is not there, is of another kind, or has no decoder.
    """
    if index < len(container.streams):
        stream = container.streams[index]
        if stream.type == kind and stream.codec_context is not None:
            return stream
    raise TitleError(
        f"{file} no longer shows its {kind} stream {index} when it is opened again: it is damaged "
        "or has been replaced meanwhile; copy or export it again."
    )


def _container_format(file: TitleFile, head: bytes) -> str:
    """The container format (libav's name) that a file's first bytes belong to."""
    if not head:
        raise TitleError(f"{file} is empty: copy the media file again.")
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    if _MXF_PARTITION in head[:_MXF_RUN_IN_BYTES]:
        return "mxf"
    if _is_transport_stream(head):
        return "mpegts"
    raise TitleError(
        f"{file} is {_describe(head)}, not a video file: put one of the formats MP4, MOV, MKV, "
        "WebM, AVI, MPEG, TS, MXF, FLV, Ogg or WMV in its place."
    )


def _is_transport_stream(head: bytes) -> bool:
    """Whether sync bytes follow each other at the distance of transport stream packets."""
    for size in _TS_PACKET_BYTES:
        for start in range(size):
            sync = head[start : start + size * _TS_PACKETS_SEEN : size]
            if len(sync) == _TS_PACKETS_SEEN and set(sync) == {_TS_SYNC}:
                return True
    return False


def _describe(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"#EXTM3U"):
        return "an HLS playlist"
    if text.startswith(b"ffconcat"):
        return "an ffconcat script"
    if text[:1] == b"<":
        return "an XML or HTML document"
    if b"\x00" not in head[:1024] and all(byte >= 0x09 for byte in head[:1024]):
        return "a text file"
    return "of an unknown kind"


def _reason(error: Exception) -> str:
    """What libav says, without the stand-in name that it knows the file by."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
