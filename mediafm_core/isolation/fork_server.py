"""The fork server: a small process with one thread that forks the children.

Each working process starts one (`fork_server_handle.ForkServer`). The fork server has no network,
no torch and no secrets. It imports what children need, then only waits: for requests to start or
end a child, and for children that have ended. It reads nothing that a title or a child has sent.
When its control connection ends, which happens when the working process ends, it ends with all its
children.
"""

import errno
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.abc import MetaPathFinder
from typing import Any, NoReturn

from mediafm_core.isolation.confinement import Confinement
from mediafm_core.isolation.limits import Limits, apply
from mediafm_core.isolation.task_context import Task, TaskContext
from mediafm_core.isolation.wire import Inbound, Message, WireError, send
from mediafm_core.isolation.wire_errors import serialize_error
from mediafm_core.runtime.error_causes import Cause, fault_of

_FIRST_DESCRIPTOR, _LAST_DESCRIPTOR = 3, 1 << 16
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(control_descriptor: int, tasks: str) -> None:
    """Serve until the control connection ends.

    Args:
        control_descriptor: of the connection to the working process.
        tasks: name of the module whose `TASKS` children run.
    """
    sys.meta_path.insert(0, _WithoutPandas())
    module = importlib.import_module(tasks)
    gc.collect()
    gc.freeze()  # keeps a child's garbage collector from touching, and so copying, every page
    # A write beyond the file size limit then raises an OSError and does not kill the child.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with socket.socket(fileno=control_descriptor) as control:
        _ForkServerLoop(control, module.TASKS).run()


class _WithoutPandas(MetaPathFinder):
    """Import finder that blocks pandas, which pyarrow tries to import for the first table.

    pyarrow works without it, which saves half a second per child.
    """

    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        """Raise for pandas; leave other modules to the next finders."""
        if name == "pandas":
            raise ModuleNotFoundError("children have no pandas", name=name)


class _ForkServerLoop:
    """The loop of the fork server, and its running children by process id.

    Args:
        control: the connection to the working process.
        tasks: tasks of children by name.
    """

    def __init__(self, control: socket.socket, tasks: Mapping[str, Task]) -> None:
        self._control = control
        self._tasks = tasks
        self._confinement = Confinement()
        self._inbound = Inbound(control)
        self._ends: dict[
            int, socket.socket
        ] = {}  # connections on which the end of a child is reported
        self._waker, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def run(self) -> None:
        """Handle requests and ended children until the control connection ends."""
        send(self._control, Message("ready", {}))
        try:
            while True:
                control = self._control.fileno()
                ready, _, _ = select.select([control, self._waker], [], [])
                if self._waker in ready:
                    os.read(self._waker, 512)
                    self._reap()
                if control in ready:
                    for message in self._inbound.receive():
                        self._answer(message)
        except (EOFError, ConnectionError):
            pass
        finally:
            for process in self._ends:
                os.kill(process, signal.SIGKILL)

    def _answer(self, message: Message) -> None:
        match message.kind:
            case "start":
                data, end, *_ = self._inbound.descriptors
                del self._inbound.descriptors[:2]
                self._start(socket.socket(fileno=data), socket.socket(fileno=end), message.head)
            case "kill" if message.head["process"] in self._ends:
                os.kill(message.head["process"], signal.SIGKILL)

    def _start(self, data: socket.socket, end: socket.socket, head: Mapping[str, Any]) -> None:
        parent = os.getpid()
        try:
            process = os.fork()
        except OSError as error:
            send(end, Message("failed", serialize_error(error)))
            end.close()
        else:
            if process == 0:
                _run_child(data, self._confinement, Limits(**head["limits"]), parent, self._tasks)
            self._ends[process] = end
            send(end, Message("started", {"process": process}))
        finally:
            data.close()

    def _reap(self) -> None:
        while self._ends:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            used = {
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * _MAXRSS_UNIT,
            }
            with self._ends.pop(process) as end:
                code = os.waitstatus_to_exitcode(status)
                with suppress(OSError):  # the working process no longer waits
                    send(end, Message("ended", {"status": code, **used}))


def _run_child(
    data: socket.socket,
    confinement: Confinement,
    limits: Limits,
    parent: int,
    tasks: Mapping[str, Task],
) -> NoReturn:
    """Apply all restrictions, then run tasks until the connection ends."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(1, 2)  # nothing reads the child's stderr, and a full pipe would block it
        apply(limits)
        missing = confinement.apply(parent)
        # Closes, among others, the server's own connections and those of other children.
        keep = data.fileno()
        os.closerange(_FIRST_DESCRIPTOR, keep)
        os.closerange(keep + 1, _LAST_DESCRIPTOR)
        send(data, Message("confined", {"missing": missing}))
        _serve(data, tasks, limits)
        code = 0
    except (EOFError, BrokenPipeError, ConnectionResetError):
        code = 0  # the working process has ended the connection, or has ended itself
    finally:
        os._exit(code)


def _serve(data: socket.socket, tasks: Mapping[str, Task], limits: Limits) -> None:
    """Run the requested tasks and send their results or errors."""
    inbound = Inbound(data)
    while True:
        request = inbound.next()
        descriptors, inbound.descriptors = inbound.descriptors, []
        context = TaskContext(request, descriptors, inbound, data)
        try:
            body = tasks[request.kind](context)
        except (BrokenPipeError, ConnectionResetError, EOFError, WireError):
            raise
        except Exception as error:  # noqa: BLE001 - returned to the working process
            exceeded = _exceeded_limit(error, limits)
            context.send(
                Message("limit_exceeded", {"limit": exceeded})
                if exceeded
                else Message("error", serialize_error(error))
            )
        else:
            context.send(Message("result", {}, body))


def _exceeded_limit(error: Exception, limits: Limits) -> str:
    """Return the name of the limit of this process that caused an error; empty for other errors."""
    fault = fault_of(error)
    if fault.cause is Cause.MEMORY:
        return "memory"
    number = getattr(fault.error, "errno", None)
    written, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if number == errno.EFBIG and written == limits.written_bytes:
        return "written"
    return "files" if number == errno.EMFILE else ""


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
