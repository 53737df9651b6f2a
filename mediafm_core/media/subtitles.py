"""Reading subtitles: files beside the media and text tracks inside it."""

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import pysubs2
from pysubs2.exceptions import FormatAutodetectionError
from pysubs2.formats import autodetect_format, get_format_class

from mediafm_core.errors import TitleError
from mediafm_core.titles.own_file import OwnFile
from mediafm_core.titles.text_file import read_text

if TYPE_CHECKING:
    from mediafm_core.media.probe import SubtitleStream

_MAX_SIDE_FILE_BYTES = 32 << 20
_FORMATS = frozenset({"srt", "vtt", "ass", "ssa"})
_ASS_FIELDS = 10  # of a Dialogue line; the text is the last
_MATROSKA_ASS_FIELDS = 9  # of an event in a packet: the times are the packet's
_ASS_TIME = re.compile(r"\s*-?\d{1,2}:\d{1,2}:\d{1,2}([.,]\d{1,3})?\s*")
_OVERRIDE_BLOCK = re.compile(r"(?<!\\)\{[^}]*\}")  # FFmpeg writes a literal brace as \{
# Marks of byte order, direction and word joining: they are not seen and would change a token.
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"))


class Cue(NamedTuple):
    """A piece of text and when it is on screen, in seconds of the title's clock."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class TimedTextSource:
    """Where a title's timed text came from.

    Attributes:
        kind: a file beside the media, a track inside it, or nowhere.
        name: the file's name, or number and codec of the track; empty for `none`.
        language: as the file's name or the track says it.
        encoding: of a side file.
        passed_over: other files and tracks, that were not used.
    """

    kind: Literal["side_file", "embedded", "none"]
    name: str = ""
    language: str | None = None
    encoding: str | None = None
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.kind} {self.name}".strip()
        return f"{text}, not used: {', '.join(self.passed_over)}" if self.passed_over else text


class TimedText(NamedTuple):
    """The cues of one source in the order of their times."""

    source: TimedTextSource
    cues: tuple[Cue, ...]


def read_side_file(file: OwnFile, language: str | None = None) -> TimedText:
    """Read SubRip, WebVTT or SubStation text in UTF-8, UTF-16 or Latin-1.

    Markup, karaoke timing, drawings and comments are dropped, a line break becomes a space, and
    exact repetitions (layers of one line in SubStation files) count once. The content decides
    about the format, not the suffix.

    Args:
        file: the subtitle file.
        language: of the text, as the source is to say it.

    Raises:
        TitleError: the file holds no cue, a line cannot be understood or a cue ends before it
            starts.
    """
    text, encoding = read_text(file, _MAX_SIDE_FILE_BYTES)
    try:
        format_name = autodetect_format(text)
    except FormatAutodetectionError:
        format_name = "unknown"
    if format_name not in _FORMATS:
        raise TitleError(
            f"{file} holds no cue in SubRip, WebVTT or SubStation form: replace it, or remove it "
            "if the title has no captions."
        )
    if format_name in {"ass", "ssa"}:
        _check_substation_lines(text, file)
    else:
        _check_timing_lines(text, format_name, file)
        # pysubs2 drops a number on the last line of a cue as the number of the next cue: give
        # the last cue such a number too, so that "Room / 101" at the end keeps its 101.
        text = (_plain_webvtt(text) if format_name == "vtt" else text) + "\n\n0\n"
    try:
        events = pysubs2.SSAFile.from_string(text, format_=format_name).events
    except (ValueError, IndexError) as error:
        raise TitleError(f"{file} cannot be read as subtitles ({error}): mend it.") from error
    if not events:
        raise TitleError(
            f"{file} holds no cue: replace it, or remove it if the title has no captions."
        )
    cues = _in_order(
        Cue(event.start / 1000, event.end / 1000, _plain_text(event)) for event in events
    )
    _require_forward_times(cues, file)
    return TimedText(TimedTextSource("side_file", file.name, language, encoding), cues)


def read_embedded(
    file: OwnFile,
    stream: "SubtitleStream",
    origin_s: float,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> TimedText:
    """Decode a text track inside a media file.

    A cue whose duration the file does not give has none: it belongs to the shot it starts in.

    Args:
        file: the media file.
        stream: the track.
        origin_s: the file's time stamp at which the title's clock stands at zero.
        progress: called with the time of each cue, seconds of the title's clock.

    Raises:
        TitleError: the media or the track cannot be decoded.
    """
    import av
    from av.stream import Discard
    from av.subtitles.subtitle import AssSubtitle

    from mediafm_core.media.container import open_media, stream_at

    cues: list[Cue] = []
    try:
        with open_media(file) as container:
            track = stream_at(container, file, stream.index, "subtitle")
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all  # lets the demuxer skip pictures and sound unread
            for packet in container.demux(track):
                if packet.pts is None or packet.time_base is None or not packet.size:
                    continue
                start_s = float(packet.pts * packet.time_base) - origin_s
                progress(start_s)
                end_s = start_s + float((packet.duration or 0) * packet.time_base)
                for subtitle in packet.decode():
                    if not isinstance(subtitle, AssSubtitle):  # a picture
                        continue
                    fields = subtitle.ass.decode("utf-8").split(",", _MATROSKA_ASS_FIELDS - 1)
                    text = _plain_text(pysubs2.SSAEvent(text=fields[-1]))
                    cues.append(Cue(start_s, end_s, text))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise TitleError(
            f"{file}: {stream_name(stream)} cannot be decoded ({error}): mend the file, or put "
            "a subtitle file beside it."
        ) from error
    return TimedText(
        TimedTextSource("embedded", stream_name(stream), stream.language), _in_order(cues)
    )


def stream_name(stream: "SubtitleStream") -> str:
    """Number and codec of a track, as people can find it with any media tool."""
    return f"stream {stream.index} ({stream.codec})"


def _in_order(cues: Iterable[Cue]) -> tuple[Cue, ...]:
    """Cues with text, without exact repetitions; those of equal times in the file's order."""
    return tuple(sorted(dict.fromkeys(cue for cue in cues if cue.text), key=lambda cue: cue[:2]))


