"""Titles whose processing crashes the process or runs out of memory.

A process that dies cannot quarantine its title, and every later run would die at the same title,
and fail for the other titles of the run. Therefore each process writes a note of its current work
to `<store>/.attempts` on this machine, and removes it when the work ends.

A note left by a dead process is not sufficient evidence against the title: a person may have killed
the process, or the power may have failed. A death counts only if the work is known to be its cause:
a crash, for which Python's `faulthandler` writes a crash report, or an increase of the kernel's
count of out-of-memory kills. After `MAX_DEATHS` of those in a row, the title is quarantined.
"""

import atexit
import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import TitleError
from mediafm_core.runtime.interruption import cleaning_up_with
from mediafm_core.runtime.process import ProcessMark, out_of_memory_kills

if TYPE_CHECKING:
    from mediafm_core.pipeline.platform import Platform

FOLDER = ".attempts"
MAX_DEATHS = 3  # a crash may also come from the machine

_CRASH_REPORTS = "crashes"


def attempts_in(platform: "Platform") -> "Attempts":
    """Return the attempts at titles of a catalogue, on this machine."""
    return Attempts(platform.store.root / FOLDER)


class AttemptNote(BaseModel):
    """Note of a process about its current work.

    Attributes:
        asset: the asset that is computed.
        process: the process that computes it.
        deaths: number of earlier processes in a row that died of this work.
        cause: of the last of those deaths.
        memory_kills: the kernel's count when the work began, see `out_of_memory_kills`.
        crash_report: name of the file for a crash report of the process.
    """

    model_config = ConfigDict(frozen=True)

    asset: str
    process: ProcessMark
    deaths: int = 0
    cause: str = ""
    memory_kills: int | None = None
    crash_report: str


class Attempts:
    """Notes of the current work of this machine's processes, and counts of their deaths.

    Args:
        folder: of the notes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def attempt(self, title_id: str, asset: str) -> Iterator[None]:
        """Keep a note about the work on an asset of a title while the block runs.

        Raises:
            TitleError: this work has killed its process `MAX_DEATHS` times in a row.
        """
        path = self._path(title_id)
        deaths, cause = self._deaths(path, asset)
        if deaths >= MAX_DEATHS:
            raise TitleError(
                f"{title_id}: computing {asset} has ended its process {deaths} times, the last "
                f"time because {cause}: fix that, then `mediafm run --titles {title_id} --retry`."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        note = AttemptNote(
            asset=asset,
            process=ProcessMark.of_this_process(),
            deaths=deaths,
            cause=cause,
            memory_kills=out_of_memory_kills(),
            crash_report=_report_crashes(self._folder / _CRASH_REPORTS).name,
        )
        with atomic_file(path) as prepared:
            prepared.write_text(note.model_dump_json())
        with cleaning_up_with(lambda: path.unlink(missing_ok=True)):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def forget(self, title_id: str) -> None:
        """Reset the count of deaths of a title, so that it is tried again."""
        self._path(title_id).unlink(missing_ok=True)

    def _deaths(self, path: Path, asset: str) -> tuple[int, str]:
        """Return the number of deaths in a row by this work, and the cause of the last one."""
        try:
            note = AttemptNote.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # none, or damaged by a power cut
            return 0, ""
        if note.asset != asset:
            return 0, ""
        cause = self._cause_of_death(note) if note.process.state == "dead" else ""
        return (note.deaths + 1, cause) if cause else (note.deaths, note.cause)

    def _cause_of_death(self, note: AttemptNote) -> str:
        """Return how its work ended a dead process; empty for a cause outside the work."""
        report = self._folder / _CRASH_REPORTS / note.crash_report
        if report.exists() and (text := report.read_text(errors="replace")):
            return f"it crashed ({text.splitlines()[0].strip()}; see {report})"
        now, here = out_of_memory_kills(), ProcessMark.of_this_process()
        if note.memory_kills is None or now is None or note.process.boot != here.boot:
            return ""
        if now > note.memory_kills:
            return "memory ran out: add memory, or lower the `run.` settings"
        return ""

    def _path(self, title_id: str) -> Path:
        return self._folder / f"{title_id}.json"


_report: IO[bytes] | None = None  # stays open: faulthandler writes to it at a crash


def _report_crashes(folder: Path) -> Path:
    """Enable crash reports of this process in a file of a folder; returns the file.

    Replaces the previous output file of `faulthandler`. A process that does not crash removes its
    empty report when it ends; the next process removes that of a killed one.
    """
    global _report
    mark = ProcessMark.of_this_process()
    path = folder / f"{mark.host}-{mark.pid}-{mark.started}.txt"
    if _report is not None and Path(str(_report.name)) == path and path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{mark.host}-*.txt"):
        process_id = int(old.stem.split("-")[-2])
        if old.stat().st_size == 0 and not psutil.pid_exists(process_id):
            old.unlink(missing_ok=True)
    report = path.open("wb", buffering=0)
    faulthandler.enable(report, all_threads=False)
    _report = report
    atexit.register(path.unlink, missing_ok=True)
    return path
