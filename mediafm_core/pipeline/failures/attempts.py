"""Titles that end the process which works on them: a decoder that crashes, memory that runs out.

Such a process can no longer quarantine its title, and every run that takes the title up would end
the same way, with the other titles of the run. So a note of the work at hand is kept in
`<store>/.attempts` on this machine, and removed when the work ends.

A note that a dead process left is no evidence against the title: a person may have killed the
process, or the power failed. Only a death with a cause in the work counts: a crash, of which
Python's `faulthandler` writes a report, or the kernel's count of processes ended for lack of
memory. After `MOST_DEATHS` of those in a row the title is quarantined.
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
MOST_DEATHS = 3  # a crash may also come from the machine

_CRASH_REPORTS = "crashes"


def attempts_in(platform: "Platform") -> "Attempts":
    """Return the attempts on a catalogue's titles."""
    return Attempts(platform.store.root / FOLDER)


class AttemptNote(BaseModel):
    """Work at hand, as the process that does it notes it.

    Attributes:
        asset: that is computed.
        process: that computes it.
        deaths: of earlier processes that this work has caused, one after another.
        cause: of the last of those.
        memory_kills: the kernel's count when the work began, see `out_of_memory_kills`.
        crash_report: file that a crash of the process is reported in.
    """

    model_config = ConfigDict(frozen=True)

    asset: str
    process: ProcessMark
    deaths: int = 0
    cause: str = ""
    memory_kills: int | None = None
    crash_report: str


class Attempts:
    """The work of this machine's processes on titles.

    Args:
        folder: of the notes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def attempt(self, title_id: str, asset: str) -> Iterator[None]:
        """Note work on an asset of a title while the block runs.

        Raises:
            TitleError: this work has ended its process too often before.
        """
        path = self._path(title_id)
        deaths, cause = self._deaths(path, asset)
        if deaths >= MOST_DEATHS:
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
        """Let a title be tried again as if nothing had happened."""
        self._path(title_id).unlink(missing_ok=True)

    def _deaths(self, path: Path, asset: str) -> tuple[int, str]:
        """Count the deaths that the same work has caused in a row; with the last one's cause."""
        try:
            note = AttemptNote.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # none, or spoilt by a power cut
            return 0, ""
        if note.asset != asset:
            return 0, ""
        cause = self._cause_of_death(note) if note.process.state == "dead" else ""
        return (note.deaths + 1, cause) if cause else (note.deaths, note.cause)

    def _cause_of_death(self, note: AttemptNote) -> str:
        """Say how a dead process's own work ended it; empty for what came from outside."""
        report = self._folder / _CRASH_REPORTS / note.crash_report
        if report.exists() and (text := report.read_text(errors="replace")):
            return f"it crashed ({text.splitlines()[0].strip()}; see {report})"
        now, here = out_of_memory_kills(), ProcessMark.of_this_process()
        if note.memory_kills is None or now is None or note.process.boot != here.boot:
            return ""
        if now > note.memory_kills:
            return "memory ran out: give the machine more, or `run.` settings that take less"
        return ""

    def _path(self, title_id: str) -> Path:
        return self._folder / f"{title_id}.json"


_report: IO[bytes] | None = None  # open for the life of the process: the handler writes into it


def _report_crashes(folder: Path) -> Path:
    """Let a crash of this process be reported in a file of a folder; returns the file.

    Replaces where `faulthandler` wrote before. The report is removed at the end of a process that
    did not crash, and that of a killed one by the next process.
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
