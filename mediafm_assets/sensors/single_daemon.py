"""Lease of a catalogue's sensors: a second daemon by mistake would request every run twice."""

import fcntl
import json
import time

from mediafm_core.runtime.process import ProcessMark
from mediafm_core.store.store import Store

_FILE = ".watching.json"
_EXPIRY_S = 180.0  # several intervals of any sensor


def reason_to_stand_by(store: Store) -> str:
    """Return a reason if another daemon holds this catalogue, or its store is read-only; else "".

    The first process whose sensors evaluate the catalogue holds it until it ends, or until none of
    its sensors has been evaluated for some minutes: a sensor may have been tried by hand in another
    process. For a process of another machine or container that shares the store's folder, only the
    time of its last evaluation is known.
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
        other = _holder(file.read())
        if other is not None:
            place = "" if other.state == "alive" else f" of {other.host}"
            return (
                f"Process {other.pid}{place} watches {store.location} already: stop one of the two "
                "daemons."
            )
        file.truncate(0)
        note = {"process": ProcessMark.of_this_process().model_dump(), "looked": time.time()}
        json.dump(note, file)
    return ""


def _holder(note: str) -> ProcessMark | None:
    """Return the other process that holds the catalogue, from the last note, or None."""
    try:
        noted = json.loads(note)
        process, looked = ProcessMark(**noted["process"]), float(noted["looked"])
    except (ValueError, KeyError, TypeError):  # none yet, or damaged by a power cut
        return None
    # The absolute value: a clock that was set back must not stop the sensors for long.
    expired = abs(time.time() - looked) > _EXPIRY_S
    if process == ProcessMark.of_this_process() or expired or process.state == "dead":
        return None
    return process
