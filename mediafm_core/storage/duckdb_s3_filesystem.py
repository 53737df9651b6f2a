"""File system for DuckDB that reads `s3://` addresses from the local cache, without httpfs.

A view names its files by addresses that hold for every client, and DuckDB looks at a file when a
view is made. With this file system it finds the cached file on this machine.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem

from mediafm_core.storage.files import Files


class CachedFileSystem(AbstractFileSystem):
    """The part of a file system that DuckDB needs to read files one after another.

    Args:
        files: at an `s3://` location.
    """

    protocol = "s3"
    cachable = False

    def __init__(self, files: Files) -> None:
        super().__init__()
        self._files = files
        self._prefix = f"{files.location.removeprefix('s3://')}/"

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """Return size and type."""
        return {"name": path, "size": self._copy(path).stat().st_size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return when the cached file was written."""
        return datetime.fromtimestamp(self._copy(path).stat().st_mtime, UTC)

    def glob(self, path: str, **_options: Any) -> list[str]:
        """Return the path itself: addresses here are never patterns."""
        return [path]

    def open(self, path: str, _mode: str = "rb", *_arguments: Any, **_options: Any) -> BinaryIO:
        """Open the cached file for reading."""
        return self._copy(path).open("rb")

    def _copy(self, path: str) -> Path:
        address = self._strip_protocol(path)
        return self._files.path(address.removeprefix(self._prefix), immutable=True)
