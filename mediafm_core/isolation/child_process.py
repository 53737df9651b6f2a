"""Start and supervision of child processes; a process can have any number of them.

A child that crashes, makes no progress, exceeds a limit or sends an invalid result ends with a
`TitleError`, which names the file, the event and the remedy. The end of the fork server is a
`MachineError`, because no title has caused it.
"""

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import psutil

from mediafm_core.errors import MachineError, TitleError
from mediafm_core.isolation.fork_server_handle import REPORT_S, TASKS, ForkServer, fork_server_of
from mediafm_core.isolation.limits import Limits
from mediafm_core.isolation.wire import Inbound, Message, WireError, send
from mediafm_core.isolation.wire_errors import deserialize_error
from mediafm_core.runtime.process import out_of_memory_kills
from mediafm_core.titles.title_file import TitleFile

logger = logging.getLogger(__name__)

_CHECK_S = 0.5  # between two checks of children that send nothing


class ChildUsage(NamedTuple):
    """Resources that a child has used: CPU seconds, and its peak resident memory in bytes."""

    cpu_s: float
    peak_bytes: int


class ChildProcess:
    """A child process that works on one title. Use as a context manager, which ends it.

    Args:
        limits: of the child.
        subject: the file that it reads, for error messages.
        activity: its current work, for error messages, such as "decoding".
        tasks: name of the module whose `TASKS` it can run.

    Attributes:
        limits: see above.
        process: its process id.
        missing: names of the restrictions that this system does not support.
        used: resources that it has used, set once it has ended.
    """

    def __init__(self, limits: Limits, subject: str, activity: str, tasks: str = TASKS) -> None:
        self.limits = limits
        self._subject = subject
        self._activity = activity
        self._watched: list[int] = []  # descriptors whose positions show progress
        self._positions: list[int] = []
        self._memory_kills = out_of_memory_kills()
        self.used = ChildUsage(0.0, 0)
        self.missing: tuple[str, ...] = ()
        self._unchecked_s = 0.0  # since its file positions were checked
        self._waited_s = 0.0  # without progress
        self._wall_s = 0.0
        self._data, data = socket.socketpair()
        self._end, end = socket.socketpair()
        self._end.settimeout(REPORT_S)
        self._data.settimeout(REPORT_S)
        self._inbound, self._reports = Inbound(self._data), Inbound(self._end)
        try:
            with data, end:
                self._server = _started(tasks, limits, data, end)
            self._begin()
        except BaseException:
            self._data.close()
            self._end.close()
            raise

    def __enter__(self) -> "ChildProcess":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the child sends a message or ends."""
        return self._data.fileno()

    def start_task(
        self,
        task: str,
        files: Sequence[TitleFile],
        arguments: bytes,
        writable: Sequence[int] = (),
        activity: str = "",
    ) -> None:
        """Start a task in the child.

        Args:
            task: its name.
            files: open files, which the child reads through the same descriptors.
            arguments: of the task, as JSON.
            writable: descriptors of files that it may write to.
            activity: its current work, for error messages.
        """
        self._subject = str(files[0])
        self._watched = [*(file.fileno() for file in files), *writable]
        self._activity = activity or self._activity
        self._positions = []
        self.reply(
            Message(task, {"paths": [str(file) for file in files]}, arguments), self._watched
        )

    def reply(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message to the child, and reset its time without progress.

        Raises:
            TitleError: it has ended, or does not read its messages.
        """
        self._waited_s = self._unchecked_s = 0.0
        try:
            send(self._data, message, descriptors)
        except TimeoutError:
            raise self._no_progress_error() from None
        except OSError:
            raise self._end_error() from None

    def receive(self) -> list[Message]:
        """Return the child's messages, once its descriptor is readable.

        Raises:
            TitleError: it has ended, or sent an invalid message.
        """
        try:
            messages = list(self._inbound.receive())
        except (EOFError, ConnectionError):
            raise self._end_error() from None
        except WireError as error:
            raise self.invalid_result(error) from None
        self._waited_s = self._unchecked_s = 0.0
        return messages

    def check_progress(self, waited_s: float) -> None:
        """Add time spent waiting for children, and check the limits of time and progress.

        Args:
            waited_s: seconds since the last call.

        Raises:
            TitleError: the child has made no progress for too long, or exceeds its wall time.
            MachineError: the disk that it reads from does not respond.
        """
        self._unchecked_s += waited_s
        self._wall_s += waited_s
        if self._wall_s > self.limits.wall_s:
            raise self.limit_exceeded("wall")
        if self._unchecked_s < _CHECK_S:
            return
        positions = [os.lseek(each, 0, os.SEEK_CUR) for each in self._watched]
        self._waited_s = 0.0 if positions != self._positions else self._waited_s + self._unchecked_s
        self._positions, self._unchecked_s = positions, 0.0
        if self._waited_s < self.limits.no_progress_s:
            return
        if _waits_for_a_device(self.process):
            raise MachineError(
                f"{self._subject} cannot be read: the disk or file system has not responded for "
                f"{self.limits.no_progress_s:g} s: check it, then run again."
            )
        raise self._no_progress_error()

    def invalid_result(self, error: Exception) -> TitleError:
        """Return the error for an invalid message or result of the child."""
        logger.debug("%s: %s", self._subject, error)
        return TitleError(
            f"{self._subject}: {self._activity} returned an invalid result: the file is damaged or "
            "malicious; export it again, or report it."
        )

    def limit_exceeded(self, limit: str) -> TitleError:
        """Return the error for a limit that the child has exceeded."""
        limits = self.limits
        needed, remedy = {
            "memory": (
                f"needed more than {limits.memory} of memory",
                "export the file in a smaller size, or raise limits.memory_mb",
            ),
            "cpu": (
                f"needed more than {limits.cpu_s:.0f} s of CPU time",
                "export the file again, or raise limits.cpu_factor",
            ),
            "written": (
                f"wrote more than {limits.written_bytes >> 20} MiB",
                "its times are damaged; export the file again",
            ),
            "wall": (
                f"took longer than {limits.wall_s:.0f} s",
                "export the file again, or raise limits.cpu_factor",
            ),
            "files": ("opened too many files", "export the file again"),
        }.get(limit, ("exceeded a limit", "export the file again"))
        return TitleError(f"{self._subject}: {self._activity} {needed}: {remedy}.")

    def close(self) -> None:
        """End the child, if it has not ended by itself, and set `used`."""
        if self._data.fileno() < 0:
            return
        self._end_process()

    def _no_progress_error(self) -> TitleError:
        seconds = f"{self.limits.no_progress_s:g}"
        return TitleError(
            f"{self._subject}: {self._activity} made no progress for {seconds} s: export the file "
            f"again, or raise limits.no_progress_s (now {seconds})."
        )

    # Reports of the fork server

    def _begin(self) -> None:
        """Wait until the child runs and has applied its restrictions."""
        started = self._report()
        if started is None or started.kind != "started":
            error = deserialize_error(started.head) if started else None
            raise MachineError(
                f"No child process can be started to read media ({error or 'its parent ended'}): "
                "free memory or processes on this machine."
            ) from error
        self.process = int(started.head["process"])
        try:
            confined = self._inbound.next()
        except (EOFError, OSError, WireError):
            raise self._end_error() from None
        self._data.settimeout(self.limits.no_progress_s)  # a child may not read its messages
        self.missing = tuple(map(str, confined.head.get("missing", ())))
        if self.missing:
            _log_once(self.missing)

    def _report(self) -> Message | None:
        """Return the fork server's next report about the child; None if the server has ended."""
        try:
            return self._reports.next()
        except TimeoutError:
            self._server.kill()
        except (EOFError, OSError, WireError):
            pass
        return None

    def _end_process(self) -> Message | None:
        """End the child unless it has ended by itself; returns the server's report of its end."""
        with suppress(OSError):  # the server has ended
            self._server.send_request(Message("kill", {"process": self.process}))
        report = self._report()
        if report is not None:
            head = report.head
            self.used = ChildUsage(float(head["cpu_s"]), int(head["peak_bytes"]))
        self._end.close()
        self._data.close()
        return report

    def _end_error(self) -> TitleError | MachineError:
        """Return the error for a child that has ended unexpectedly."""
        report = self._end_process()
        if report is None:
            return MachineError(
                "The process that forks media readers was ended from outside: run again."
            )
        status = int(report.head["status"])
        name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        if status == -signal.SIGXCPU or self.used.cpu_s > self.limits.cpu_s:
            return self.limit_exceeded("cpu")
        if status == -signal.SIGKILL:
            kills = out_of_memory_kills()
            cause = (
                "the machine ran out of memory; add memory"
                if kills is not None and kills > (self._memory_kills or kills)
                else "by a person or another program"
            )
            return TitleError(
                f"{self._subject}: {self._activity} was killed from outside (SIGKILL), {cause}; "
                "then `mediafm run --retry`."
            )
        return TitleError(
            f"{self._subject}: {self._activity} crashed ({name}): the file is damaged or "
            "malicious; export it again, or report it."
        )


