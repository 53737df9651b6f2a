"""Locks on files that processes and threads of one machine, or of a network file system, share.

The locks are those of flock(2), taken by filelock: the system frees them when their process ends,
however it ends. A waiting process tries again every `POLL_S` seconds, so that the lock goes to any
of those that wait, not to the first.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

POLL_S = 0.01

# A holder that is about to end has removed the file and still holds the lock for some microseconds.
_ENDING_S = 0.1


def acquire(path: Path) -> "FileLock":
    """Wait for a lock and take it; its `release` leaves the file in place, with what it contains.

    Args:
        path: of a file, which is created if it is missing. Its folder exists.

    Raises:
        OSError: the file cannot be written, or the file system has no locks.
    """
    lock = _lock(path)
    lock.acquire()
    return lock


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, as `acquire` takes it, for as long as the context lasts."""
    lock = acquire(path)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_if_free(path: Path) -> Iterator[None]:
    """Hold a lock on a file that exists only for as long; a process that is killed leaves the file.

    Args:
        path: of the file; its folder is created as well.

    Raises:
        BlockingIOError: another process, or another thread, holds the lock.
        OSError: the file cannot be written, or the file system has no locks.
    """
    from filelock import Timeout

    lock = _lock(path)
    while not lock.is_locked:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=_ENDING_S)
        except FileNotFoundError:  # a holder that ended has removed the folder meanwhile
            continue
        except Timeout:
            raise BlockingIOError(f"{path} is locked") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()


def _lock(path: Path) -> "FileLock":
    from filelock import FileLock  # 45 ms

    # Where a file system has no locks, the fallback is a file whose existence is the lock: that of
    # a process that was killed would have to be deleted by hand.
    return FileLock(path, poll_interval=POLL_S, thread_local=False, fallback_to_soft=False)
