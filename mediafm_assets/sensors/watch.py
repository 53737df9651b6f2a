"""One daemon at a time: a second one by mistake would ask for everything twice."""

import fcntl
import json
import os
import time

import psutil

from mediafm_core.store.artefacts import Store

_FILE = ".watching.json"
_SILENCE_S = 180.0  # several intervals of any sensor


def other_watcher(store: Store) -> str:
    """Why this process must not act on a catalogue's behalf, as a sentence; empty where it may.

    The first process of this machine whose sensors look at the catalogue goes on doing so, until it
    ends or has not looked for some minutes: somebody may have tried a sensor in another process.
    """
    path = store.root / _FILE
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+")
    except OSError as error:
        return f"The store {store.location} cannot be written ({error.strerror}): make it writable."
    with opened as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        other = _watcher(file.read())
        if other is not None:
            return f"Process {other} watches {store.location} already: stop one of the two daemons."
        file.truncate(0)
        json.dump({"process": os.getpid(), "looked": time.time()}, file)
    return ""


def _watcher(note: str) -> int | None:
    """The other process that watches, by what was noted last; None where none does."""
    try:
        said = json.loads(note)
        process, looked = int(said["process"]), float(said["looked"])
    except (ValueError, KeyError, TypeError):  # none yet, or spoilt by a power cut
        return None
    silent = abs(time.time() - looked) > _SILENCE_S  # or the clock was set back since
    return None if process == os.getpid() or silent or not psutil.pid_exists(process) else process
