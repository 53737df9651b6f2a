"""Files in a folder of this machine, or of a network file system with locks."""

import errno
import os
import shutil
import socket
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mediafm_core.disk.atomic import replace_file, to_disk
from mediafm_core.disk.locks import acquire
from mediafm_core.errors import ConfigurationError
from mediafm_core.storage.files import Entry, Files

_STAGING = ".staging"
_MAY_NOT_WRITE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class LocalFiles(Files):
    """Files in a local folder.

    Args:
        root: the folder; created when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def path(self, key: str, *, immutable: bool = False) -> Path:  # noqa: ARG002
        """Return the path of the file itself."""
        return self.root / key

    def stamp_of(self, path: Path) -> str:
        """Return size, inode and modification time as one text."""
        return _entry("", path.stat()).stamp

    def tail(self, key: str, size: int) -> bytes:
        """Read the end in one call: a catalogue's sweep does so for many thousand files."""
        file = os.open(f"{self.root}/{key}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, max(0, os.fstat(file).st_size - size))
        finally:
            os.close(file)

    def entry(self, key: str) -> Entry | None:
        """Return the entry of one file: size, inode and modification time."""
        try:
            status = (self.root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(status.st_mode) else _entry(key, status)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Walk a folder; what disappears meanwhile is left out."""
        try:
            listing = os.scandir(self.root / folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        with listing:
            for found in listing:
                if found.name.startswith("."):
                    continue
                key = f"{folder}/{found.name}" if folder else found.name
                if found.is_dir():
                    yield from self.entries(key)
                    continue
                try:
                    status = found.stat()
                except FileNotFoundError:
                    continue
                yield _entry(key, status)

    def folders(self, folder: str = "") -> list[str]:
        """List a folder."""
        try:
            with os.scandir(self.root / folder) as listing:
                names = [each.name for each in listing if each.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not name.startswith("."))

    def put(self, prepared: Path, key: str) -> None:
        """Move a file into place after its content is on the disk (fsync)."""
        to_disk(prepared)
        target = self.root / key
        with self._writing():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(prepared, target)

    def touch(self, key: str) -> None:
        """Set its modification time."""
        with self._writing(), suppress(FileNotFoundError):
            os.utime(self.root / key)

    def remove(self, key: str) -> None:
        """Delete a file."""
        with self._writing():
            (self.root / key).unlink(missing_ok=True)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a lock on a hidden file; the system frees it when the process ends."""
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)
            lock = acquire(self.root / f".{name}.lock")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield a folder of the same file system, from which a move into place is atomic."""
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder = self.root / _STAGING / name
        with self._writing():
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the staging folders of processes that have ended."""
        for folder in (self.root / _STAGING).glob(f"{socket.gethostname()}-*"):
            process = int(folder.name.rsplit("-", 2)[1])
            if not psutil.pid_exists(process):
                shutil.rmtree(folder, ignore_errors=True)

    def require_writable(self) -> None:
        """Create the folder, and write a temporary file to it."""
        require_writable_folder(self.root, "make it writable, or name another folder")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise an error that names the folder if it is read-only; pass other errors on."""
        try:
            yield
        except OSError as error:
            if error.errno not in _MAY_NOT_WRITE:
                raise
            raise _not_writable(
                self.root, error, "make it writable, or name another folder"
            ) from error


def require_writable_folder(folder: Path, remedy: str) -> None:
    """Make a folder and refuse one that nothing can be written to, before hours are spent on it.

    Args:
        folder: its parents are made too.
        remedy: the end of the sentence.

    Raises:
        ConfigurationError: names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_writable(folder, error, remedy) from None


def _not_writable(folder: Path, error: OSError, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{folder} cannot be written ({error.strerror}): {remedy}.")


def _entry(key: str, status: os.stat_result) -> Entry:
    stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    return Entry(key, status.st_size, stamp, status.st_mtime_ns / 1e9)
