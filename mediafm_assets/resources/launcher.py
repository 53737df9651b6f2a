"""Run launcher that notices when the process of a run dies or stalls.

Dagster's own launcher starts a process and does not watch it: after a crash or a power cut its run
stays *started* for ever, keeps its place in the queue and holds its concurrency slots.

The launcher that starts a run notes itself on the run, in a tag, and the process that executes the
run notes itself there as well. A run without such a note, or of another machine or container, is
left to the launcher that started it.
"""

import socket
from contextlib import suppress
from typing import NamedTuple, Self

import psutil
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from pydantic import BaseModel

from mediafm_assets.dagster_internals import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
    code_server_socket,
    process_in_events,
)
from mediafm_assets.resources.run_limits import stalled_for
from mediafm_assets.tags import HOST_TAG, WORKER_TAG
from mediafm_core.config.settings import load_settings
from mediafm_core.runtime.process import ProcessMark, listens_here, start_of, this_system

IN_PROCESS = "mediafm"
"""The launcher of runs that a command of `mediafm` executes itself."""


class Worker(NamedTuple):
    """Process that executes a run.

    Attributes:
        launcher: name of the launcher that started it.
        system: machine or container in which its process id is valid, as `this_system` names it;
            "" if that is unknown.
        process: its identity; None until it has noted that.
    """

    launcher: str
    system: str = ""
    process: ProcessMark | None = None

    @classmethod
    def current(cls, launcher: str) -> Self:
        """Return the calling process as a worker."""
        return cls(launcher, this_system(), ProcessMark.of_this_process())


class _WorkerNote(BaseModel):
    """A `Worker` as a tag holds it, with the run that it belongs to."""

    run: str
    launcher: str
    system: str
    process: ProcessMark | None


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher with a health check, so that run monitoring ends runs that are lost."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run's process, and note on the run that this launcher did."""
        path = code_server_socket(context)
        system = this_system() if path is not None and listens_here(path) else ""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, tags_of(run_id, Worker(type(self).__name__, system)))
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True, so that run monitoring checks the health of started runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return FAILED if the process of a run is known to be gone or has stalled, else RUNNING.

        A process that has stalled is ended.
        """
        gone = process_gone(self._instance, run)
        if gone is not None:
            return CheckRunHealthResult(
                WorkerStatus.FAILED, f"its process {gone} is gone: killed, or out of memory"
            )
        stalled_s = stalled_for(run, load_settings().run.stalled_s)
        if stalled_s is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        end_worker(run)
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"no progress for {stalled_s:.0f} s, more than run.stalled_s: it was ended",
        )


def end_worker(run: DagsterRun) -> None:
    """Kill the process of a run and its children, if the process is one of this machine.

    A process that is stopped, or inside a native call, would not handle any other signal.
    """
    worker = worker_of(run)
    if worker is None or worker.process is None or worker.process.state != "alive":
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(worker.process.pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def tags_of(run_id: str, worker: Worker) -> dict[str, str]:
    """Return the tags that note a worker on a run.

    Dagster copies the tags of a run to its retry, so the note names the run that it is about.
    """
    note = _WorkerNote(run=run_id, **worker._asdict())
    return {HOST_TAG: socket.gethostname(), WORKER_TAG: note.model_dump_json()}


def note_worker(instance: DagsterInstance, run: DagsterRun, launcher: str | None = None) -> None:
    """Note on a run that this process executes it.

    Args:
        instance: where the run is recorded.
        run: the run.
        launcher: the launcher of this process; by default the one that has noted itself on the
            run. Without either, the run belongs to a launcher of another module and is left as it
            is.
    """
    known = worker_of(instance.get_run_by_id(run.run_id) or run)
    name = launcher or (known.launcher if known else None)
    if name is not None:
        instance.add_run_tags(run.run_id, tags_of(run.run_id, Worker.current(name)))


def worker_of(run: DagsterRun) -> Worker | None:
    """Return the worker that is noted on a run; None without a note or with another run's."""
    try:
        note = _WorkerNote.model_validate_json(run.tags[WORKER_TAG])
    except (KeyError, ValueError):
        return None
    if note.run != run.run_id:
        return None
    return Worker(note.launcher, note.system, note.process)


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Mark runs whose process was one of this machine and is gone as failed, and free their slots.

    The daemon's run monitoring does the same; this is for commands that run without a daemon.

    Returns:
        The ids of those runs.
    """
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED])):
        gone = process_gone(instance, run)
        if gone is None:
            continue
        instance.report_run_failed(run, f"Its process {gone} is gone.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def process_gone(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """Return the process id of a run if that process is known and has ended; None otherwise.

    For a process that has not noted itself, or not yet, Dagster's own event is used, if the process
    was started on this machine. Then a later process with the same id hides its end.
    """
    worker = worker_of(run)
    if worker is None:
        return None
    if worker.process is not None:
        return worker.process.pid if worker.process.state == "dead" else None
    if worker.system != this_system():
        return None
    pid = process_in_events(instance, run.run_id)
    return pid if pid is not None and start_of(pid) is None else None
