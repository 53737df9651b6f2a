"""Lease of a catalogue's sensors: a second daemon by mistake would request every run twice."""

import time

from pydantic import BaseModel

from mediafm_core.disk.locks import acquire
from mediafm_core.runtime.process import ProcessMark
from mediafm_core.store.store import Store

_FILE = ".watching.json"
_EXPIRY_S = 180.0  # several intervals of any sensor


class _Look(BaseModel):
    """The last time that a process evaluated the catalogue's sensors, in seconds since 1970."""

    process: ProcessMark
    looked: float


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
        lock = acquire(path)
    except OSError as error:
        return f"The store {store.location} cannot be written ({error.strerror}): make it writable."
    try:
        other = _holder(path.read_text())
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


def _holder(note: str) -> ProcessMark | None:
    """Return the other process that holds the catalogue, from the last note, or None."""
    try:
        noted = _Look.model_validate_json(note)
    except ValueError:  # none yet, or damaged by a power cut
        return None
    # The absolute value: a clock that was set back must not stop the sensors for long.
    expired = abs(time.time() - noted.looked) > _EXPIRY_S
    process = noted.process
    if process == ProcessMark.of_this_process() or expired or process.state == "dead":
        return None
    return process
