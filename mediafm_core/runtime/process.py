"""Identity of a process, by which others recognise it later, on this or another machine."""

import os
import socket
import struct
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_PROC = Path("/proc")
_VM_STATISTICS = _PROC / "vmstat"
# Places in /proc/PID/stat after the name (proc(5) counts the fields from 1, with number and name).
_STATE, _START = 0, 19
_ENDED = frozenset("ZXx")
_CREDENTIALS = struct.Struct("3i")  # unix(7): process, user, group


class ProcessMark(BaseModel):
    """Identity of a process: number and start alone are only unique within one system.

    Attributes:
        host: name of its machine. Names repeat: containers of one image often share theirs.
        machine: id of that machine's installation; empty where there is none.
        boot: id of that machine's boot; empty where the system has none.
        namespace: of process numbers: containers of one machine have their own.
        pid: its number.
        started: when it started, by that machine's own clock; only comparable for equality.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    machine: str = ""
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> "ProcessMark":
        """Mark the calling process."""
        pid = os.getpid()  # not cached: a fork has another
        return cls(**_system(), pid=pid, started=start_of(pid) or "")

    @property
    def state(self) -> Literal["alive", "dead", "unknown"]:
        """State of the process; unknown if this process cannot see it."""
        here = _system()
        if (self.host, self.machine) != (here["host"], here["machine"]):
            return "unknown"
        if self.boot != here["boot"]:  # another machine, where nothing but the name is known
            return "dead" if self.machine else "unknown"
        if self.namespace != here["namespace"]:
            return "unknown"
        return "alive" if start_of(self.pid) == self.started else "dead"


def this_system() -> str:
    """Return the ids that distinguish this system's process numbers from another's, as one text."""
    return " ".join(_system().values())


def start_of(pid: int) -> str | None:
    """Return when a process of this system was started, or None if it has ended.

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
    """Return True if a process of this system listens on a Unix socket.

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


def out_of_memory_kills() -> int | None:
    """Count the processes that the kernel has ended for lack of memory since it booted.

    None without such a counter: on other systems, and before Linux 4.13.
    """
    try:
        lines = _VM_STATISTICS.read_text().splitlines()
    except OSError:
        return None
    counts = dict(line.split() for line in lines)
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


@cache
def _system() -> dict[str, str]:
    """Return the ids that distinguish this system's process numbers from another's."""
    return {
        "host": socket.gethostname(),
        "machine": _text_of(_MACHINE_ID),
        "boot": _text_of(_BOOT_ID),
        "namespace": _namespace_of("self"),
    }


def _text_of(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


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
