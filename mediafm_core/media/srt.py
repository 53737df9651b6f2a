"""SubRip files, which have no standard: a cue ends where the next one begins.

Blank lines inside a text belong to it, as players show them. Numbers of cues may be missing, wrong
or without a blank line before them; times may lack hours or milliseconds (`cue_times`).
"""

from typing import NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.media.cue_times import (
    Timing,
    is_broken_timing,
    may_be_timing,
    read_timing,
)
from mediafm_core.readable import quoted

_LONGEST_NUMBER = 9  # digits


class MarkedCue(NamedTuple):
    """A cue as it stands in a file: number of its line with times, from 1; text with markup."""

    line: int
    start_s: float
    end_s: float
    text: str


def read_subrip(text: str, name: str, most: int) -> list[MarkedCue]:
    """Read the cues of a SubRip file in the file's order.

    Args:
        text: lines that end in a line feed.
        name: of the file, for errors.
        most: largest number of cues.

    Raises:
        TitleError: a line that should hold two times does not, or there are too many cues.
    """
    lines = text.replace("\ufeff", "").split("\n")
    timings = _timings(lines, name, most)
    numbered = 2 * sum(at > 0 and _number(lines[at - 1]) is not None for at, _ in timings) > len(
        timings
    )
    cues = []
    number = _number_before_first(lines, timings[0][0]) if timings else None
    for position, (at, timing) in enumerate(timings):
        is_last = position + 1 == len(timings)
        body = lines[at + 1 : len(lines) if is_last else timings[position + 1][0]]
        next_number = _next_number(body, number, numbered, is_last)
        if next_number is not None:
            while _number(body.pop()) is None:
                pass  # blank lines behind the number
        number = next_number if next_number is not None else number and number + 1
        cues.append(
            MarkedCue(at + 1, timing.start_s, timing.end_s, "\n".join((timing.rest, *body)))
        )
    return cues


def _timings(lines: list[str], name: str, most: int) -> list[tuple[int, Timing]]:
    """Position (from 0) and content of the lines with times."""
    timings = []
    for at, line in enumerate(lines):
        place = f"{name}, line {at + 1}"
        if may_be_timing(line) and (timing := read_timing(line, place)):
            timings.append((at, timing))
            if len(timings) > most:
                raise TitleError(f"{place}: this is more than {most} cues: divide the file.")
        elif line[:1] in "-0123456789 \t" and _begins_a_cue(lines, at) and is_broken_timing(line):
            raise TitleError(f"{place}: {quoted(line.strip())} has no two times: correct it.")
    return timings


def _begins_a_cue(lines: list[str], at: int) -> bool:
    """Return True behind a blank line or a number: times are expected there."""
    before = lines[at - 1].strip() if at else ""
    return not before or _number(before) is not None


def _number_before_first(lines: list[str], at: int) -> int | None:
    before = [line for line in lines[max(0, at - 3) : at] if line.strip()]
    return _number(before[-1]) if before else None


def _next_number(body: list[str], number: int | None, numbered: bool, is_last: bool) -> int | None:
    """The number of the next cue if it is the last thing between two lines with times.

    A number is one if it follows on the last. Otherwise it has to stand right above the next times
    in a file that numbers its cues, or below a blank line: "Room / 101" keeps its 101.
    """
    at = len(body) - 1
    while at >= 0 and not body[at].strip():
        at -= 1
    found = _number(body[at]) if at >= 0 else None
    if found is None:
        return None
    below_blank = at > 0 and not body[at - 1].strip()
    follows = number is not None and found == number + 1
    if is_last:  # a file cut off behind a number
        return found if follows and below_blank else None
    above_times = at == len(body) - 1
    return found if follows or (above_times and (numbered or below_blank)) else None


def _number(line: str) -> int | None:
    line = line.strip()
    return int(line) if line.isdecimal() and len(line) <= _LONGEST_NUMBER else None
