"""JSON without loss of digits, safe to print in a terminal."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pyarrow import MonthDayNano

from mediafm_core.readable import UNSAFE

_NANOSECONDS = 10**9


def json_text(value: Any, indent: int | None = None, depth: int = 0) -> str:
    """Return a value as JSON.

    Integers keep all their digits, and decimals are exact numbers with all their places (`json`
    would convert them to floats). NaN and infinities, which JSON lacks, become null; dates and
    times become ISO 8601 text, intervals ISO 8601 durations, bytes hexadecimal text.

    Args:
        value: a value of a plain type or of one that Arrow converts to, or a list or mapping.
        indent: spaces per level, with each item on a line of its own; None writes one line.
        depth: number of enclosing levels.

    Raises:
        TypeError: a value of another type.
    """
    match value:
        case bool() | None:
            return json.dumps(value)
        case int():
            return str(value)
        case float():
            return repr(float(value)) if math.isfinite(value) else "null"
        case Decimal():
            return format(value, "f") if value.is_finite() else "null"
        case Mapping():
            items = [
                f"{_quoted(_text(key))}: {json_text(item, indent, depth + 1)}"
                for key, item in value.items()
            ]
            return _enclosed("{}", items, indent, depth)
        case str() | datetime() | date() | time() | timedelta() | bytes() | UUID():
            return _quoted(_text(value))
        case MonthDayNano():  # a tuple: before the sequences
            return _quoted(_text(value))
        case list() | tuple() | set() | frozenset():
            items = [json_text(item, indent, depth + 1) for item in value]
            return _enclosed("[]", items, indent, depth)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def _text(value: Any) -> str:
    """Return a value as the text of a JSON string, or of a key."""
    match value:
        case str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(0, 0, value // timedelta(microseconds=1) * 1000)
        case MonthDayNano():
            return _duration(value.months, value.days, value.nanoseconds)
        case bytes():
            return value.hex()
        case UUID():
            return str(value)
    return json_text(value)  # a key that is a number


def _duration(months: int, days: int, nanoseconds: int) -> str:
    """Return an ISO 8601 duration: `P1M2DT90.5S`; each part may be negative."""
    parts = [f"{months}M"] * bool(months) + [f"{days}D"] * bool(days)
    seconds = ""
    if nanoseconds or not parts:
        exact = (Decimal(nanoseconds) / _NANOSECONDS).normalize()
        seconds = f"T{exact:f}S"
    return f"P{''.join(parts)}{seconds}"


def _quoted(text: str) -> str:
    """Return a JSON string, with escapes for control characters of terminals."""
    escaped = json.dumps(text, ensure_ascii=False)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)


def _enclosed(brackets: str, items: list[str], indent: int | None, depth: int) -> str:
    opening, closing = brackets[0], brackets[1]
    if indent is None or not items:
        return f"{opening}{', '.join(items)}{closing}"
    line = "\n" + " " * indent * (depth + 1)
    return f"{opening}{line}{f',{line}'.join(items)}{line[:-indent]}{closing}"