def _plain_text(event: pysubs2.SSAEvent) -> str:
    if not event.is_text:
        return ""
    text = _OVERRIDE_BLOCK.sub("", event.text)
    text = re.sub(r"\\[Nnh]", " ", text).replace(r"\{", "{").replace(r"\}", "}")
    return " ".join(text.translate(_INVISIBLE).split())


def _plain_webvtt(text: str) -> str:
    """WebVTT reduced to timing lines and plain text, the part that pysubs2 understands.

    Drops the header's metadata, NOTE, STYLE and REGION blocks, cue identifiers and tags (among
    them inner timestamps); each cue's text becomes one line. https://www.w3.org/TR/webvtt1/
    """
    cues = ["WEBVTT"]
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.strip("\n").split("\n")
        timing = next((number for number, line in enumerate(lines) if "-->" in line), None)
        if timing is not None:
            payload = re.sub(r"<[^>]*>", "", " ".join(lines[timing + 1 :]))
            cues.append(f"{lines[timing]}\n{html.unescape(payload)}")
    return "\n\n".join(cues)


def _check_timing_lines(text: str, format_name: str, file: OwnFile) -> None:
    """Refuse a timing line without two times, which pysubs2 would take for text."""
    timestamp: re.Pattern[str] = get_format_class(format_name).TIMESTAMP  # type: ignore[attr-defined]
    for number, line in enumerate(text.split("\n"), start=1):
        # An arrow in the text of SubRip is no timing line.
        is_timing = "-->" in line and (format_name == "vtt" or line.lstrip()[:1].isdigit())
        if is_timing and len(timestamp.findall(line)) != 2:
            raise TitleError(f"{file}, line {number}: {line.strip()!r} has no two times: mend it.")


def _check_substation_lines(text: str, file: OwnFile) -> None:
    """Refuse a Dialogue line that lacks fields or times, which pysubs2 would fill in."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip().startswith("Dialogue:"):
            fields = line.split(":", 1)[1].split(",", _ASS_FIELDS - 1)
            if len(fields) < _ASS_FIELDS or not all(map(_ASS_TIME.fullmatch, fields[1:3])):
                raise TitleError(
                    f"{file}, line {number}: {line.strip()[:80]!r} is no complete Dialogue line: "
                    "mend it."
                )


def _require_forward_times(cues: Sequence[Cue], file: OwnFile) -> None:
    for cue in cues:
        if cue.end_s < cue.start_s:
            raise TitleError(
                f"{file}: the cue {cue.text[:40]!r} ends at {cue.end_s:g} s, before it starts at "
                f"{cue.start_s:g} s: mend its times."
            )
