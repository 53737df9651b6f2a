"""Lenient parser of SubRip (SRT) files.

The format has no standard. A cue ends where the next one begins, so that blank lines inside a text
belong to it, as in players. Cue numbers may be missing, wrong or without a blank line before them;
times may lack hours or milliseconds (`cue_times`).
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
    """A cue as written in a file: the 1-based number of its timing line, and text with markup."""

    line: int
    start_s: float
    end_s: float
    text: str


def read_subrip(text: str, name: str, max_cues: int) -> list[MarkedCue]:
    """Read the cues of a SubRip file in the file's order.

    Args:
        text: lines that end in a line feed.
        name: of the file, for errors.
        max_cues: largest number of cues.

    Raises:
        TitleError: a timing line is malformed, or there are too many cues.
    """
    lines = text.replace("\ufeff", "").split("\n")
    timings = _timings(lines, name, max_cues)
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
                pass  # blank lines after the number
        number = next_number if next_number is not None else number and number + 1
        cues.append(
            MarkedCue(at + 1, timing.start_s, timing.end_s, "\n".join((timing.rest, *body)))
        )
    return cues


def _timings(lines: list[str], name: str, max_cues: int) -> list[tuple[int, Timing]]:
    """Find the timing lines; returns the index (from 0) and the times of each."""
    timings = []
    for at, line in enumerate(lines):
        where = f"{name}, line {at + 1}"
        if may_be_timing(line) and (timing := read_timing(line, where)):
            timings.append((at, timing))
            if len(timings) > max_cues:
                raise TitleError(f"{where}: the file has more than {max_cues} cues: split it.")
        elif line[:1] in "-0123456789 \t" and _begins_a_cue(lines, at) and is_broken_timing(line):
            raise TitleError(
                f"{where}: {quoted(line.strip())} is not a start and an end time: correct it."
            )
    return timings


def _begins_a_cue(lines: list[str], at: int) -> bool:
    """Return True if a blank line or a number precedes: a timing line is expected there."""
    before = lines[at - 1].strip() if at else ""
    return not before or _number(before) is not None


def _number_before_first(lines: list[str], at: int) -> int | None:
    before = [line for line in lines[max(0, at - 3) : at] if line.strip()]
    return _number(before[-1]) if before else None


def _next_number(body: list[str], number: int | None, numbered: bool, is_last: bool) -> int | None:
    """Return the number of the next cue if the lines between two timing lines end with one.

    A number that continues the sequence is a cue number. Any other one must be directly above the
    next timing line, and below a blank line unless the file numbers its cues: in "Room / 101", the
    101 is text.
    """
    at = len(body) - 1
    while at >= 0 and not body[at].strip():
        at -= 1
    found = _number(body[at]) if at >= 0 else None
    if found is None:
        return None
    below_blank = at > 0 and not body[at - 1].strip()
    follows = number is not None and found == number + 1
    if is_last:  # a file truncated after a cue number
        return found if follows and below_blank else None
    above_times = at == len(body) - 1
    return found if follows or (above_times and (numbered or below_blank)) else None


def _number(line: str) -> int | None:
    line = line.strip()
    return int(line) if line.isdecimal() and len(line) <= _LONGEST_NUMBER else None
