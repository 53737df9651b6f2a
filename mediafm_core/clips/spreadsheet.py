"""Lenient reader of CSV tables as spreadsheet programs write them: separators, header and times.

In countries with a decimal comma, Excel separates columns by semicolons; text copied from a
spreadsheet is separated by tabs.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.readable import quoted

MAX_COLUMNS = 1000
MAX_ROWS = 100_000
MAX_LINES = 1_000_000
MAX_CHARACTERS = 10_000
"""Most characters of one cell."""

_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)  # a convention of Excel
_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9}))?", re.ASCII)
_FRAMES = re.compile(r"\d+:\d+:\d+[:;]\d+", re.ASCII)


class Row(NamedTuple):
    """Cells of a row by column, stripped, and the row's file and line for errors."""

    where: str
    cells: dict[str, str]


def read_rows(text: str, name: str, required: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table whose first line is the header.

    Names of required columns may have capitals, blanks and hyphens: `Clip ID` is `clip_id`; other
    names are kept as written. Empty lines are skipped, and so are trailing columns without name
    and values.

    Args:
        text: the file; lines end in a line feed.
        name: of the file, for errors.
        required: names of required columns.

    Raises:
        TitleError: a column is missing, duplicate or unnamed, a line has more or fewer values than
            the header, a quotation mark is not closed, or the table exceeds a limit.
    """
    if text.count("\n") > MAX_LINES:
        raise TitleError(f"{name} has more than {MAX_LINES} lines: shorten the table.")
    text, skipped, separator = _separator(text.removeprefix("\ufeff"), required)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = 0
    try:
        header = _header(next(reader, []), name, skipped, required)
        for values in reader:
            while len(values) > len(header) and not values[-1].strip():
                values.pop()
            if not any(map(str.strip, values)):
                continue
            rows += 1
            where = f"{name}, line {reader.line_num + skipped}"
            if rows > MAX_ROWS:
                raise TitleError(f"{where}: the table has more than {MAX_ROWS} rows: shorten it.")
            if len(values) != len(header):
                raise TitleError(
                    f"{where}: {len(values)} values for {len(header)} columns: correct the line."
                )
            if max(map(len, values)) > MAX_CHARACTERS:
                raise TitleError(
                    f"{where}: a value has more than {MAX_CHARACTERS} characters: shorten it."
                )
            yield Row(where, dict(zip(header, map(str.strip, values), strict=True)))
    except csv.Error as error:
        raise TitleError(
            f"{name}, line {reader.line_num + skipped}: not a row of values separated by "
            f"{separator!r} ({error}): correct the file."
        ) from None


def read_seconds(text: str, column: str, where: str) -> float:
    """Parse seconds: `61.5`, with a decimal comma `61,5`, or as clock time, `1:01.5`.

    Raises:
        TitleError: the text is neither, is not finite, or counts frames.
    """
    if _FRAMES.fullmatch(text):
        raise TitleError(
            f"{where}: {column} {quoted(text)} counts frames, whose rate is not known: write "
            "seconds, or h:mm:ss.fff."
        )
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds, fraction = clock.groups()
        whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
        return whole + float(f"0.{fraction or 0}")
    value = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise TitleError(
            f"{where}: {column} {quoted(text)} is not a number of seconds: write one such as 61.5 "
            "or 0:01:01.5."
        )
    return value


def _separator(text: str, required: Sequence[str]) -> tuple[str, int, str]:
    """Return the text from its header on, the number of skipped lines, and the separator.

    Skipped are empty lines before the header, and a `sep=` line.
    """
    whole = text.count("\n")
    text = text.lstrip("\n")
    first, _, rest = text.partition("\n")
    named = _SEPARATOR_LINE.fullmatch(first)
    if named:
        text = rest.lstrip("\n")
        return text, whole - text.count("\n"), named[1]
    plain = {_plain(name) for name in required}

    def columns(separator: str) -> int:
        names = {_plain(name.strip().strip('"')) for name in first.split(separator, MAX_COLUMNS)}
        return len(plain & names)

    return text, whole - text.count("\n"), max(_SEPARATORS, key=columns)


def _header(values: list[str], name: str, skipped: int, required: Sequence[str]) -> list[str]:
    """Normalise and check the names of the columns."""
    where = f"{name}, line {1 + skipped}"
    names = [value.strip() for value in values]
    while names and not names[-1]:
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise TitleError(f"{where}: {len(names)} columns, more than {MAX_COLUMNS}: remove some.")
    plain = {_plain(column): column for column in required if column not in names}
    names = [plain.get(_plain(each), each) for each in names]
    missing = [column for column in required if column not in names]
    if missing:
        raise TitleError(
            f"{where}: column {missing[0]!r} is missing from {quoted(','.join(names))}: the header "
            f"begins with {','.join(required)}."
        )
    seen: set[str] = set()
    for number, each in enumerate(names, start=1):
        if not each or each in seen:
            raise TitleError(
                f"{where}: column {number}, {quoted(each)}, has no unique name: rename it."
            )
        seen.add(each)
    return names


def _plain(name: str) -> str:
    return _BETWEEN_WORDS.sub("_", name.strip()).casefold()
