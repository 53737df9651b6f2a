"""A process as another one can recognise it later, on this machine or a different one."""

import os
import socket
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_VM_STATISTICS = Path("/proc/vmstat")
_START_TOLERANCE_S = 1.0  # psutil derives the start from the boot time, which the clock moves


class ProcessMark(BaseModel):
    """Identity of a process: number and start alone are only unique within one system.

    Attributes:
        host: name of its machine.
        boot: id of that machine's boot; empty where the system has none.
        namespace: of process numbers: containers of one machine have their own.
        pid: its number.
        started: when it started, seconds since the epoch.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    boot: str
    namespace: str
    pid: int
    started: float

    @classmethod
    def of_this_process(cls) -> "ProcessMark":
        """Mark the calling process."""
        pid = os.getpid()  # asked each time: a fork has another
        return cls(**_system(), pid=pid, started=psutil.Process(pid).create_time())

    @property
    def state(self) -> Literal["alive", "dead", "unknown"]:
        """Whether the process still runs; unknown where this process cannot see it."""
        here = _system()
        if self.host != here["host"]:
            return "unknown"
        if self.boot != here["boot"]:
            return "dead"
        if self.namespace != here["namespace"]:
            return "unknown"
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) <= _START_TOLERANCE_S
            return "alive" if is_same and process.status() != psutil.STATUS_ZOMBIE else "dead"
        except psutil.NoSuchProcess:
            return "dead"


def out_of_memory_kills() -> int | None:
    """Count the processes that the kernel has ended for lack of memory since it booted.

    None where it does not say: on other systems, and before Linux 4.13.
    """
    try:
        lines = _VM_STATISTICS.read_text().splitlines()
    except OSError:
        return None
    counts = dict(line.split() for line in lines)
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


@cache
def _system() -> dict[str, str]:
    """What tells this system's process numbers from those of another."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    namespace = str(_PID_NAMESPACE.readlink()) if _PID_NAMESPACE.is_symlink() else ""
    return {"host": socket.gethostname(), "boot": boot, "namespace": namespace}
