"""Places that files are kept in: a folder of this machine, or `s3://bucket/prefix`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_SCHEME = "s3://"
# The rules of S3 for the names of buckets; old ones with capitals are not served by every endpoint.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_PATTERN = re.compile(r"[*?\[\\]")  # DuckDB takes them for patterns of addresses


# limits.h of Linux; with room for the names of files below a folder.
_LONGEST_NAME, _LONGEST_PATH = 255, 3840


def usable_path(path: Path) -> Path:
    """Return a path that a file can have.

    Raises:
        ValueError: it has a zero byte or a lone surrogate, or is too long.
    """
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError("the path has a character that no file name can have") from None
    if b"\0" in encoded:
        raise ValueError("the path has a zero byte")
    if len(encoded) > _LONGEST_PATH or any(
        len(part) > _LONGEST_NAME for part in encoded.split(b"/")
    ):
        raise ValueError(f"the path is too long ({len(encoded):,} bytes)")
    return path


LocalPath = Annotated[Path, AfterValidator(usable_path)]
"""A setting that names a file or folder of this machine."""


@dataclass(frozen=True)
class S3Location:
    """A prefix of a bucket, without `/` at its ends; empty for the whole bucket."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """Return the object's key of a file's name below this place."""
        return f"{self.prefix}/{name}" if self.prefix else name


def parse_location(value: Any) -> Any:
    """Return a place from text, or one that is a place already.

    Raises:
        ValueError: it cannot be used.
    """
    if isinstance(value, Path):
        return usable_path(value)
    if isinstance(value, S3Location):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is neither a folder nor s3://bucket/prefix")
    scheme, separator, rest = value.partition("://")
    if not separator:
        return usable_path(Path(value))
    if scheme.lower() != "s3":
        raise ValueError(f"{value} is neither a folder nor s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{value} names no bucket: write s3://bucket/prefix")
    parts = prefix.rstrip("/").split("/") if prefix.strip("/") else []
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{value} has an empty part, '.' or '..' in its prefix")
    if found := _PATTERN.search(prefix):
        raise ValueError(f"{value} has a {found[0]} in its prefix, which stands for a pattern")
    return S3Location(bucket, "/".join(parts))


Location = Annotated[
    Path | S3Location,
    BeforeValidator(parse_location),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "format": "location"}),
]
"""A setting that names a folder or `s3://bucket/prefix`."""
