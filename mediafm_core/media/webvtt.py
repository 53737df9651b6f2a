"""WebVTT parser by the standard, https://www.w3.org/TR/webvtt1/#file-parsing.

Where the standard lets a browser drop a cue silently, this parser raises an error with the line. It
also accepts common deviations: times with a comma, and a number above times without a blank line
before it.
"""

from mediafm_core.errors import TitleError
from mediafm_core.media.cue_times import Timing, may_be_timing, read_timing
from mediafm_core.media.srt import MarkedCue
from mediafm_core.readable import quoted

SIGNATURE = "WEBVTT"
_ARROW = "-->"
_COMMENT = "NOTE"
_BLOCKS_WITHOUT_CUES = (_COMMENT, "STYLE", "REGION", SIGNATURE)


def read_webvtt(text: str, name: str, max_cues: int) -> list[MarkedCue]:
    """Read the cues of a WebVTT file in the file's order.

    Args:
        text: lines that end in a line feed; the first non-blank line is the signature.
        name: of the file, for errors.
        max_cues: largest number of cues.

    Raises:
        TitleError: a line with an arrow does not hold two times, or there are too many cues.
    """
    lines = text.replace("\ufeff", "").split("\n")
    cues: list[MarkedCue] = []
    at = _end_of_header(lines)
    carried = ""  # the identifier of the next cue, found at the end of a text
    untimed = 0  # line of the first text without times
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        first = at
        timed_at, timing, at = _block(lines, first, name)
        if timing is None:
            carried = ""
            if not untimed and lines[first].split(maxsplit=1)[0] not in _BLOCKS_WITHOUT_CUES:
                untimed = first + 1
            continue
        identifier = carried or (lines[first].strip() if timed_at > first else "")
        body = lines[timed_at + 1 : at]
        carried = _following_number(body, identifier)
        if carried and not (at < len(lines) and _is_timing(lines[at])):
            carried = ""
        if carried:
            body.pop()
        cues.append(MarkedCue(timed_at + 1, timing.start_s, timing.end_s, "\n".join(body)))
        if len(cues) > max_cues:
            raise TitleError(
                f"{name}, line {timed_at + 1}: the file has more than {max_cues} cues: split it."
            )
    if untimed and not cues:
        raise TitleError(
            f"{name}, line {untimed}: {quoted(lines[untimed - 1].strip())} has no times, like all "
            "other text: replace the file, or remove it if the title has no captions."
        )
    return cues


def _is_timing(line: str) -> bool:
    """Return True if a line holds the arrow of the standard, or two times and another arrow."""
    return _ARROW in line or (may_be_timing(line) and read_timing(line, "") is not None)


def _end_of_header(lines: list[str]) -> int:
    """Return the index at which the header ends: a blank line, or the first cue."""
    at = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    at += 1
    while at < len(lines) and lines[at].strip() and not _is_timing(lines[at]):
        at += 1
    return at


def _block(lines: list[str], first: int, name: str) -> tuple[int, Timing | None, int]:
    """Read one block; returns the index of its timing, the timing, the index of the next block."""
    timing = None
    timed_at = at = first
    without_cue = lines[first].split(maxsplit=1)[0] in _BLOCKS_WITHOUT_CUES
    while at < len(lines) and lines[at].strip():
        if at > first and lines[at].strip() == SIGNATURE:  # header of an appended segment
            break
        if may_be_timing(lines[at]):
            where = f"{name}, line {at + 1}"
            found = read_timing(lines[at], where)
            if found is None and _ARROW in lines[at] and not without_cue:
                raise TitleError(
                    f"{where}: {quoted(lines[at].strip())} is not a start and an end time: "
                    "correct it."
                )
            if found is not None:
                if timing is not None or at > first + 1:
                    break
                timing, timed_at = found, at
        at += 1
    return timed_at, timing, at


def _following_number(body: list[str], identifier: str) -> str:
    """Return the last line of a text if it is the number after the last cue's; else empty.

    Such a number belongs to the next cue, whose times follow without a blank line.
    """
    last = body[-1].strip() if body else ""
    is_next = identifier.isdecimal() and len(identifier) < 9 and last == str(int(identifier) + 1)
    return last if is_next else ""
