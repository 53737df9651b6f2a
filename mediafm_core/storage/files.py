"""Named files, wherever they are kept: what a store and an inbox are made of.

A file is named by its key, a relative path with `/`, on disk and in S3 alike. It is written whole
or not at all, and read through a path on this machine.
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
        location: where it is, for people: a folder's path or `s3://bucket/prefix`.
        root: a folder of this machine for what is in progress; of local files, their own folder.
        is_remote: whether they are elsewhere, so that copies are read.
    """

    location: str
    root: Path
    is_remote = False

    @abstractmethod
    def path(self, key: str, *, immutable: bool = False) -> Path:
        """A path on this machine to read a file from, as the file is now.

        It is not checked for existence: opening it raises FileNotFoundError where there is none.

        Args:
            key: the file's name.
            immutable: it is never replaced, so that a copy is read without asking.
        """

    @abstractmethod
    def stamp_of(self, path: Path) -> str:
        """The stamp of the state that a path from `path` shows, as in its `Entry`.

        Raises:
            OSError: nothing is there.
        """

    def paths(self, keys: Sequence[str], *, immutable: bool = False) -> list[Path]:
        """As `path` for many files, in the order of the keys; copies are made at the same time."""
        return [self.path(key, immutable=immutable) for key in keys]

    def tail(self, key: str, size: int) -> bytes:
        """The last bytes of a file, or all of it where it is shorter.

        Raises:
            FileNotFoundError: there is none.
        """
        with self.path(key).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)

    @contextmanager
    def stored(self, key: str) -> Iterator[Path]:
        """A path to a file's content as it is where it is kept, past any copy on this machine.

        As with `path`, opening it raises FileNotFoundError where there is no such file.

        Raises:
            DamagedObjectError: it is not what was written.
        """
        yield self.path(key)

    def copies(self, key: str) -> list[Path]:  # noqa: ARG002 - local files have none
        """List the copies of a file on this machine, as they lie there."""
        return []

    @abstractmethod
    def entry(self, key: str) -> Entry | None:
        """What a listing shows of one file, or None where there is none."""

    @abstractmethod
    def entries(self, folder: str = "") -> Iterator[Entry]:
        """The files below a folder at any depth, in no promised order; hidden ones are left out."""

    @abstractmethod
    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders directly in a folder, sorted; hidden ones are left out.

        One whose files have been removed may still be among them.
        """

    @abstractmethod
    def put(self, prepared: Path, key: str) -> None:
        """Let a file from `staging` take its place; readers see the old one or the new one.

        The prepared file is gone afterwards.

        Raises:
            OSError: it cannot be written (disk full, no permission, storage out of reach); what
                was there is as it was.
        """

    def touch(self, key: str) -> None:  # noqa: B027 - S3 dates objects by its own clock
        """Date a file as written now; none is fine."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Delete a file; none is fine."""

    @abstractmethod
    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock of this name among all processes that share these files, waiting for it.

        It is freed when the holder leaves or dies.
        """

    def require_writable(self) -> None:  # noqa: B027 - in S3 the first write says it as well
        """Refuse a place that cannot be written, before work is done for it.

        Raises:
            ConfigurationError: names the place.
        """

    @abstractmethod
    def staging(self) -> AbstractContextManager[Path]:
        """A folder for files in preparation, removed afterwards."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed processes of this machine left in preparation."""

    def exists(self, key: str) -> bool:
        """Whether there is a file of this name."""
        return self.entry(key) is not None

    def drop_copies(self, folder: str) -> None:  # noqa: B027 - local files have none
        """Remove this machine's copies of a folder's files, which are not read again soon."""

    def in_words(self, text: str) -> str:
        """A text for people in which paths from `path` are replaced by what they are copies of."""
        return text
