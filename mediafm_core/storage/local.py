"""Files in a folder of this machine, or of a network file system with locks."""

import fcntl
import os
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from mediafm_core.storage.files import Entry, Files

_STAGING = ".staging"


class LocalFiles(Files):
    """Files in a local folder.

    Args:
        root: the folder; created when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def path(self, key: str, *, immutable: bool = False) -> Path:  # noqa: ARG002
        """The file itself."""
        return self.root / key

    def tail(self, key: str, size: int) -> bytes:
        """Read the end in one call: a catalogue's sweep does so for many thousand files."""
        file = os.open(f"{self.root}/{key}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, size, max(0, os.fstat(file).st_size - size))
        finally:
            os.close(file)

    def entry(self, key: str) -> Entry | None:
        """Size, inode and modification time of one file."""
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
        """Move a file into place, on disk before it is visible."""
        with prepared.open("rb") as file:
            os.fsync(file.fileno())
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        prepared.replace(target)

    def remove(self, key: str) -> None:
        """Delete a file."""
        (self.root / key).unlink(missing_ok=True)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """A lock of the system on a hidden file, which the system frees when the process ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the same file system, so that moving a file into place is one step."""
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder = self.root / _STAGING / name
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the staging folders of processes that are no more."""
        for folder in (self.root / _STAGING).glob(f"{socket.gethostname()}-*"):
            process = int(folder.name.rsplit("-", 2)[1])
            if not psutil.pid_exists(process):
                shutil.rmtree(folder, ignore_errors=True)


def _entry(key: str, status: os.stat_result) -> Entry:
    stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    return Entry(key, status.st_size, stamp, status.st_mtime_ns / 1e9)
