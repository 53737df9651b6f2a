"""Watch for files outside a worker's folder that it, its libraries or its children open.

inotify(7) reports every open of a file in a watched folder, by any process in any language. The
audit hook of Python (PEP 578) reports the files, connections and processes that Python code itself
opens, in any folder.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

_OPENED = 0x20 | 0x1 | 0x2  # IN_OPEN, IN_ACCESS, IN_MODIFY
_IS_FOLDER = 0x40000000
_EVENT = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len


class Watch:
    """Reporter of opened files in a folder.

    Args:
        folder: exists; subfolders are not watched.
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or (
            libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _OPENED) < 0
        ):
            raise OSError(ctypes.get_errno(), "inotify cannot watch", str(folder))

    def opened(self) -> list[str]:
        """Return the names of the files that were opened since the last call."""
        names: set[str] = set()
        while True:
            try:
                events = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return sorted(names)
            while events:
                _, mask, _, length = _EVENT.unpack_from(events)
                name = events[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                if not mask & _IS_FOLDER:
                    names.add(os.fsdecode(name))
                events = events[_EVENT.size + length :]

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


class PythonWatch:
    """Record of what Python code of this process opens outside of given places.

    Args:
        places: that may be opened: the worker's folder, Python and its packages, the system.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(str(place) for place in places)
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - no link is followed
            if not path.startswith(self._places):
                self.seen.append(f"open {path}")
        elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"):
            if str(arguments[0]) != sys.executable:
                self.seen.append(f"{event} {arguments[0]}")
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            self.seen.append(f"socket.connect {arguments[1]}")
