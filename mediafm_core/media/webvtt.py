"""WebVTT files by the parser of the standard, https://www.w3.org/TR/webvtt1/#file-parsing.

Where the standard lets a browser drop a cue without a word, this parser names the line. It also
reads what is common and not allowed: times with a comma, a number above times without a blank line
before it.
"""

from mediafm_core.errors import TitleError
from mediafm_core.media.cue_times import Timing, read_timing, shown
from mediafm_core.media.srt import MarkedCue

SIGNATURE = "WEBVTT"
_ARROW = "-->"
_COMMENT = "NOTE"
_BLOCKS_WITHOUT_CUES = (_COMMENT, "STYLE", "REGION")


def read_webvtt(text: str, name: str, most: int) -> list[MarkedCue]:
    """Read the cues of a WebVTT file in the file's order.

    Args:
        text: lines that end in a line feed, the signature on the first that is not blank.
        name: of the file, for errors.
        most: largest number of cues.

    Raises:
        TitleError: a line with an arrow has no two times, or there are too many cues.
    """
    lines = text.replace("\ufeff", "").split("\n")
    cues: list[MarkedCue] = []
    at = _end_of_header(lines)
    carried = ""  # the identifier of the next cue, found at the end of a text
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        first, timed_at, timing, end = _block(lines, at, name)
        at = end
        if timing is None:
            carried = ""
            continue
        identifier = carried or (lines[first].strip() if timed_at > first else "")
        body = lines[timed_at + 1 : end]
        runs_on = end < len(lines) and _ARROW in lines[end]
        carried = _following_number(body, identifier) if runs_on else ""
        if carried:
            body.pop()
        cues.append(
            MarkedCue(timed_at + 1, timing.start_s, timing.end_s, "\n".join((timing.rest, *body)))
        )
        if len(cues) > most:
            raise TitleError(
                f"{name}, line {timed_at + 1}: this is more than {most} cues: divide the file."
            )
    return cues


def _end_of_header(lines: list[str]) -> int:
    """Where the signature and the lines below it end: at a blank line, or at a first cue."""
    at = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    at += 1
    while at < len(lines) and lines[at].strip() and _ARROW not in lines[at]:
        at += 1
    return at


def _block(lines: list[str], first: int, name: str) -> tuple[int, int, Timing | None, int]:
    """One block: where it begins, where its times are, the times, where the next block begins."""
    timing = None
    timed_at = first
    at = first
    without_cue = lines[first].split(maxsplit=1)[0] in _BLOCKS_WITHOUT_CUES
    while at < len(lines) and lines[at].strip():
        if at > first and lines[at].strip() == SIGNATURE:  # of a segment that was appended
            break
        if _ARROW in lines[at]:
            place = f"{name}, line {at + 1}"
            found = read_timing(lines[at], place)
            if found is None and not without_cue:
                raise TitleError(f"{place}: {shown(lines[at])} has no two times: correct it.")
            if found is not None:
                if timing is not None or at > first + 1:
                    break
                timing, timed_at = found, at
        at += 1
    return first, timed_at, timing, at


def _following_number(body: list[str], identifier: str) -> str:
    """The number at the end of a text that runs into the next times and follows on the last."""
    last = body[-1].strip() if body else ""
    is_next = identifier.isdecimal() and len(identifier) < 9 and last == str(int(identifier) + 1)
    return last if is_next else ""
