"""Lenient parser of cue times in SubRip and WebVTT files."""

import re
from typing import NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.readable import quoted

# Translation programs put blanks around the separators; some tools omit hours or milliseconds.
_TIME = r"(-?) ?(?:(\d{1,4}) ?: ?)?(\d{1,3}) ?: ?(\d{1,2})(?: ?([.,:;]) ?(\d{1,9}))?"
_ARROW = r"(?:(?:[-\u2010-\u2015\u2212] ?){1,3}(?:>|&gt;)|\u2192)"
_TIMING = re.compile(rf"{_TIME}[ \t]*{_ARROW}[ \t]*{_TIME}(?![\w:;]|[.,]\d)(.*)", re.DOTALL)
# Positions in SubRip (X1:63 X2:223 Y1:43 Y2:58), settings in WebVTT (align:start line:0).
_SETTINGS = re.compile(r"(?:[ \t]+[A-Za-z]\w*:[^\s]+)*[ \t]*")
_STARTS_LIKE_A_TIME = re.compile(r"-?\d+ ?: ?\w")
_FULL_TIME = re.compile(r"\d+:\d{2}:\d{2}[.,]\d")
_LONGEST_LINE = 2000  # characters of a line with times


class Timing(NamedTuple):
    """Start and end of a cue in seconds, and the rest of its line."""

    start_s: float
    end_s: float
    rest: str


def may_be_timing(line: str) -> bool:
    """Return True if a line holds an arrow: a cheap test that rules out most lines of a file."""
    return ">" in line or "\u2192" in line or "&gt;" in line


def read_timing(line: str, where: str) -> Timing | None:
    """Read a line such as `00:00:01,000 --> 00:00:02,500 align:start`.

    Hours and fractions of a second may be missing, and the decimal separator may be a point or a
    comma. Negative times are accepted, and so are minutes and seconds of 60 and more.

    Args:
        line: without its line end.
        where: file and line, for the error.

    Returns:
        None if the line does not begin with two times and an arrow between them. `rest` is the
        text after the times, without positions and cue settings.

    Raises:
        TitleError: the times count frames; the file does not give their rate.
    """
    found = _TIMING.match(line[:_LONGEST_LINE].strip())
    if found is None:
        return None
    groups = found.groups()
    start, end = groups[:6], groups[6:12]
    for _, _, _, _, sign, fraction in (start, end):
        if sign in {":", ";"} and len(fraction) != 3:
            raise TitleError(
                f"{where}: {quoted(line.strip())} counts frames: write fractions of a second, "
                "such as 00:00:01,500."
            )
    rest = line.strip()[found.start(13) :]
    settings = _SETTINGS.match(rest)
    end_of_settings = settings.end() if settings else 0
    return Timing(_seconds(*start), _seconds(*end), rest[end_of_settings:].strip())


def is_broken_timing(line: str) -> bool:
    """Return True if a line looks like a malformed timing; the caller has ruled out valid ones."""
    line = line.strip()
    if not _STARTS_LIKE_A_TIME.match(line):
        return False
    return "-->" in line or len(_FULL_TIME.findall(line[:_LONGEST_LINE])) > 1


def _seconds(
    sign: str, hours: str | None, minutes: str, seconds: str, _: str | None, fraction: str | None
) -> float:
    """Convert the parts of a time to seconds, truncated to whole milliseconds."""
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    milliseconds = whole * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    return (-milliseconds if sign else milliseconds) / 1000
