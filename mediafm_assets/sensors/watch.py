"""One daemon at a time: a second one by mistake would ask for everything twice."""

import fcntl
import os
import threading
from pathlib import Path
from typing import TextIO

from mediafm_core.store.artefacts import Store

_FILE = ".watching.lock"
_held: dict[Path, TextIO] = {}
_asking = threading.Lock()  # sensors may be evaluated at the same time


def other_watcher(store: Store) -> str:
    """Why this process must not act on a catalogue's behalf, as a sentence; empty where it may.

    The first process of this machine whose sensors look at the catalogue goes on doing so until it
    ends; the system frees the lock then, however it ends.
    """
    path = store.root / _FILE
    with _asking:
        return "" if path in _held else _hold(path, store)


def _hold(path: Path, store: Store) -> str:
    store.root.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        other = file.read().strip() or "another"
        file.close()
        return f"Process {other} watches {store.location} already: stop one of the two daemons."
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held[path] = file
    return ""
