"""Seals: SHA-256 digests inside the files that they cover, compared when the files are read.

    {"record": ..., "sha256": "<hex>"}          a JSON document, as its last member
    <file>MediaFM-SHA-256:<hex>                 a DuckDB file, which is read as before
    <data><two such lines><footer>PAR1          a Parquet file: `mediafm_core.disk.sealed_parquet`

A seal is replaced with its file, atomically. Files of earlier versions have none, and are read
without a comparison. A damaged seal is not mistaken for a missing one: it is recognised by its
fixed bytes, some of which may be wrong.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mediafm_core.disk.strict_json import parse_json

_LABEL = b"MediaFM-SHA-256:"
_HEX_BYTES = 64
LINE_BYTES = len(_LABEL) + _HEX_BYTES + 1

_BEFORE, _AFTER = b',\n  "sha256": "', b'"\n}\n'
_END = b"\n}\n"  # of a JSON document with an indent
_MEMBER_BYTES = len(_BEFORE) + _HEX_BYTES + len(_AFTER)

_WRONG_BYTES = 4  # largest number of wrong fixed bytes in a damaged seal
_READ_BYTES = 1 << 20
_CORRECTED_BYTES = (
    16 << 10
)  # longest document in which a flipped bit is searched: takes some seconds


class SealError(ValueError):
    """Damage to a file; the text is the reason."""


def line(digest: bytes) -> bytes:
    """Return a digest as a line of a seal, `LINE_BYTES` long."""
    return _LABEL + digest.hex().encode() + b"\n"


def is_like_line(found: bytes) -> bool:
    """Return True for a line of a seal, undamaged or damaged."""
    return len(found) == LINE_BYTES and _is_like(found[: len(_LABEL)], _LABEL)


def sha256_of_file(path: Path, size: int | None = None) -> bytes:
    """Return the SHA-256 of a file, or of its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return sha256_of(file, size)


def sha256_of(file: BinaryIO, size: int | None = None) -> bytes:
    """Return the SHA-256 of what is left of an open file, or of its next bytes."""
    digest, left = hashlib.sha256(), size
    while left != 0:
        block = file.read(_READ_BYTES if left is None else min(left, _READ_BYTES))
        if not block:
            break
        digest.update(block)
        left = None if left is None else left - len(block)
    return digest.digest()


def seal_file(path: Path) -> None:
    """Append a seal to a file whose readers ignore it (DuckDB)."""
    digest = sha256_of_file(path)
    with path.open("ab") as file:
        file.write(line(digest))


def check_file(path: Path) -> bool:
    """Compare a file with the seal at its end; False where it has none.

    Raises:
        SealError: it is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2) - LINE_BYTES
        file.seek(max(0, size))
        found = file.read(LINE_BYTES)
        if not is_like_line(found):
            return False
        file.seek(0)
        if line(sha256_of(file, size)) != found:
            raise SealError("its SHA-256 has changed since it was written")
    return True


def sealed_json(document: Mapping[str, Any]) -> bytes:
    """Return a JSON document as text with its digest as the last member, `sha256`.

    Args:
        document: not empty, and without a member of this name.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    digest = hashlib.sha256(text).hexdigest().encode()
    return text[: -len(_END)] + _BEFORE + digest + _AFTER


def is_sealed_json(content: bytes) -> bool:
    """Return True if a text ends with the seal of a JSON document, undamaged or damaged."""
    member = content[-_MEMBER_BYTES:]
    fixed = member[: len(_BEFORE)] + member[-len(_AFTER) :]
    return len(member) == _MEMBER_BYTES and _is_like(fixed, _BEFORE + _AFTER)


def read_sealed_json(content: bytes) -> Any:
    """Return a JSON document without its seal, after comparing the two.

    Raises:
        SealError: it is damaged.
        ValueError: it is no JSON.
    """
    if not is_sealed_json(content):
        return parse_json(content, finite=False)
    text = content[:-_MEMBER_BYTES] + _END
    digest = hashlib.sha256(text).hexdigest().encode()
    if content[-_MEMBER_BYTES:] != _BEFORE + digest + _AFTER:
        raise SealError("its SHA-256 has changed since it was written")
    return parse_json(text, finite=False)


def corrected(content: bytes, is_right: Callable[[bytes], bool]) -> bytes | None:
    """Search for the single flipped bit of a short document; None if that is not the damage.

    Args:
        content: damaged; one longer than 16 KiB is not searched.
        is_right: compares a content with its digest.
    """
    if len(content) > _CORRECTED_BYTES:
        return None
    tried = bytearray(content)
    for place in range(len(tried)):
        for bit in range(8):
            tried[place] ^= 1 << bit
            if is_right(bytes(tried)):
                return bytes(tried)
            tried[place] ^= 1 << bit
    return None


def is_right_json(content: bytes) -> bool:
    """Return True for a sealed JSON document that is undamaged."""
    try:
        return is_sealed_json(content) and isinstance(read_sealed_json(content), dict)
    except ValueError:
        return False


def _is_like(found: bytes, fixed: bytes) -> bool:
    return sum(one != other for one, other in zip(found, fixed, strict=True)) <= _WRONG_BYTES
