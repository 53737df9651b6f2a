"""A file of a title folder, opened once and then only read through its descriptor.

A check of a path is not reliable: before the file is opened, it may be replaced by a link, a pipe
or a device. Therefore the title folder is opened first, then the file relative to it, neither
through a link, and the opened file is refused unless it is a regular file. All readers (digest,
probe, decoder, parsers) use this descriptor.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mediafm_core.errors import TitleError

_READ_BYTES = 1 << 20
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a pipe in place of the file would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def file_stamp(status: os.stat_result) -> str:
    """Return size and times of a local file, for its fingerprint and the record of its digest.

    A copy that preserves times (`cp -p`, `rsync --times`, a restored backup) may have the size and
    modification time of the original, but not the change time of the inode. The inode number is
    omitted, because network file systems may assign another one with every mount.
    """
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def open_folder(path: Path) -> int:
    """Open a title folder; returns its descriptor, which the caller closes.

    Raises:
        TitleError: the folder is missing, a link, or not a folder.
    """
    try:
        return os.open(path, _FOLDER_FLAGS)
    except OSError as error:
        if path.is_symlink():
            raise TitleError(f"{path} is a link: put the folder itself in its place.") from None
        raise TitleError(
            f"{path} cannot be listed ({error.strerror}): repair the folder or its permissions."
        ) from error


class TitleFile:
    """An open regular file of a title folder. Use as a context manager, or close it.

    `str()` gives its path, for people.

    Args:
        descriptor: of the open file; closed with this object.
        path: the file's path, for people; it is not opened.
        stamp: of the original, if this is a copy of a remote file; by default the file's own.

    Attributes:
        path: see above.
        stamp: changes whenever the file is replaced or written.
        size: bytes.
    """

    def __init__(self, descriptor: int, path: Path, stamp: str | None = None) -> None:
        self._descriptor = descriptor
        self.path = path
        status = os.fstat(descriptor)
        self._opened = file_stamp(status)
        self.stamp = stamp or self._opened
        self.size = status.st_size

    @classmethod
    def open(cls, folder: Path, name: str, stamp: str | None = None) -> Self:
        """Open a file directly in a folder. Neither may be a link, but parents of the folder may.

        Args:
            folder: the folder.
            name: the file's name in it.
            stamp: see `TitleFile`.

        Raises:
            TitleError: the file is missing, or is not a regular file.
        """
        path = folder / name
        if name != path.name:
            raise TitleError(f"{path} is not directly in its title folder: put it there.")
        folder_descriptor = open_folder(folder)
        try:
            descriptor = _open_file(folder_descriptor, path)
        finally:
            os.close(folder_descriptor)
        return cls(descriptor, path, stamp)

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open a file by its path, for tools and tests; see `open`."""
        return cls.open(path.parent, path.name)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The file's name in its folder."""
        return self.path.name

    def fileno(self) -> int:
        """Return the descriptor. Readers share its position: seek before reading."""
        return self._descriptor

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in bounded pieces, without moving the descriptor's position.

        Raises:
            TitleError: the file cannot be read.
        """
        position = 0
        while piece := self._read(_READ_BYTES, position):
            position += len(piece)
            yield piece

    def head(self, size: int) -> bytes:
        """Return the first `size` bytes, or all bytes of a shorter file.

        Raises:
            TitleError: the file cannot be read.
        """
        pieces: list[bytes] = []
        position = 0
        while position < size and (piece := self._read(size - position, position)):
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)

    def read_bytes(self, max_bytes: int) -> bytes:
        """Return the content of the whole file.

        Raises:
            TitleError: the file cannot be read or is larger than `max_bytes`.
        """
        data = self.head(max_bytes + 1)
        if len(data) > max_bytes:
            raise TitleError(
                f"{self} is larger than {max_bytes >> 20} MiB, the limit for this kind of file: "
                "replace it."
            )
        return data

    @property
    def has_changed(self) -> bool:
        """Return True if the file has been written or replaced since it was opened."""
        return file_stamp(os.fstat(self._descriptor)) != self._opened

    def require_unchanged(self) -> None:
        """Refuse a file that has been written or replaced since it was opened.

        Raises:
            TitleError: the file has changed.
        """
        if self.has_changed:
            now = os.fstat(self._descriptor).st_size
            raise TitleError(
                f"{self} is still being written ({self.size} bytes, then {now}): write title.json "
                "last, and run again."
            )

    def close(self) -> None:
        """Close the file; closing it again is fine."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()

    def _read(self, size: int, position: int) -> bytes:
        try:
            return os.pread(self._descriptor, min(size, _READ_BYTES), position)
        except OSError as error:
            raise TitleError(
                f"{self} cannot be read ({error.strerror}): repair the file or its permissions."
            ) from error


def _open_file(folder: int, path: Path) -> int:
    try:
        # Checked before opening as well, because opening some devices has side effects.
        _require_regular(os.lstat(path.name, dir_fd=folder), path)
        descriptor = os.open(path.name, _FILE_FLAGS, dir_fd=folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise TitleError(f"{path} is missing: add it.") from error
        raise TitleError(f"{path} cannot be opened ({error.strerror}): check the file.") from error
    try:
        _require_regular(os.fstat(descriptor), path)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise TitleError(f"{path} is a link: put the file itself in its place.")
    if not stat.S_ISREG(status.st_mode):
        raise TitleError(f"{path} is not a regular file: replace it by one.")
