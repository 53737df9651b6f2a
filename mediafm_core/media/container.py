"""Safe opening of untrusted media files.

A media file may be hostile: an HLS playlist, a concat script or a reference movie with the name
`film.mp4` makes a demuxer open other files or URLs. Three defences prevent that; each of them is
sufficient:

1. This module chooses the demuxer by the file's first bytes, from a short list of self-contained
   container formats. libav never probes the format.
2. libav gets an open file descriptor and may use its `fd` protocol only, so that it cannot open
   any path or URL.
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
_MXF_RUN_IN_BYTES = 64 << 10  # SMPTE ST 377-1: most bytes before the first partition
_TS_PACKET_BYTES = (188, 192, 204)  # plain, with time code (m2ts), with error correction
_TS_SYNC = 0x47
_TS_PACKETS_SEEN = 4


@contextmanager
def open_media(file: TitleFile) -> Iterator["InputContainer"]:
    """Open a media file for demuxing; no other file or address can be opened through it.

    Args:
        file: the media file; libav moves the position of its descriptor.

    Yields:
        The open container, closed at the end of the block.

    Raises:
        TitleError: the file is empty, not a media file, or truncated before its index.
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
            metadata_errors="replace",  # no decision depends on tags in another encoding
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise TitleError(
            f"{file} begins like a {format_name} file but has no readable index or streams "
            f"({_reason(error)}): it is truncated or damaged; copy or export it again."
        ) from cause_in(file, error)
    with container:
        yield container


def cause_in(file: TitleFile, error: Exception) -> Exception | None:
    """Return the `__cause__` for a `TitleError` about an error of libav; None hides that error.

    Demuxers return EIO, the system's error number for a failing device, for damaged data too. If
    the whole file can be read, the device works, and the EIO must not be taken for a system error.

    Raises:
        TitleError: the file cannot be read; its cause is the system's error.
    """
    if getattr(error, "errno", None) != errno.EIO:
        return error
    for _ in file.pieces():
        pass
    return None


def packets_of(container: "InputContainer", *streams: "Stream") -> Iterator["Packet"]:
    """Yield the packets of streams in file order, then one empty packet (flush) per stream.

    If further streams appear in the middle of a file (transport streams, FLV), PyAV 18.1 raises an
    IndexError after all packets of `streams`, because it has no object for the new ones.
    """
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet


def stream_at(container: "InputContainer", file: TitleFile, index: int, kind: str) -> "Stream":
    """Return a stream that an earlier probe of the file has found.

    Some formats (FLV, transport streams) announce a stream only at its first packet, so that a
    damaged file may not show the same streams each time it is opened.

    Args:
        container: the open file.
        file: the media file.
        index: the stream's number in the file.
        kind: `video`, `audio` or `subtitle`.

    Raises:
        TitleError: the stream is missing, of another kind, or has no decoder.
    """
    if index < len(container.streams):
        stream = container.streams[index]
        if stream.type == kind and stream.codec_context is not None:
            return stream
    raise TitleError(
        f"{file} no longer shows its {kind} stream {index} when it is opened again: it is damaged "
        "or was replaced in the meantime; copy or export it again."
    )


def _container_format(file: TitleFile, head: bytes) -> str:
    """Detect the container format (libav's name) from a file's first bytes."""
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
    """Return True if sync bytes repeat at the packet size of a transport stream."""
    for size in _TS_PACKET_BYTES:
        for start in range(size):
            sync = head[start : start + size * _TS_PACKETS_SEEN : size]
            if len(sync) == _TS_PACKETS_SEEN and set(sync) == {_TS_SYNC}:
                return True
    return False


def _describe(head: bytes) -> str:
    """Describe a file that is not a media file, for an error message."""
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
    """Return libav's reason without the file name, which is a placeholder (`fd:`)."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
