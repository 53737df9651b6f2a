"""Processes that other processes can recognise: by machine, number and start.

A process number alone says little: another machine or container uses the same ones, and the system
gives the number of a process that has ended to a later one.
"""

import os
import socket
import struct
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, Self

import psutil

State = Literal["alive", "gone", "elsewhere"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROC = Path("/proc")
# Places in /proc/PID/stat after the name (proc(5) counts the fields from 1, with number and name).
_STATE, _START = 0, 19
_ENDED = frozenset("ZXx")
_CREDENTIALS = struct.Struct("3i")  # unix(7): process, user, group


class ProcessIdentity(NamedTuple):
    """A process of some machine.

    Attributes:
        machine: as `this_machine` returns it there.
        pid: its number in that machine's, or container's, process namespace.
        started: when it was started, by that machine's own clock; only comparable for equality.
    """

    machine: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Self:
        """Return the identity of the calling process."""
        pid = os.getpid()
        return cls(this_machine(), pid, start_of(pid) or "")

    def state(self) -> State:
        """Return whether the process runs, has ended, or cannot be seen from this machine."""
        if self.machine != this_machine():
            return "elsewhere"
        return "alive" if start_of(self.pid) == self.started else "gone"


@cache
def this_machine() -> str:
    """Return a name of this machine since its start, and within it of this process namespace.

    Host names repeat: containers of one image often share theirs.
    """
    boot = _BOOT.read_text().strip() if _BOOT.exists() else str(round(psutil.boot_time()))
    return " ".join(filter(None, (socket.gethostname(), boot, _namespace_of("self"))))


def start_of(pid: int) -> str | None:
    """Return when a process of this machine was started, or None if it has ended.

    On Linux in clock ticks since the machine's start, which a change of the clock leaves alone.
    """
    if not (_PROC / "self" / "stat").exists():
        return _start_by_clock(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold blanks and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else fields[_START]


def listens_here(path: str) -> bool:
    """Return whether a process of this machine and namespace listens on a Unix socket.

    The socket may lie in a folder that containers share.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
        if not hasattr(socket, "SO_PEERCRED"):  # without it there are no namespaces either
            return True
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = _CREDENTIALS.unpack(found)[0]  # 0 where it is not visible from here
    return pid > 0 and _namespace_of(str(pid)) == _namespace_of("self")


def _namespace_of(process: str) -> str:
    try:
        return str((_PROC / process / "ns" / "pid").readlink())
    except OSError:  # no Linux, or a process of another user
        return ""


def _start_by_clock(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None
