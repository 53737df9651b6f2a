"""Text from outside (titles, file names, error messages) made safe and short enough to show."""

import re

LONGEST_LINE = 300  # characters of an error or a reason
_TAIL = 110  # characters kept of the end, where the remedy is
_ROOM_FOR_MARK = 40

# C0 and C1 control characters, line and paragraph separators, bidirectional embeddings, overrides
# and isolates, and lone surrogates: what moves the cursor, changes colours or reorders a line.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return text for one line of a terminal, with escapes in place of control characters."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(message: object) -> str:
    """Return an error or its text as one printable line of at most `LONGEST_LINE` characters.

    White space is collapsed. A longer text keeps its beginning and its end, and says between them
    how many characters are left out.
    """
    line = printable(" ".join(str(message).split()))
    if len(line) <= LONGEST_LINE:
        return line
    head = LONGEST_LINE - _TAIL - _ROOM_FOR_MARK
    left_out = len(line) - head - _TAIL
    return f"{line[:head]} [... {left_out} characters left out ...] {line[-_TAIL:]}"


# What Markdown (CommonMark, and GitHub's tables and autolinks) or HTML takes for markup.
_MARKUP = {letter: f"&#{ord(letter)};" for letter in "&<>|*_`~[]()!#\\"}
_LINK = re.compile(r"(?i)(https?|ftp|mailto|xmpp|www)([:.])|@(?=[\w-]+\.)")  # becomes one by itself


def as_markdown(text: object) -> str:
    """Return a text from outside as one line of Markdown that shows it and means nothing else.

    Letters of markup become numeric entities: no HTML, link or picture comes of it.
    """
    line = printable(" ".join(str(text).split()))
    shown = "".join(_MARKUP.get(letter, letter) for letter in line)
    return _LINK.sub(lambda found: f"{found[1] or ''}&#{ord(found[0][-1])};", shown)


_JOINER = "\u2060"  # has no width, and no line breaks at it
_MEANT = re.compile(r"<|\](?=[(:\[])|(?:https?|ftp|mailto|xmpp|www)(?=[:.])", re.IGNORECASE)


def inert(text: object) -> str:
    """Return a text from outside that looks the same as plain text and as Markdown.

    For what Dagster's pages show as either: a description of an event. No HTML, link or picture
    comes of it, since word joiners, which are not seen, part what would be markup.
    """
    return _MEANT.sub(lambda found: found[0] + _JOINER, printable(str(text)))


def shortened(message: object, most: int) -> str:
    """Return a text as one printable line that is cut off after `most` characters."""
    line = printable(" ".join(str(message).split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def quoted(text: str, most: int = 60) -> str:
    """Return text in quotes and with escapes, cut so that no more than `most` characters show."""
    shown = printable(repr(text[:most]))
    return shown if len(text) <= most and len(shown) <= most + 2 else f"{shown[: most - 3]}...'"
