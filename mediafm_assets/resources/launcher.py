"""Runs as processes of this machine that are noticed when they die, and ended when they stall.

Dagster's own launcher starts a process and never looks at it again: after a crash or a power cut
its run stays *started* for ever, keeps its place in the queue and holds its concurrency slots.

Whoever starts a run here notes that on the run, and so does the process that executes it. A run
without such a note, or of another machine or container, is left to whatever started it.
"""

import socket
from contextlib import suppress
from typing import NamedTuple, Self

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from pydantic import BaseModel

from mediafm_assets.resources.run_limits import stalled_for
from mediafm_core.config.settings import load_settings
from mediafm_core.runtime.process import ProcessMark, listens_here, start_of, this_system

HOST_TAG = "mediafm/host"
"""The machine that a run was started on, for people."""
WORKER_TAG = ".dagster/mediafm_worker"
"""The note about a run's process, as JSON; the UI hides tags with this prefix."""
IN_PROCESS = "mediafm"
"""The launcher of runs that a command of `mediafm` executes itself."""

# Dagster notes the process of a run in an event of its own, in these words (dagster is pinned).
_PROCESS = "pid"


class Worker(NamedTuple):
    """Facts about the process that executes a run.

    Attributes:
        launcher: name of the launcher that started it.
        system: where its process numbers count, as `this_system` names it; "" if that is unknown.
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
    """Dagster's launcher; run monitoring can ask it whether a run's process lives."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run's process, and note on the run that this launcher did."""
        system = this_system() if _starts_here(context) else ""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, tags_of(run_id, Worker(type(self).__name__, system)))
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks for the health of started runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process that executes a run is there, as far as it can be seen."""
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
    """Kill the process of a run and those that it has started, where that is one of this machine.

    One that is stopped, or in a native call, would not act on any other signal.
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

    Dagster copies the tags of a run to the one that repeats it, so the note names its own run.
    """
    note = _WorkerNote(run=run_id, **worker._asdict())
    return {HOST_TAG: socket.gethostname(), WORKER_TAG: note.model_dump_json()}


def note_worker(instance: DagsterInstance, run: DagsterRun, launcher: str | None = None) -> None:
    """Note on a run that this process executes it.

    Args:
        instance: where the run is recorded.
        run: the run.
        launcher: the launcher of this process; by default the one that has noted itself on the
            run. Without either, the run belongs to a launcher that is not of this module, and is
            left as it is.
    """
    known = worker_of(instance.get_run_by_id(run.run_id) or run)
    name = launcher or (known.launcher if known else None)
    if name is not None:
        instance.add_run_tags(run.run_id, tags_of(run.run_id, Worker.current(name)))


def worker_of(run: DagsterRun) -> Worker | None:
    """Return what is noted of a run's process; None where nothing is, or only of another run."""
    try:
        note = _WorkerNote.model_validate_json(run.tags[WORKER_TAG])
    except (KeyError, ValueError):
        return None
    if note.run != run.run_id:
        return None
    return Worker(note.launcher, note.system, note.process)


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Mark runs whose process was one of this machine and is gone as failed, and free their slots.

    What the daemon's run monitoring does, for commands that run without a daemon.

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
    """Return the number of a run's process if that is known and has ended; None otherwise.

    A process that has not noted itself, or not yet, is known by Dagster's own event where it was
    started on this machine. A later process with its number then hides its end.
    """
    worker = worker_of(run)
    if worker is None:
        return None
    if worker.process is not None:
        return worker.process.pid if worker.process.state == "dead" else None
    if worker.system != this_system():
        return None
    pid = _pid_in_events(instance, run.run_id)
    return pid if pid is not None and start_of(pid) is None else None


def _starts_here(context: LaunchRunContext) -> bool:
    """Return whether the code server that will start the run's process is seen to be here."""
    # Imported here: it takes long, and most processes that load this module launch nothing.
    from dagster._core.remote_representation.code_location import GrpcServerCodeLocation

    origin = context.dagster_run.remote_job_origin
    if origin is None or context.workspace is None:
        return False
    location = context.workspace.get_code_location(
        origin.repository_origin.code_location_origin.location_name
    )
    path = location.client.socket if isinstance(location, GrpcServerCodeLocation) else None
    return path is not None and listens_here(path)


def _pid_in_events(instance: DagsterInstance, run_id: str) -> int | None:
    """Return the number of the last process that executed a run, by Dagster's own events."""
    found = None
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        noted = event.engine_event_data.metadata.get(_PROCESS) if event else None
        if noted is not None:
            found = int(str(noted.value))
    return found
