"""Interface to named files on disk or in S3, for the store and the inbox.

A file is named by its key, a relative path with `/`, on disk and in S3. It is written atomically,
and read through a path on this machine.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A file as a listing shows it.

    Attributes:
        key: its name.
        size: bytes.
        stamp: changes whenever the file is replaced; compared, never read.
        modified_s: when it was written, seconds since the epoch.
    """

    key: str
    size: int
    stamp: str
    modified_s: float


class Files(ABC):
    """A tree of files.

    Attributes:
        location: for messages: a folder's path or `s3://bucket/prefix`.
        root: folder of this machine for work in progress; for local files, their own folder.
        is_remote: True if files are read through the local cache.
    """

    location: str
    root: Path
    is_remote = False

    @abstractmethod
    def path(self, key: str, *, immutable: bool = False) -> Path:
        """Return a path on this machine from which the current file can be read.

        It is not checked for existence: opening it raises FileNotFoundError where there is none.

        Args:
            key: the file's name.
            immutable: the file is never replaced, so a cached one is read without a request.
        """

    @abstractmethod
    def stamp_of(self, path: Path) -> str:
        """Return the stamp of the file at a path from `path`, as in its `Entry`.

        Raises:
            OSError: nothing is there.
        """

    def paths(self, keys: Sequence[str], *, immutable: bool = False) -> list[Path]:
        """Return paths as `path` does, in the order of the keys; downloads run in parallel."""
        return [self.path(key, immutable=immutable) for key in keys]

    def tail(self, key: str, size: int) -> bytes:
        """Return the last bytes of a file, or all of it if it is shorter.

        Raises:
            FileNotFoundError: there is none.
        """
        with self.path(key).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)

    @contextmanager
    def stored(self, key: str) -> Iterator[Path]:
        """Yield a path to a file's content as it is stored, bypassing the local cache.

        As with `path`, opening it raises FileNotFoundError where there is no such file.

        Raises:
            DamagedObjectError: it is not what was written.
        """
        yield self.path(key)

    def copies(self, key: str) -> list[Path]:  # noqa: ARG002 - local files are not cached
        """List the cached paths of a file on this machine."""
        return []

    @abstractmethod
    def entry(self, key: str) -> Entry | None:
        """Return the listing's entry of one file, or None if there is none."""

    @abstractmethod
    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield the files below a folder at any depth, in any order; hidden ones are left out."""

    @abstractmethod
    def folders(self, folder: str = "") -> list[str]:
        """List the names of the folders directly in a folder, sorted; hidden ones are left out.

        One whose files have been removed may still be among them.
        """

    @abstractmethod
    def put(self, prepared: Path, key: str) -> None:
        """Move a file from `staging` into place, atomically.

        The prepared file is gone afterwards.

        Raises:
            OSError: it cannot be written (disk full, no permission, storage out of reach); what
                was there is as it was.
        """

    def touch(self, key: str) -> None:  # noqa: B027 - S3 dates objects by its own clock
        """Set a file's time of writing to now; a missing file is ignored."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Delete a file; a missing file is ignored."""

    @abstractmethod
    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock of this name among all processes that share these files, waiting for it.

        It is freed when the holder leaves or dies.
        """

    def require_writable(self) -> None:  # noqa: B027 - in S3 the first write fails with the same error
        """Refuse a location that cannot be written, before work is done for it.

        Raises:
            ConfigurationError: names the location.
        """

    @abstractmethod
    def staging(self) -> AbstractContextManager[Path]:
        """Yield a folder for files in preparation, and remove it afterwards."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove the staging folders that killed processes of this machine left behind."""

    def exists(self, key: str) -> bool:
        """Return True if there is a file of this name."""
        return self.entry(key) is not None

    def evict(self, folder: str) -> None:  # noqa: B027 - local files are not cached
        """Evict a folder's files from the local cache."""

    def in_words(self, text: str) -> str:
        """Return a text in which cached paths are replaced by the names of the remote files."""
        return text
