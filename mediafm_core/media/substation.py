"""SubStation files (SSA and ASS), parsed by pysubs2."""

import re

import pysubs2

from mediafm_core.errors import TitleError
from mediafm_core.media.srt import MarkedCue
from mediafm_core.readable import quoted

_SECTION = re.compile(r"\[(?:Script Info|V4\+? Styles|Events)\]", re.IGNORECASE)
_DIALOGUE = "Dialogue:"
_FIELDS = 10  # of a Dialogue line; the text is the last
_TIME = re.compile(r"\s*-?\d{1,2}:\d{1,2}:\d{1,2}([.,]\d{1,3})?\s*", re.ASCII)
_HEAD = "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"


def is_substation(text: str) -> bool:
    """Return True if a text has a SubStation section header before any timing of another format."""
    for line in text.split("\n"):
        if "-->" in line:
            return False
        if "[" in line and _SECTION.match(line.lstrip("\ufeff \t")):
            return True
    return False


def read_substation(text: str, name: str, max_cues: int) -> list[MarkedCue]:
    """Read the Dialogue lines of a SubStation file in the file's order.

    Only these lines are passed to pysubs2: embedded fonts and images may be large, styles may be
    malformed, and neither changes the text.

    Raises:
        TitleError: a Dialogue line lacks fields or times, or there are too many of them.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.lstrip("\ufeff \t")
        if not line.startswith(_DIALOGUE):
            continue
        fields = line[len(_DIALOGUE) :].split(",", _FIELDS - 1)
        if len(fields) < _FIELDS or not all(map(_TIME.fullmatch, fields[1:3])):
            raise TitleError(
                f"{name}, line {number}: {quoted(line.strip())} is an incomplete Dialogue line: "
                "correct it."
            )
        start, end = (_with_fraction(time) for time in fields[1:3])
        # The other fields are not used, and pysubs2 logs a warning for each malformed one.
        found.append((number, f"{_DIALOGUE} 0,{start},{end},,,0,0,0,,{fields[-1]}"))
        if len(found) > max_cues:
            raise TitleError(
                f"{name}, line {number}: the file has more than {max_cues} Dialogue lines: "
                "split it."
            )
    events = pysubs2.SSAFile.from_string(
        _HEAD + "\n".join(line for _, line in found), format_="ass"
    ).events
    return [
        MarkedCue(number, event.start / 1000, event.end / 1000, event.text)
        for (number, _), event in zip(found, events, strict=True)
    ]


def _with_fraction(time: str) -> str:
    """Return a time with a fraction of a second, which pysubs2 requires."""
    time = time.strip()
    return time if "." in time or "," in time else f"{time}.0"
