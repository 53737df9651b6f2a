"""Worker processes with limits: each runs inputs, and is replaced when an input has ended it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fuzzing.corpus import Corpus
from benchmarks.fuzzing.watch import Watch
from benchmarks.fuzzing.worker_folder import make_canaries

COMMAND: tuple[str, ...] = (sys.executable, "-X", "faulthandler", "-m", "benchmarks.fuzzing.worker")

_LOOK_S = 0.2
_TAIL = 2000


@dataclass(frozen=True)
class Limits:
    """Limits of one input.

    Attributes:
        cpu_s: CPU seconds of the worker and its children.
        wall_s: seconds by the clock.
        memory_mib: resident memory of the worker and its children.
    """

    cpu_s: float
    wall_s: float
    memory_mib: float


class Worker:
    """A process that runs inputs, and the folder that it works in.

    Args:
        corpus: the sound inputs.
        root: the folder of this worker alone; made here.
        limits: of each input.
    """

    def __init__(self, corpus: Corpus, root: Path, limits: Limits) -> None:
        self._corpus, self._root, self._limits = corpus, root, limits
        for folder in (root, root / "temporary", root / "cache"):
            folder.mkdir(parents=True)
        self._watch = Watch(make_canaries(root, corpus))
        self._errors = root / "errors.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, kind: str, number: int, seed: int) -> dict[str, Any]:
        """Run an input in the worker and return its outcome."""
        process = self._process or self._start()
        self._watch.opened()
        started = time.monotonic()
        cpu_before, _ = _usage(process.pid)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(f"{kind}\t{number}\t{seed}\n".encode())
            process.stdin.flush()
        found = self._answer(process, cpu_before, started)
        found["seconds"] = time.monotonic() - started
        if found.get("peak_mib", 0) > self._limits.memory_mib:
            found |= {"came": "memory", "text": f"{found['peak_mib']} MiB. {found['text']}"}
        if opened := self._watch.opened():
            found |= {"came": "foreign", "text": f"opened {', '.join(opened)}. {found['text']}"}
        return found

    def close(self) -> None:
        """End the process."""
        self._end()
        self._watch.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {
            **{name: each for name, each in os.environ.items() if not name.startswith("MEDIAFM_")},
            "TMPDIR": str(self._root / "temporary"),
            "XDG_CACHE_HOME": str(self._root / "cache"),
            "HOME": str(self._root / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [*COMMAND, str(self._corpus.folder), str(self._root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors.open("wb"),
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():  # it has imported what all kinds need
            raise SystemExit(f"The worker does not start: {self._errors.read_text()}")
        return self._process

    def _answer(
        self, process: "subprocess.Popen[bytes]", cpu_before: float, started: float
    ) -> dict[str, Any]:
        """Wait for the line of a worker; end one that goes beyond a limit."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(_LOOK_S):
                cpu, memory = _usage(process.pid)
                for name, used, most in (
                    ("hang", cpu - cpu_before, self._limits.cpu_s),
                    ("hang", time.monotonic() - started, self._limits.wall_s),
                    ("memory", memory, self._limits.memory_mib),
                ):
                    if used > most:
                        text = f"{used:.0f} of {most:.0f}. {self._where(process)}"
                        self._end()
                        return {"came": name, "text": text, "mutation": ""}
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self._end()
        text = self._errors.read_text(errors="replace")[-_TAIL:]
        return {"came": "crash", "text": f"ended with {code}. {text}", "mutation": ""}

    def _where(self, process: "subprocess.Popen[bytes]") -> str:
        """Return the stack of the worker, by faulthandler."""
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        return self._errors.read_text(errors="replace")[-_TAIL:]

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _usage(pid: int) -> tuple[float, float]:
    """Return CPU seconds and resident MiB of a process and its children."""
    cpu = memory = 0.0
    for process in _family(pid):
        with suppress(psutil.Error):
            times = process.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_info().rss / (1 << 20)
    return cpu, memory


def _family(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)
