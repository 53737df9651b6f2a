"""Reader of untrusted JSON: bounded size and depth, unique keys, finite numbers.

Python's `json` keeps the last of two equal keys, reads `NaN` and `1e999`, and raises
`RecursionError` for deep nesting. RFC 8259 leaves equal keys undefined and has no such numbers.
"""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn


def parse_json(data: bytes, *, finite: bool = True) -> Any:
    """Parse a JSON document.

    Args:
        data: in UTF-8, UTF-16 or UTF-32.
        finite: refuse numbers that are not finite; otherwise `NaN` and `Infinity` are read.

    Raises:
        ValueError: it is no JSON, nested too deeply, has a key twice or a number that is not
            finite.
    """
    checks: dict[str, Any] = {"parse_constant": _refuse, "parse_float": _finite} if finite else {}
    try:
        return json.loads(data, object_pairs_hook=_without_duplicates, **checks)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Read a small file, without waiting for a pipe or device in its place.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is no regular file, or larger than that.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > most_bytes:
            raise ValueError(f"it has {status.st_size:,} bytes, more than {most_bytes:,}")
        return file.read(status.st_size)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {double[:40]!r} comes twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number
