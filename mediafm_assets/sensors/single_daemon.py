"""One daemon at a time: a second one by mistake would ask for everything twice."""

import time

from pydantic import BaseModel

from mediafm_core.disk.locks import acquire
from mediafm_core.runtime.process import ProcessMark
from mediafm_core.store.store import Store

_FILE = ".watching.json"
_SILENCE_S = 180.0  # several intervals of any sensor


class _Look(BaseModel):
    """The last time that a process looked at the catalogue, in seconds since 1970."""

    process: ProcessMark
    looked: float


def other_watcher(store: Store) -> str:
    """Return why this process must not act on a catalogue's behalf; empty where it may.

    The first process whose sensors look at the catalogue goes on doing so, until it ends or has not
    looked for some minutes: a sensor may have been tried in another process. Of a process of
    another machine or container that shares the store's folder only the last look is known.
    """
    path = store.root / _FILE
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        lock = acquire(path)
    except OSError as error:
        return f"The store {store.location} cannot be written ({error.strerror}): make it writable."
    try:
        other = _watcher(path.read_text())
        if other is not None:
            place = "" if other.state == "alive" else f" of {other.host}"
            return (
                f"Process {other.pid}{place} watches {store.location} already: stop one of the two "
                "daemons."
            )
        note = _Look(process=ProcessMark.of_this_process(), looked=time.time())
        path.write_text(note.model_dump_json())
    finally:
        lock.release()
    return ""


def _watcher(note: str) -> ProcessMark | None:
    """Return the other process that watches, by the last note; None where none does."""
    try:
        noted = _Look.model_validate_json(note)
    except ValueError:  # none yet, or damaged by a power cut
        return None
    # Either way round: a clock that was set back must not hold anything up for long.
    silent = abs(time.time() - noted.looked) > _SILENCE_S
    process = noted.process
    if process == ProcessMark.of_this_process() or silent or process.state == "dead":
        return None
    return process
