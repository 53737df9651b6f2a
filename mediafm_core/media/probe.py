"""Probe of a media file: its streams, and the choice of those that represent the title."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from mediafm_core.errors import TitleError
from mediafm_core.media.container import cause_in, open_media, packets_of
from mediafm_core.media.geometry import Orientation, display_size, orientation_of
from mediafm_core.media.mono import MAX_CHANNELS
from mediafm_core.media.side_data import side_data_of
from mediafm_core.media.track_purposes import ATTACHED, has_flag, purposes_of
from mediafm_core.titles.language import primary_language
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

LONGEST_S = 10 * 86_400.0
"""Longest plausible length; a declared length beyond ten days is a damaged or forged header."""
DECLARING_FORMATS = frozenset({"mov", "avi", "mxf"})
"""Formats whose header declares the length of each stream."""
MEASURED_FORMATS = frozenset({"mpegts", "mpeg", "ogg"})
"""Formats that declare no length.

libav measures it from the file, so that it does not show whether the file is truncated.
"""
LONGEST_PRIMING_S = 1.0
"""Audio that starts at most this long before zero is encoder priming."""
MAX_ASPECT_RATIO = 8
"""Largest ratio of the long to the short side as displayed; the widest films are 4:1."""
MAX_SIDE = 16_384
CAPTIONS_UNREAD = "captions inside the pictures (CEA-608 or 708) are not read"
SAMPLE_RATES = (1_000, 768_000)
"""Lowest and highest accepted sample rate of audio, hertz."""
MAX_PIXELS = 8192 * 8192
"""Twice 8K video of 360 degrees; a decoded frame of this size takes 100 MB at 8 bits."""

_AV_TIME_BASE = 1_000_000
_DURATION_TAG = re.compile(r"([0-9]{1,3}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")
# Codecs of still images: beside a film, such a stream is a cover, whatever its flags are.
_STILLS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "apng", "jpegls", "svg"})


class _Model(BaseModel):
    """Base of the immutable models of a probe."""

    model_config = ConfigDict(frozen=True)


class VideoStream(_Model):
    """The chosen video stream.

    Attributes:
        width: stored columns.
        height: stored rows.
        display_width: columns as displayed: upright, in square pixels.
        display_height: rows as displayed.
        orientation: operations that turn stored frames upright.
        average_rate: frames per second, None if the file does not declare it.
        duration_s: length that the file declares for this stream, None if it declares none.
    """

    index: int
    codec: str
    width: int
    height: int
    display_width: int
    display_height: int
    orientation: Orientation
    average_rate: float | None
    duration_s: float | None

    @property
    def rotation(self) -> int:
        """Clockwise rotation of stored frames, degrees."""
        return self.orientation.rotation


class AudioStream(_Model):
    """The chosen audio stream; `language` is the file's tag, None if it has none."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str | None


class SubtitleStream(_Model):
    """An embedded subtitle track, of text or of images.

    Attributes:
        forced: translates only speech foreign to the main audio (container flag or track name).
        hearing_impaired: describes sounds as well (flag or name).
        commentary: transcribes a commentary (flag or name).
    """

    index: int
    codec: str
    language: str | None
    forced: bool = False
    hearing_impaired: bool = False
    commentary: bool = False


class MediaProbe(_Model):
    """A media file and the streams chosen to represent it.

    Attributes:
        container: libav's name of the format.
        duration_s: declared length, None if the file declares none.
        start_s: time stamp that becomes time zero of the title. All times in this project are the
            file's time stamps minus this. It is nonzero in files whose time stamps do not start
            at zero (transport streams); a stream that starts late stays late.
        video: the default video stream.
        audio: the default audio stream, of the title's language if there is one; None without.
        subtitles: all subtitle tracks, in file order.
        captions_in_pictures: the first frame carries captions (CEA-608 or 708). They are not
            read.
        notes: sentences for people about streams and captions that are not used.
    """

    container: str
    duration_s: float | None
    start_s: float
    video: VideoStream
    audio: AudioStream | None
    subtitles: tuple[SubtitleStream, ...]
    captions_in_pictures: bool = False
    notes: tuple[str, ...] = ()


