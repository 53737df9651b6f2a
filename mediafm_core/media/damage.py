"""Count of the pictures that are really damaged in a file whose container suspects some.

A transport stream numbers its packets. Where the numbers do not follow each other, libav marks a
picture as corrupt: a packet was lost, or two recordings were joined and nothing is missing. The
decoder knows: by default it hides what is missing, and with `err_detect=explode` it fails instead.
"""

from mediafm_core.media.container import open_media, packets_of, stream_at
from mediafm_core.titles.title_file import TitleFile

SUSPICIOUS_FORMATS = frozenset({"mpegts"})
"""Formats whose marks are suspicions. In others libav marks a packet that the file ends within."""


def undecodable_packets(file: TitleFile, index: int) -> int:
    """Decode a stream of pictures strictly and return the number of packets that fail.

    Packets before the first picture do not count.

    Args:
        file: the media file.
        index: the stream's number in the file.

    Raises:
        TitleError: the file cannot be opened, or no longer shows the stream.
    """
    import av
    from av.stream import Discard

    failed = 0
    begun = False
    with open_media(file) as container:
        stream = stream_at(container, file, index, "video")
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.options = {"err_detect": "explode"}
        stream.codec_context.thread_type = "SLICE"
        for packet in packets_of(container, stream):
            try:
                begun = bool(packet.decode()) or begun
            except av.FFmpegError:
                failed += begun
    return failed
