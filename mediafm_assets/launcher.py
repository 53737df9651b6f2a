"""Runs as processes of this machine that are noticed when they die.

Dagster's own launcher starts a process and never looks at it again: after a crash or a power cut
its run stays *started* for ever, keeps its place in the queue and holds its concurrency slots.
"""

import json
import socket

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster._core.storage.tags import GRPC_INFO_TAG

# Dagster notes the process of a run in an event of its own, in these words (dagster is pinned).
_PROCESS = "pid"
_CLOCK_TOLERANCE_S = 5.0
HOST_TAG = "mediafm/host"
"""The machine that a run was started on."""


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, and the daemon's run monitoring can ask whether a run's process lives."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run's process, and note which machine this is: others may share the database."""
        run_id = context.dagster_run.run_id
        self._instance.add_run_tags(run_id, {HOST_TAG: socket.gethostname()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks for the health of started runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes a run is there."""
        process = None if is_elsewhere(run) else process_of(self._instance, run.run_id)
        if process is None or is_alive(*process):  # a run is started before its process is noted
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its process {process[0]} is gone: killed, or out of memory"
        )


def process_of(instance: DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """The last process that executed a run, and when that was noted; None before it started."""
    found = None
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is None:
            continue
        noted = event.engine_event_data.metadata.get(_PROCESS)
        if noted is not None:
            found = (int(str(noted.value)), entry.timestamp)
    return found


def is_elsewhere(run: DagsterRun) -> bool:
    """Whether a code server of another machine executes a run: its processes are not seen here."""
    server, host = run.tags.get(GRPC_INFO_TAG), run.tags.get(HOST_TAG)
    here = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
    if server is not None and json.loads(server)["host"] not in here:
        return True
    return host is not None and host not in here


def is_alive(process_id: int, noted_at: float) -> bool:
    """Whether that process still runs; a later one that was given its number is another."""
    try:
        process = psutil.Process(process_id)
        younger = process.create_time() > noted_at + _CLOCK_TOLERANCE_S
        return not younger and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Mark the runs of this machine whose process is gone as failed, and free what they hold.

    What the daemon's run monitoring does, for commands that run without a daemon.

    Returns:
        The ids of those runs.
    """
    started = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    ended = []
    for run in started:
        process = None if is_elsewhere(run) else process_of(instance, run.run_id)
        if process is None or is_alive(*process):
            continue
        instance.report_run_failed(run, f"Its process {process[0]} is gone.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended
