"""Text from outside (titles, file names, error messages) made safe and short enough to show."""

import re

REASON_CHARACTERS = 600  # of a reason that is stored or shown; the longest of our own are shorter
_TAIL = 200  # characters kept of the end, where the remedy is

# C0 and C1 control characters, line and paragraph separators, bidirectional embeddings, overrides
# and isolates, and lone surrogates: what moves the cursor, changes colours or reorders a line.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return text for a terminal, on one line: control characters as escapes such as `\\x1b`."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def reason(text: object) -> str:
    """Return an error or its text as one printable line of at most `REASON_CHARACTERS`.

    White space is collapsed. A longer text keeps its beginning and its end, and says between them
    how many characters were left out.
    """
    line = printable(" ".join(str(text).split()))
    if len(line) > REASON_CHARACTERS:
        head = REASON_CHARACTERS - _TAIL - len("[... 1234567890 characters left out ...]")
        left_out = len(line) - head - _TAIL
        line = f"{line[:head]}[... {left_out} characters left out ...]{line[-_TAIL:]}"
    return line