def probe(file: TitleFile, language: str | None = None) -> MediaProbe:
    """Probe a media file and decode its first frame.

    Args:
        file: the media file.
        language: the title's, as BCP 47 or ISO 639 tag; used to choose among audio streams.

    Raises:
        TitleError: the file is not a media file or damaged, has no video stream that can be
            decoded, or frames of an implausible size or shape.
    """
    with open_media(file) as container:
        video = _choose_video(container.streams.video)
        if video is None:
            raise TitleError(f"{file} has no video stream: put a file with pictures in its place.")
        audible = [stream for stream in container.streams.audio if _unusable_audio(stream) is None]
        audio = _choose_audio(audible, language)
        for stream in filter(None, (video, audio)):
            if stream.codec_context is None:
                raise TitleError(
                    f"{file}: stream {stream.index} ({stream.type}) is of a codec that cannot be "
                    "decoded here: convert the file to H.264 and AAC."
                )
        subtitles = tuple(
            _describe_subtitles(stream) for stream in container.streams if stream.type == "subtitle"
        )
        unusable = [_unusable_audio(stream) for stream in container.streams.audio]
        described, first = _describe_video(file, container, video)
        captions = "A53_CC" in side_data_of(first)
        return MediaProbe(
            container=container.format.name,
            duration_s=container.duration / _AV_TIME_BASE if container.duration else None,
            start_s=_start_of_title((container.start_time or 0) / _AV_TIME_BASE, first.time),
            video=described,
            audio=None if audio is None else _describe_audio(audio),
            subtitles=subtitles,
            captions_in_pictures=captions,
            notes=(*filter(None, unusable), *([CAPTIONS_UNREAD] if captions else [])),
        )


def _start_of_title(first_s: float, picture_s: float | None) -> float:
    """Return the time stamp that becomes time zero of the title, seconds.

    Args:
        first_s: the file's first time stamp.
        picture_s: time stamp of the first video frame.
    """
    if first_s >= 0:
        return first_s
    if first_s < -LONGEST_PRIMING_S:
        return first_s  # the clock has wrapped, or does not start at zero by design
    # Audio before zero primes its decoder and does not belong to the title; video frames do.
    return min(0.0, first_s if picture_s is None else picture_s)


def _choose_video(streams: "Sequence[av.VideoStream]") -> "av.VideoStream | None":
    """Choose the film's video stream, not a cover, an attached image or sign language."""

    def rank(stream: "av.VideoStream") -> tuple[bool, bool, bool, bool, bool, int]:
        purpose = purposes_of(stream)
        return (
            stream.codec_context is None,
            purpose.extra_picture or purpose.commentary,
            _codec_name(stream) in _STILLS,
            has_flag(stream, "dependent"),
            not has_flag(stream, "default"),
            stream.index,
        )

    films = [stream for stream in streams if not has_flag(stream, *ATTACHED)]
    return min(films, key=rank, default=None)


def _choose_audio(
    streams: "Sequence[av.AudioStream]", language: str | None
) -> "av.AudioStream | None":
    """Choose the title's audio stream, in the title's language if there is one.

    Tracks that cannot be decoded rank last, commentaries and tracks without speech before them,
    even in the title's language. Within a language, audio descriptions rank last. The default flag
    decides among equal tracks.
    """
    wanted = primary_language(language)

    def rank(stream: "av.AudioStream") -> tuple[bool, bool, bool, bool, bool, int]:
        purpose = purposes_of(stream)
        return (
            stream.codec_context is None,
            purpose.commentary or purpose.incomplete,
            wanted is not None and primary_language(_language(stream)) != wanted,
            purpose.described or has_flag(stream, "dub"),
            not has_flag(stream, "default"),
            stream.index,
        )

    return min(streams, key=rank, default=None)


