"""Starting children and watching them: one process can have any number at work.

A child that crashes, stops making progress, outgrows a limit or sends garbage ends with a
`TitleError`, which names the file, what happened and the remedy. What ends the process that forks
children ends no title.
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
from mediafm_core.isolation.wire_errors import rebuilt
from mediafm_core.runtime.process import out_of_memory_kills
from mediafm_core.titles.title_file import TitleFile

logger = logging.getLogger(__name__)

_LOOK_S = 0.5  # between two looks at children that say nothing


class Used(NamedTuple):
    """Use of a child: processor seconds, and its largest resident memory in bytes."""

    cpu_s: float
    peak_bytes: int


class ChildProcess:
    """A child at work on one title. Use as a context manager, which ends it.

    Args:
        limits: of the child.
        subject: what it is to read, for people.
        doing: what it does, for people, such as "decoding".
        tasks: the module of what it can do.

    Attributes:
        limits: see above.
        process: its process number.
        missing: rights that it could not give up on this system.
        used: what it has used, known once it has ended.
    """

    def __init__(self, limits: Limits, subject: str, doing: str, tasks: str = TASKS) -> None:
        self.limits = limits
        self._subject = subject
        self._doing = doing
        self._watched: list[int] = []  # descriptors whose positions show progress
        self._positions: list[int] = []
        self._memory_kills = out_of_memory_kills()
        self.used = Used(0.0, 0)
        self.missing: tuple[str, ...] = ()
        self._unlooked_s = 0.0  # since its positions were looked at
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
        """The descriptor that becomes readable when the child has said something, or has ended."""
        return self._data.fileno()

    def ask(
        self,
        task: str,
        files: Sequence[TitleFile],
        arguments: bytes,
        written: Sequence[int] = (),
        doing: str = "",
    ) -> None:
        """Let the child begin a task.

        Args:
            task: its name.
            files: open files, which the child reads through the same descriptors.
            arguments: JSON.
            written: descriptors of files that it may write to.
            doing: what it does now, for people.
        """
        self._subject = str(files[0])
        self._watched = [*(file.fileno() for file in files), *written]
        self._doing = doing or self._doing
        self._positions = []
        self.answer(
            Message(task, {"paths": [str(file) for file in files]}, arguments), self._watched
        )

    def answer(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Answer what the child has asked; its time without progress begins anew.

        Raises:
            TitleError: it has ended, or does not read its answers.
        """
        self._waited_s = self._unlooked_s = 0.0
        try:
            send(self._data, message, descriptors)
        except TimeoutError:
            raise self._stuck() from None
        except OSError:
            raise self._ended() from None

    def receive(self) -> list[Message]:
        """Return what the child has said, once its descriptor is readable.

        Raises:
            TitleError: it has ended, sent garbage, or said that it has outgrown a limit.
        """
        try:
            messages = list(self._inbound.receive())
        except (EOFError, ConnectionError):
            raise self._ended() from None
        except WireError as error:
            raise self.garbage(error) from None
        self._waited_s = self._unlooked_s = 0.0
        return messages

    def look(self, waited_s: float) -> None:
        """Take note of time that was spent waiting for children.

        Args:
            waited_s: seconds since the last call.

        Raises:
            TitleError: it has made no progress for too long, or lasts far too long.
            MachineError: the disk that it reads from makes no progress.
        """
        self._unlooked_s += waited_s
        self._wall_s += waited_s
        if self._wall_s > self.limits.wall_s:
            raise self.outgrown("wall")
        if self._unlooked_s < _LOOK_S:
            return
        positions = [os.lseek(each, 0, os.SEEK_CUR) for each in self._watched]
        self._waited_s = 0.0 if positions != self._positions else self._waited_s + self._unlooked_s
        self._positions, self._unlooked_s = positions, 0.0
        if self._waited_s < self.limits.no_progress_s:
            return
        if _waits_for_a_device(self.process):
            raise MachineError(
                f"{self._subject} cannot be read: the disk or file system has not answered for "
                f"{self.limits.no_progress_s:g} s: check it, then run again."
            )
        raise self._stuck()

    def garbage(self, error: Exception) -> TitleError:
        """Return the error for something that the child has sent and that cannot be right."""
        logger.debug("%s: %s", self._subject, error)
        return TitleError(
            f"{self._subject}: {self._doing} gave a result that cannot be right: the file is "
            "damaged or made to do harm; export it again, or report it."
        )

    def outgrown(self, limit: str) -> TitleError:
        """Return the error for a limit that the child has outgrown."""
        limits = self.limits
        needed, remedy = {
            "memory": (
                f"needed more than {limits.memory} of memory",
                "export the file in a smaller size, or raise limits.memory_mb",
            ),
            "cpu": (
                f"needed more than {limits.cpu_s:.0f} s of processor time",
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
        }.get(limit, ("outgrew a limit", "export the file again"))
        return TitleError(f"{self._subject}: {self._doing} {needed}: {remedy}.")

    def close(self) -> None:
        """End the child, if it has not ended by itself, and take note of what it has used."""
        if self._data.fileno() < 0:
            return
        self._end_it()

    def _stuck(self) -> TitleError:
        seconds = f"{self.limits.no_progress_s:g}"
        return TitleError(
            f"{self._subject}: {self._doing} made no progress for {seconds} s: export the file "
            f"again, or raise limits.no_progress_s (now {seconds})."
        )

    # What the server reports

    def _begin(self) -> None:
        """Wait until the child runs and has given up its rights."""
        started = self._report()
        if started is None or started.kind != "started":
            error = rebuilt(started.head) if started else None
            raise MachineError(
                f"No process can be started to read media ({error or 'its parent has ended'}): "
                "free memory or processes on this machine."
            ) from error
        self.process = int(started.head["process"])
        try:
            confined = self._inbound.next()
        except (EOFError, OSError, WireError):
            raise self._ended() from None
        self._data.settimeout(self.limits.no_progress_s)  # a child need not read its answers
        self.missing = tuple(map(str, confined.head.get("missing", ())))
        if self.missing:
            _log_once(self.missing)

    def _report(self) -> Message | None:
        """The server's next report about the child; None if the server has ended."""
        try:
            return self._reports.next()
        except TimeoutError:
            self._server.kill()
        except (EOFError, OSError, WireError):
            pass
        return None

    def _end_it(self) -> Message | None:
        """End the child unless it has ended by itself; returns the server's report of its end."""
        with suppress(OSError):  # the server has ended
            self._server.ask(Message("kill", {"process": self.process}))
        report = self._report()
        if report is not None:
            head = report.head
            self.used = Used(float(head["cpu_s"]), int(head["peak_bytes"]))
        self._end.close()
        self._data.close()
        return report

    def _ended(self) -> TitleError | MachineError:
        """The error for a child that is gone."""
        report = self._end_it()
        if report is None:
            return MachineError(
                "The process that reads media for this one was ended from outside: run again."
            )
        status = int(report.head["status"])
        name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        if status == -signal.SIGXCPU or self.used.cpu_s > self.limits.cpu_s:
            return self.outgrown("cpu")
        if status == -signal.SIGKILL:
            kills = out_of_memory_kills()
            why = (
                "the machine ran out of memory; give it more"
                if kills is not None and kills > (self._memory_kills or kills)
                else "by a person or another program"
            )
            return TitleError(
                f"{self._subject}: {self._doing} was killed from outside (SIGKILL), {why}; then "
                "`mediafm run --retry`."
            )
        return TitleError(
            f"{self._subject}: {self._doing} crashed ({name}): the file is damaged or made to do "
            "harm; export it again, or report it."
        )


class Event(NamedTuple):
    """Something that a child has said, or the error that it has ended with."""

    child: ChildProcess
    message: Message | None
    error: Exception | None = None


def next_events(children: Collection[ChildProcess], waiting: Callable[[], None]) -> list[Event]:
    """Wait until one of some children says something or ends.

    A child that works elsewhere, or waits for an answer of this process, is not watched meanwhile:
    its time goes on only in here.

    Args:
        children: that are at work.
        waiting: called about twice a second; what it raises ends the waiting.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child, selectors.EVENT_READ, child)
        while True:
            began = time.monotonic()
            ready = [key.data for key, _ in selector.select(_LOOK_S)]
            waited_s = time.monotonic() - began
            events = [event for child in children for event in _look(child, waited_s)]
            if not events:
                events = [event for child in ready for event in _events_of(child)]
            if events:
                return events
            waiting()


def _started(tasks: str, limits: Limits, data: socket.socket, end: socket.socket) -> ForkServer:
    """Ask for a child; once more if the server turns out to have ended."""
    request = Message("start", {"limits": limits._asdict()})
    descriptors = [data.fileno(), end.fileno()]
    server = fork_server_of(tasks)
    try:
        server.ask(request, descriptors)
    except OSError:
        server.kill()
        server = fork_server_of(tasks)
        server.ask(request, descriptors)
    return server


def _events_of(child: ChildProcess) -> Iterator[Event]:
    try:
        for message in child.receive():
            yield Event(child, message)
    except (TitleError, MachineError) as error:
        yield Event(child, None, error)


def _look(child: ChildProcess, waited_s: float) -> Iterator[Event]:
    try:
        child.look(waited_s)
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
        logger.debug("children cannot give up: %s", ", ".join(missing))
