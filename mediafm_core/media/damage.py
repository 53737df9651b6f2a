"""Strict decoding, to count the damaged frames of a stream whose container reports corruption.

A transport stream numbers its packets. Where the numbers are not consecutive, libav marks a packet
as corrupt: either a packet was lost, or two recordings were joined and nothing is missing. The
decoder can tell the two apart: by default it conceals missing data, but with `err_detect=explode`
it fails.
"""

from mediafm_core.media.container import open_media, packets_of, stream_at
from mediafm_core.titles.title_file import TitleFile

SUSPICIOUS_FORMATS = frozenset({"mpegts"})
"""Formats in which a packet marked as corrupt may be intact.

In other formats, libav marks a packet as corrupt only if the file ends within it.
"""


def undecodable_packets(file: TitleFile, index: int) -> int:
    """Decode a video stream strictly and return the number of packets that fail.

    Packets before the first decoded frame do not count.

    Args:
        file: the media file.
        index: the stream's number in the file.

    Raises:
        TitleError: the file cannot be opened, or the stream is no longer found in it.
    """
    import av
    from av.stream import Discard

    failed = 0
    started = False
    with open_media(file) as container:
        stream = stream_at(container, file, index, "video")
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.options = {"err_detect": "explode"}
        stream.codec_context.thread_type = "SLICE"
        for packet in packets_of(container, stream):
            try:
                started = bool(packet.decode()) or started
            except av.FFmpegError:
                failed += started
    return failed