def _describe_video(
    file: TitleFile, container: "InputContainer", stream: "av.VideoStream"
) -> "tuple[VideoStream, av.VideoFrame]":
    """Describe a video stream; also returns its first frame."""
    # The header's size is checked before memory is allocated; the decoded frame may differ.
    _require_size(file, stream.codec_context.width, stream.codec_context.height)
    frame = _first_picture(file, container, stream)
    _require_size(file, frame.width, frame.height)
    orientation = orientation_of(frame)
    width, height = orientation.size(
        *display_size(frame.width, frame.height, stream.sample_aspect_ratio)
    )
    # Also refuses an absurd pixel aspect ratio: the intended shape is then unknown, and a film in
    # the wrong shape would go unnoticed.
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise TitleError(
            f"{file}: pictures of {frame.width} x {frame.height} with the sample aspect ratio "
            f"{stream.sample_aspect_ratio or 1} are longer than {MAX_ASPECT_RATIO}:1 as displayed: "
            "export the file again with its true aspect ratio."
        )
    described = VideoStream(
        index=stream.index,
        codec=_codec_name(stream),
        width=frame.width,
        height=frame.height,
        display_width=width,
        display_height=height,
        orientation=orientation,
        average_rate=float(stream.average_rate) if stream.average_rate else None,
        duration_s=_declared_seconds(container, stream),
    )
    return described, frame


def _first_picture(
    file: TitleFile, container: "InputContainer", stream: "av.VideoStream"
) -> "av.VideoFrame":
    """Decode the first frame of a video stream."""
    import av

    try:
        for packet in packets_of(container, stream):
            try:
                frame = next(iter(packet.decode()), None)
            except av.error.InvalidDataError:
                continue  # a recording may start between key frames
            if frame is not None:
                return frame
    except av.FFmpegError as error:
        raise TitleError(
            f"{file}: video stream {stream.index} cannot be decoded ({error.strerror}): the file "
            "is truncated or damaged; copy or export it again."
        ) from cause_in(file, error)
    raise TitleError(
        f"{file}: video stream {stream.index} has no picture that can be decoded: the file is "
        "empty, truncated or damaged; copy or export it again."
    )


def _require_size(file: TitleFile, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise TitleError(
            f"{file} has pictures of {width} x {height}, more than {MAX_SIDE} a side or "
            f"{MAX_PIXELS} in all: it is damaged, or has to be exported in a smaller size."
        )


def _unusable_audio(stream: "av.AudioStream") -> str | None:
    """Return the reason why an audio stream cannot be used, for people; None if it can.

    A header may omit the rate or the number of channels (0); the decoder then determines them.
    """
    context = stream.codec_context
    if context is None:
        return None
    if context.channels > MAX_CHANNELS:
        return (
            f"stream {stream.index} (sound of {context.channels} channels) is not used: at most "
            f"{MAX_CHANNELS} can be mixed"
        )
    lowest, highest = SAMPLE_RATES
    if context.sample_rate and not lowest <= context.sample_rate <= highest:
        return (
            f"stream {stream.index} (sound at {context.sample_rate} Hz) is not used: no sound has "
            "such a rate"
        )
    return None


def _describe_audio(stream: "av.AudioStream") -> AudioStream:
    return AudioStream(
        index=stream.index,
        codec=_codec_name(stream),
        sample_rate=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        language=_language(stream),
    )


def _describe_subtitles(stream: "Stream") -> SubtitleStream:
    purpose = purposes_of(stream)
    return SubtitleStream(
        index=stream.index,
        codec=_codec_name(stream),
        language=_language(stream),
        forced=purpose.forced,
        hearing_impaired=purpose.hearing_impaired,
        commentary=purpose.commentary,
    )


def _declared_seconds(container: "InputContainer", stream: "av.VideoStream") -> float | None:
    """Return the length of a stream from its header, or from the tag that Matroska writers add.

    Other formats declare no length per stream: libav's value is derived from the last packets, or
    is the length of the file. A malformed tag, or one beyond `LONGEST_S`, is ignored.
    """
    if not DECLARING_FORMATS.isdisjoint(container.format.name.split(",")):
        if stream.duration is None or stream.time_base is None:
            return None
        return float(stream.duration * stream.time_base)
    tag = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    declared_s = float(3600 * int(hours) + 60 * int(minutes) + Fraction(seconds))
    return declared_s if declared_s <= LONGEST_S else None


def _codec_name(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def _language(stream: Any) -> str | None:
    tag = stream.metadata.get("language")
    return None if tag in (None, "", "und") else tag