class Event(NamedTuple):
    """A message of a child, or the error that it has ended with."""

    child: ChildProcess
    message: Message | None
    error: Exception | None = None


def next_events(children: Collection[ChildProcess], waiting: Callable[[], None]) -> list[Event]:
    """Wait until one of several children sends a message or ends.

    The time of a child counts only during this call, so that a child is not charged for the time
    in which this process computes its reply.

    Args:
        children: that are running.
        waiting: called about twice a second; an exception from it ends the wait.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child, selectors.EVENT_READ, child)
        while True:
            began = time.monotonic()
            ready = [key.data for key, _ in selector.select(_CHECK_S)]
            waited_s = time.monotonic() - began
            events = [event for child in children for event in _check_progress(child, waited_s)]
            if not events:
                events = [event for child in ready for event in _events_of(child)]
            if events:
                return events
            waiting()


def _started(tasks: str, limits: Limits, data: socket.socket, end: socket.socket) -> ForkServer:
    """Request a child from the fork server, from a new server if the old one has ended."""
    request = Message("start", {"limits": limits._asdict()})
    descriptors = [data.fileno(), end.fileno()]
    server = fork_server_of(tasks)
    try:
        server.send_request(request, descriptors)
    except OSError:
        server.kill()
        server = fork_server_of(tasks)
        server.send_request(request, descriptors)
    return server


def _events_of(child: ChildProcess) -> Iterator[Event]:
    try:
        for message in child.receive():
            yield Event(child, message)
    except (TitleError, MachineError) as error:
        yield Event(child, None, error)


def _check_progress(child: ChildProcess, waited_s: float) -> Iterator[Event]:
    try:
        child.check_progress(waited_s)
    except (TitleError, MachineError) as error:
        yield Event(child, None, error)


def _waits_for_a_device(process: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(process).status() == psutil.STATUS_DISK_SLEEP
    return False


_logged: set[tuple[str, ...]] = set()


def _log_once(missing: tuple[str, ...]) -> None:
    if missing not in _logged:
        _logged.add(missing)
        logger.debug("restrictions that this system does not support: %s", ", ".join(missing))
