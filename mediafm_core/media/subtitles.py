"""Readers of subtitles: files beside the media, and text tracks inside it."""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.media.cue_text import plain_subrip, plain_substation, plain_webvtt
from mediafm_core.media.srt import MarkedCue, read_subrip
from mediafm_core.media.substation import is_substation, read_substation
from mediafm_core.media.webvtt import SIGNATURE, read_webvtt
from mediafm_core.readable import quoted
from mediafm_core.titles.caption_names import CaptionPurpose
from mediafm_core.titles.encoding_detection import UnknownEncodingError, decode
from mediafm_core.titles.language import primary_language
from mediafm_core.titles.text_file import read_text
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from av.packet import Packet

    from mediafm_core.media.probe import SubtitleStream

MAX_CUES = 100_000
"""Most cues of one file or track; ten hours of dialogue have about 15,000."""
MAX_LINES = 1_000_000
MAX_CUE_CHARACTERS = 10_000
_MAX_SIDE_FILE_BYTES = 32 << 20
_MATROSKA_ASS_FIELDS = 9  # fields of an event in a packet; the packet has the times

Plain = Callable[[str], str]
# Codecs whose packets hold the text as written. libav's decoders convert it to SubStation and lose
# or duplicate parts of it.
_PLAIN_OF_CODEC: dict[str, Plain] = {
    **dict.fromkeys(("srt", "subrip", "text", "mov_text"), plain_subrip),
    "webvtt": plain_webvtt,
    **dict.fromkeys(("ass", "ssa"), plain_substation),
}


