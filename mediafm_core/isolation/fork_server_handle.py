"""Handle on the fork server: starts it, sends it requests and ends it."""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

from mediafm_core.errors import MachineError
from mediafm_core.isolation.wire import Inbound, Message, WireError, send

TASKS = "mediafm_core.isolation.tasks"
REPORT_S = 60.0  # timeout for the server's report that a child has started or ended
_END_S = 5.0  # timeout for the server to end by itself
# Environment variables that are passed to children; none of these holds keys or tokens.
_KEPT_VARIABLES = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH"})
_KEPT_PREFIXES = ("PYTHON", "LC_", "DYLD_")
# The server must have one thread: a lock held by another thread would stay locked in a fork.
_ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from mediafm_core.isolation.fork_server import main; main(int(sys.argv[2]), sys.argv[3])"
)


class ForkServer:
    """Handle on the fork server of this process, started with the first child.

    Args:
        tasks: name of the module whose `TASKS` children run.
    """

    def __init__(self, tasks: str) -> None:
        control, other = socket.socketpair()
        self._control = control
        self._lock = threading.Lock()
        self.owner = os.getpid()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
        }
        with other:
            arguments = [json.dumps(sys.path), str(other.fileno()), tasks]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[other.fileno()],
                env={**kept, **_ONE_THREAD},
                start_new_session=True,  # keeps Ctrl-C in a terminal from reaching it
            )
        try:
            Inbound(control).next()
        except (EOFError, OSError, WireError):
            output = self._process.communicate()[1].decode(errors="replace").strip()
            last = output.splitlines()[-1] if output else f"exit code {self._process.returncode}"
            raise MachineError(
                f"The process that forks media readers did not start ({last}): run "
                "`mediafm doctor`."
            ) from None
        control.settimeout(REPORT_S)

    @property
    def is_alive(self) -> bool:
        """Return True if it runs and belongs to this process, not to a parent of this fork."""
        return self.owner == os.getpid() and self._process.poll() is None

    @property
    def process(self) -> int:
        """Its process id."""
        return self._process.pid

    def send_request(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a request.

        Raises:
            OSError: the server has ended.
        """
        with self._lock:
            send(self._control, message, descriptors)

    def kill(self) -> None:
        """Kill the server; its children end with it."""
        self._process.kill()

    def close(self) -> None:
        """End the server and its children."""
        self._control.close()
        if self.owner == os.getpid():
            try:
                self._process.communicate(timeout=_END_S)
            except subprocess.TimeoutExpired:  # stopped, for instance
                self.kill()
                self._process.communicate()


_servers: dict[str, ForkServer] = {}
_servers_lock = threading.Lock()


def fork_server_of(tasks: str = TASKS) -> ForkServer:
    """Return this process's fork server for a module of tasks, starting it if necessary.

    There is one per process and module; it ends with this process.
    """
    with _servers_lock:
        server = _servers.get(tasks)
        if server is None or not server.is_alive:
            server = _servers[tasks] = ForkServer(tasks)
        return server


@atexit.register
def _close_servers() -> None:
    for server in _servers.values():
        server.close()
