"""Tasks of a child process that its input has taken over: attacks that it might try."""

import ctypes
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from mediafm_core.errors import MachineError, TitleError
from mediafm_core.isolation.task_context import TaskContext
from mediafm_core.isolation.wire import Message, packed


def crash(_context: TaskContext) -> bytes:
    """Read an unmapped address."""
    ctypes.string_at(0)
    return b"{}"


def abort(_context: TaskContext) -> bytes:
    """Abort, as a failed assertion of a library does."""
    os.abort()


def leave(_context: TaskContext) -> bytes:
    """Exit without a result."""
    os._exit(0)


def hang(_context: TaskContext) -> bytes:
    """Sleep for ever."""
    while True:
        signal.pause()


def stop(_context: TaskContext) -> bytes:
    """Stop the process with SIGSTOP, as a debugger does."""
    signal.raise_signal(signal.SIGSTOP)
    return b"{}"


def hang_up(context: TaskContext) -> bytes:
    """Close the connection and go on running."""
    context._data.close()
    while True:
        signal.pause()


def burn(_context: TaskContext) -> bytes:
    """Compute for ever, and ignore the signal that ends it."""
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True:
        pass


def bloat(_context: TaskContext) -> bytes:
    """Fill memory."""
    hoard = []
    while True:
        hoard.append(b"x" * (8 << 20) + bytes([len(hoard) % 256]))


def write_much(context: TaskContext) -> bytes:
    """Write without end to the file that may be written."""
    context.file().close()
    descriptor = context.descriptor()
    while True:
        os.write(descriptor, bytes(1 << 20))


def open_much(context: TaskContext) -> bytes:
    """Open files without end."""
    with context.file() as file:
        while True:
            os.dup(file.fileno())


def read_slowly(context: TaskContext) -> bytes:
    """Read after long pauses without progress."""
    with context.file() as file:
        for position in range(12):
            os.lseek(file.fileno(), position, os.SEEK_SET)
            time.sleep(0.25)
    return b'"read"'


def garbage(context: TaskContext) -> bytes:
    """Send bytes that are not a message."""
    context._data.sendall(os.urandom(1000))
    return b"{}"


def huge(context: TaskContext) -> bytes:
    """Announce a message of four gigabytes."""
    context._data.sendall(struct.pack("!II", 0xFFFF_FFFF, 0xFFFF_FFFF))
    hang(context)
    return b"{}"


def unknown(context: TaskContext) -> bytes:
    """Send a message of an unknown kind."""
    context.send(Message("exec", {"command": "rm"}))
    hang(context)
    return b"{}"


def flood(context: TaskContext) -> bytes:
    """Send pictures without end."""
    picture = packed(Message("frames", {}, bytes(64 * 27 * 48 * 3)))
    while True:
        context._data.sendall(picture)
        context.receive_answer()


def no_pictures(context: TaskContext) -> bytes:
    """Send keyframes that are not JPEG."""
    row = (0, 0, 0.0, 0, 64, 48, 4)
    context.send(Message("keyframes", {"rows": [row]}, b"GIF8"))
    hang(context)
    return b"{}"


def deaf(context: TaskContext) -> bytes:
    """Send requests without end, and read no answer."""
    while True:
        context.send(Message("frames", {}))


def fail(context: TaskContext) -> bytes:
    """Raise the error in the arguments."""
    errors: dict[str, Callable[[], None]] = {
        "title": lambda: _raise(TitleError("film.mp4 is empty: copy it again.")),
        "machine": lambda: _raise(MachineError("The device is gone.")),
        "full disk": _title_error_of_a_full_disk,
        "unknown": lambda: _raise(ZeroDivisionError("division by zero")),
    }
    errors[context.arguments["error"]]()
    return b"{}"


def rights(context: TaskContext) -> bytes:
    """Try actions that a child is not permitted; return the outcome of each."""
    arguments = context.arguments
    secret, folder, parent = arguments["secret"], arguments["folder"], arguments["parent"]
    tries: dict[str, Callable[[], object]] = {
        "read a file elsewhere": lambda: Path(secret).read_bytes(),
        "list a folder": lambda: list(Path(folder).iterdir()),
        "write a file": lambda: Path(folder, "made").write_bytes(b""),
        "make a folder": lambda: Path(folder, "made").mkdir(),
        "remove a file": lambda: Path(secret).unlink(),
        "read another process": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "open a socket": lambda: socket.socket().close(),
        "open a datagram socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "open a pair of sockets": lambda: socket.socketpair(),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": _fork,
        "signal its parent": lambda: os.kill(parent, 0),
        "trace its parent": lambda: _ptrace(parent),
        "limit its parent": lambda: resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1)),
        "raise its own limits": lambda: resource.setrlimit(
            resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        ),
    }
    return json.dumps({name: _outcome(action) for name, action in tries.items()}).encode()


def environment(_context: TaskContext) -> bytes:
    """Return the names of all variables, and the open descriptors."""
    found = []
    for descriptor in range(256):
        try:
            os.fstat(descriptor)
            found.append(descriptor)
        except OSError:
            pass
    return json.dumps({"names": sorted(os.environ), "descriptors": found}).encode()


def honest(_context: TaskContext) -> bytes:
    """Run the requested task."""
    return b'"done"'


TASKS = {
    task.__name__: task
    for task in (
        *(crash, abort, leave, hang, stop, hang_up, burn, bloat, write_much, open_much),
        *(read_slowly, garbage, huge, unknown, flood, fail, rights, environment, honest),
    )
}
_LIES: dict[str, Callable[[TaskContext], bytes]] = {
    "unknown": unknown,
    "flood": flood,
    "deaf": deaf,
    "keyframes": no_pictures,
    "summary": lambda _: json.dumps({"shots": {"shot_index": [0]}, "frames": 3}).encode(),
}
# Answers to the readers' requests that are false.
TASKS |= {
    "manifest": lambda _: b'{"title_id": "other", "name": "a", "kind": "b", "language": "en"}',
    "probe": lambda _: b'{"container": "mov", "duration_s": "long"}',
    "side_file": lambda _: b'{"source": {}, "cues": [[0, "late", "text"]]}',
    "clips": lambda _: b'{"clip_id": ["a"], "start_s": [5], "end_s": [99], "labels": [[]]}',
    "decode": lambda context: _LIES[context.arguments["probe"]["container"]](context),
}


def _raise(error: Exception) -> None:
    raise error


def _title_error_of_a_full_disk() -> None:
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise TitleError("film.mp4 cannot be decoded.") from error


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _ptrace(process: int) -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(16, process, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")


def _outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except (OSError, ValueError) as error:
        return f"refused: {type(error).__name__}"
    return "allowed"