class Cue(NamedTuple):
    """A piece of text and the interval in which it is on screen, seconds of the title."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class TimedTextSource:
    """The source of a title's timed text.

    Attributes:
        kind: a file beside the media, a track inside it, or no source.
        name: the file's name, or index and codec of the track; empty for `none`.
        language: from the file's name or the track's tag.
        purpose: of the captions. `forced` captions cover a part of the speech only.
        encoding: as detected.
        notes: sentences for people about damaged or missing text.
        passed_over: other files and tracks, which were not used.
    """

    kind: Literal["side_file", "embedded", "none"]
    name: str = ""
    language: str | None = None
    purpose: CaptionPurpose = "full"
    encoding: str | None = None
    notes: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.kind} {self.name}".strip()
        return f"{text}, not used: {', '.join(self.passed_over)}" if self.passed_over else text


class TimedText(NamedTuple):
    """The cues of one source, sorted by time."""

    source: TimedTextSource
    cues: tuple[Cue, ...]


def read_side_file(
    file: TitleFile, language: str | None = None, title_language: str | None = None
) -> TimedText:
    """Read SubRip, WebVTT or SubStation text.

    Markup, karaoke timing, drawings and comments are removed, line breaks become spaces, and exact
    duplicates (layers of one line in SubStation files) are read once. The format is detected from
    the content, not the suffix. A file that is empty or only has a header gives a text without
    cues.

    Args:
        file: the subtitle file.
        language: of the text; recorded in the source.
        title_language: a further hint for detecting the encoding.

    Raises:
        TitleError: the format or encoding is unknown, a line cannot be parsed, a cue ends before it
            starts, no cue has text, or the file exceeds a limit.
    """
    languages = _primary_languages(language, title_language)
    text, encoding, damaged = read_text(file, _MAX_SIDE_FILE_BYTES, languages)
    if text.count("\n") > MAX_LINES:
        raise TitleError(f"{file} has more than {MAX_LINES} lines: split or replace it.")
    name = str(file)
    beginning = text.lstrip("\ufeff \t\n")
    if beginning.startswith(SIGNATURE):
        marked, plain = read_webvtt(text, name, MAX_CUES), plain_webvtt
    elif is_substation(text):
        marked, plain = read_substation(text, name, MAX_CUES), plain_substation
    else:
        marked, plain = read_subrip(text, name, MAX_CUES), plain_subrip
        if beginning and not marked:
            raise TitleError(
                f"{file} holds no cue in SubRip, WebVTT or SubStation format: replace it, or "
                "remove it if the title has no captions."
            )
    cues = _in_order(_plain_cue(cue, plain, name) for cue in marked)
    if marked and not cues:
        raise TitleError(
            f"{file} has times for {len(marked)} cues and no text in any of them: replace it, or "
            "remove it if the title has no captions."
        )
    notes = _damage(damaged)
    return TimedText(
        TimedTextSource("side_file", file.name, language, encoding=encoding, notes=notes), cues
    )


def read_embedded(
    file: TitleFile,
    stream: "SubtitleStream",
    origin_s: float,
    progress: Callable[[float], None] = lambda _seconds: None,
    title_language: str | None = None,
) -> TimedText:
    """Read a text track inside a media file, by the rules for files of its format.

    A cue without a duration in the file has length zero and belongs to the shot it starts in.

    Args:
        file: the media file.
        stream: the track.
        origin_s: the file's time stamp at time zero of the title.
        progress: called with the time of each cue, seconds of the title.
        title_language: a further hint for detecting the encoding.

    Raises:
        TitleError: the media or the track cannot be decoded, or holds too much text.
    """
    import av
    from av.stream import Discard

    from mediafm_core.media.container import cause_in, open_media, packets_of, stream_at

    name = f"{file}: {stream_name(stream)}"
    found: list[tuple[float, float, bytes]] = []
    try:
        with open_media(file) as container:
            track = stream_at(container, file, stream.index, "subtitle")
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all  # the demuxer skips video and audio
            for packet in packets_of(container, track):
                if packet.pts is None or packet.time_base is None or not packet.size:
                    continue
                start_s = float(packet.pts * packet.time_base) - origin_s
                progress(start_s)
                end_s = start_s + float((packet.duration or 0) * packet.time_base)
                found += [(start_s, end_s, text) for text in _texts(packet, stream.codec)]
                if len(found) > MAX_CUES:
                    raise TitleError(
                        f"{name} has more than {MAX_CUES} cues: remove the track, or put a "
                        "subtitle file beside the media."
                    )
        languages = _primary_languages(stream.language, title_language)
        _, encoding, damaged = decode(b"\n".join(text for _, _, text in found), languages)
    except (av.FFmpegError, UnknownEncodingError) as error:
        raise TitleError(
            f"{name} cannot be decoded ({error}): correct the file, or put a subtitle file beside "
            "it."
        ) from cause_in(file, error)
    plain = _PLAIN_OF_CODEC.get(stream.codec, plain_substation)
    cues = _in_order(
        _plain_cue(MarkedCue(0, start_s, end_s, text.decode(encoding, "replace")), plain, name)
        for start_s, end_s, text in found
    )
    notes = _damage(damaged)
    if found and not cues:
        notes += (f"{stream_name(stream)} holds {len(found)} events without text",)
    source = TimedTextSource(
        "embedded", stream_name(stream), stream.language, encoding=encoding, notes=notes
    )
    return TimedText(source, cues)


def stream_name(stream: "SubtitleStream") -> str:
    """Return the index and codec of a track, by which people can find it with any media tool."""
    return f"stream {stream.index} ({stream.codec})"


def _in_order(cues: Iterable[Cue]) -> tuple[Cue, ...]:
    """Sort the cues that have text by time, without exact duplicates; the sort is stable."""
    return tuple(sorted(dict.fromkeys(cue for cue in cues if cue.text), key=lambda cue: cue[:2]))


def _plain_cue(cue: MarkedCue, plain: Plain, name: str) -> Cue:
    """Return a cue without its markup.

    Raises:
        TitleError: the cue has text and ends before it starts, or has too much text.
    """
    text = plain(cue.text)
    where = f"{name}, line {cue.line}" if cue.line else f"{name} at {cue.start_s:g} s"
    if text and cue.end_s < cue.start_s:
        raise TitleError(
            f"{where}: the cue {quoted(text, 40)} ends at {cue.end_s:g} s, before it starts at "
            f"{cue.start_s:g} s: correct its times."
        )
    if len(text) > MAX_CUE_CHARACTERS:
        raise TitleError(
            f"{where}: a cue of {len(text)} characters, more than {MAX_CUE_CHARACTERS}: split it "
            "or replace the captions."
        )
    return Cue(cue.start_s, cue.end_s, text)


def _texts(packet: "Packet", codec: str) -> list[bytes]:
    """Return the texts of a packet, as written or, for other codecs, as SubStation by libav."""
    data = bytes(packet)
    if codec == "mov_text":
        return [text] if (text := _of_timed_text_sample(data)) else []
    if codec in {"ass", "ssa"}:
        return [data.split(b",", _MATROSKA_ASS_FIELDS - 1)[-1]]
    if codec in _PLAIN_OF_CODEC:
        return [data]
    from av.subtitles.subtitle import AssSubtitle

    return [
        subtitle.ass.split(b",", _MATROSKA_ASS_FIELDS - 1)[-1]
        for subtitle in packet.decode()
        if isinstance(subtitle, AssSubtitle)  # else an image
    ]


def _of_timed_text_sample(data: bytes) -> bytes:
    """Return the text of an MP4 sample: length in two bytes, text, styles (3GPP TS 26.245)."""
    if len(data) < 2:
        return b""
    (length,) = struct.unpack(">H", data[:2])
    text = data[2 : 2 + length]
    if text.startswith((b"\xfe\xff", b"\xff\xfe")):
        return text.decode("utf-16", "replace").encode("utf-8")
    return text


def _primary_languages(*tags: str | None) -> list[str]:
    """Return the primary languages of tags, without duplicates."""
    return list(dict.fromkeys(filter(None, map(primary_language, tags))))


def _damage(damaged: int) -> tuple[str, ...]:
    return (f"characters that are damaged and read as U+FFFD: {damaged}",) if damaged else ()
