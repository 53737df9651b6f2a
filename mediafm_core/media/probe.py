"""What a media file holds, and which of its streams represent the title."""

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
"""A declared length beyond ten days is no title's, but a damaged or forged header."""
DECLARING_FORMATS = frozenset({"mov", "avi", "mxf"})
"""Formats whose header states the length of each stream."""
MEASURED_FORMATS = frozenset({"mpegts", "mpeg", "ogg"})
"""Formats that state no length at all: libav measures it, so that no file seems to lack its end."""
LONGEST_PRIMING_S = 1.0
"""Sound that starts at most this long before zero is the encoder's lead-in."""
MAX_ASPECT_RATIO = 8
"""Long side to short side of a picture as seen; the widest films are 4:1."""
MAX_SIDE = 16_384
CAPTIONS_UNREAD = "captions inside the pictures (CEA-608 or 708) are not read"
SAMPLE_RATES = (1_000, 768_000)
"""Rates of sound that are believed, samples per second."""
MAX_PIXELS = 8192 * 8192
"""Twice the 8K of 360 degrees; decoded, such a picture takes 100 MB in 8 bits."""

_AV_TIME_BASE = 1_000_000
_DURATION_TAG = re.compile(r"([0-9]{1,3}):([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)")
# Codecs of single pictures: beside a film, a stream of them is a cover, whatever its flags say.
_STILLS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "apng", "jpegls", "svg"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class VideoStream(_Model):
    """The stream of pictures.

    Attributes:
        width: stored columns.
        height: stored rows.
        display_width: columns as seen: upright, in square pixels.
        display_height: rows as seen.
        orientation: how stored pictures have to be turned.
        average_rate: frames per second, None where the file does not say.
        duration_s: length that the file declares for this stream, None where it does not.
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
        """Clockwise degrees that stored pictures are turned by."""
        return self.orientation.rotation


class AudioStream(_Model):
    """The stream of sound. `language` is the file's tag, None where it says nothing."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str | None


class SubtitleStream(_Model):
    """An embedded track of subtitles, text or pictures.

    Attributes:
        forced: only what is foreign to the main sound (container flag or track name).
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
        duration_s: declared length, None where the file does not say.
        start_s: time stamp of the file at which the title's clock stands at zero. All times of
            this project are the file's time stamps less this. It is nonzero in files that count
            from elsewhere (transport streams); a stream that starts late stays late.
        video: the default stream of pictures.
        audio: the default stream of sound, of the title's language if there is one; None without.
        subtitles: all subtitle tracks, in the file's order.
        captions_in_pictures: the first picture carries captions (CEA-608 or 708). They are not
            read.
        notes: sentences for people about what is not used.
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
    """Look into a media file, decoding its first picture.

    Args:
        file: the media file.
        language: the title's, as BCP 47 or ISO 639 tag; decides among several streams of sound.

    Raises:
        TitleError: the file is no media, damaged, has no stream of pictures, none that can be
            decoded, no picture in it, or pictures of a size or shape that no film has.
    """
    with open_media(file) as container:
        video = _choose_video(container.streams.video)
        if video is None:
            raise TitleError(f"{file} has no video stream: put a file with pictures in its place.")
        audible = [stream for stream in container.streams.audio if _why_unheard(stream) is None]
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
        unheard = [_why_unheard(stream) for stream in container.streams.audio]
        described, first = _describe_video(file, container, video)
        captions = "A53_CC" in side_data_of(first)
        return MediaProbe(
            container=container.format.name,
            duration_s=container.duration / _AV_TIME_BASE if container.duration else None,
            start_s=_zero_of((container.start_time or 0) / _AV_TIME_BASE, first.time),
            video=described,
            audio=None if audio is None else _describe_audio(audio),
            subtitles=subtitles,
            captions_in_pictures=captions,
            notes=(*filter(None, unheard), *([CAPTIONS_UNREAD] if captions else [])),
        )


def _zero_of(first_s: float, picture_s: float | None) -> float:
    """Time stamp at which the title's clock stands at zero.

    Args:
        first_s: the file's first time stamp.
        picture_s: that of the first picture.
    """
    if first_s >= 0:
        return first_s
    if first_s < -LONGEST_PRIMING_S:
        return first_s  # the clock has wrapped, or was never meant to start at zero
    # Sound before zero primes its decoder and is no part of the title; pictures are.
    return min(0.0, first_s if picture_s is None else picture_s)


def _choose_video(streams: "Sequence[av.VideoStream]") -> "av.VideoStream | None":
    """Return the film: no picture attached to it, and no cover or sign language beside it."""

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
    """Return the title's sound, of its language if there is such.

    A track that cannot be decoded comes last. A commentary or music without speech is the last
    choice of the others, even in the title's language; audio description is the last among the
    tracks of a language. A default flag decides among what is left.
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
    """Describe a stream of pictures; also returns the first of them."""
    # What the header says, before memory is spent on it; the picture may differ.
    _require_size(file, stream.codec_context.width, stream.codec_context.height)
    frame = _first_picture(file, container, stream)
    _require_size(file, frame.width, frame.height)
    orientation = orientation_of(frame)
    width, height = orientation.size(
        *display_size(frame.width, frame.height, stream.sample_aspect_ratio)
    )
    # Refused even where only the shape of the pixels is absurd: without it nobody knows how the
    # picture was meant, and a film in the wrong shape would go unnoticed.
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise TitleError(
            f"{file}: pictures of {frame.width} x {frame.height} with the sample aspect ratio "
            f"{stream.sample_aspect_ratio or 1} are longer than {MAX_ASPECT_RATIO}:1 as seen: "
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


def _why_unheard(stream: "av.AudioStream") -> str | None:
    """Return a sentence for people if a stream's sound cannot be used.

    A header may leave out the rate or the number of channels (0): the decoder finds them.
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
    """Length of a stream from its header, or from the tag that Matroska writers leave.

    Other formats declare none: libav then gives what the last packets say, or the length of the
    file. A tag that is none, or longer than `LONGEST_S`, says nothing.
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
