"""Types of DuckDB that its own conversion to Arrow, or Arrow's to Python, silently changes."""

import re

_INEXACT = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|TIME WITH TIME ZONE|TIME_NS)\b")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")  # values of an ENUM, names of fields


def inexact(kind: str) -> str | None:
    """Return the part of a type, as DuckDB writes it, that would lose something; None without."""
    found = _INEXACT.search(_QUOTED.sub("", kind))
    return found[0] if found else None
