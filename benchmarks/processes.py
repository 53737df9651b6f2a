"""Commands of the platform as processes, and their CPU time and memory."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def mediafm(command: str, *arguments: str, inbox: Path, store: Path) -> list[str]:
    """Return the command line of `mediafm COMMAND` on a catalogue."""
    catalogue = ["--inbox", str(inbox), "--store", str(store)]
    return [sys.executable, "-m", "mediafm_core", command, *arguments, *catalogue]


def timed(command: Sequence[str | Path]) -> dict[str, float]:
    """Run a program to its end; return wall and CPU seconds and peak memory, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(map(str, command))} failed.")
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_memory_mb": round(usage.ru_maxrss * 1024 / 1e6),
    }
