"""Runs whose process is gone are noticed and ended, and their slots are freed."""

import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from mediafm_assets.dagster_internals import WorkerStatus
from mediafm_assets.resources.launcher import (
    IN_PROCESS,
    WatchedRunLauncher,
    Worker,
    end_dead_runs,
    note_worker,
    tags_of,
    worker_of,
)
from mediafm_assets.tags import WORKER_TAG
from mediafm_core.runtime.process import ProcessMark, this_system

HERE = ProcessMark.of_this_process()
SYSTEM = this_system()
WATCHED = WatchedRunLauncher.__name__


@dg.op(pool="accelerator")
def work() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def working() -> None:
    work()


@pytest.fixture(scope="module")
def dead() -> ProcessMark:
    """Return a process of this machine that has ended."""
    code = (
        "from mediafm_core.runtime.process import ProcessMark; "
        "print(ProcessMark.of_this_process().model_dump_json())"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return ProcessMark.model_validate_json(output)


def started(
    instance: dg.DagsterInstance, worker: Worker | None = None, pid: int | None = None
) -> dg.DagsterRun:
    """Return a started run, with a note of its process and with Dagster's own event."""
    run = instance.create_run_for_job(working, status=dg.DagsterRunStatus.STARTED)
    if worker is not None:
        instance.add_run_tags(run.run_id, tags_of(run.run_id, worker))
    if pid is not None:
        message = f"Started process for run (pid: {pid})."
        instance.report_engine_event(message, run, EngineEventData.in_process(pid))
    return found(instance, run)


def found(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    return stored


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    """Return the health of a run that the daemon's run monitoring gets."""
    launcher = WatchedRunLauncher()
    launcher.register_instance(instance)
    assert launcher.supports_check_run_worker_health
    return launcher.check_run_worker_health(run).status


def test_a_run_whose_process_is_gone_is_ended_and_frees_its_pool(
    dagster_instance: dg.DagsterInstance, dead: ProcessMark
):
    storage = dagster_instance.event_log_storage
    storage.set_concurrency_slots("accelerator", 1)
    run = started(dagster_instance, Worker(IN_PROCESS, SYSTEM, dead))
    assert health(dagster_instance, run) == WorkerStatus.FAILED
    assert storage.claim_concurrency_slot("accelerator", run.run_id, "work").is_claimed
    assert end_dead_runs(dagster_instance) == [run.run_id]
    assert found(dagster_instance, run).status == dg.DagsterRunStatus.FAILURE
    assert storage.claim_concurrency_slot("accelerator", "next", "work").is_claimed
    assert end_dead_runs(dagster_instance) == []


def test_runs_that_are_alive_or_unknown_are_not_ended(
    dagster_instance: dg.DagsterInstance, dead: ProcessMark
):
    left = {
        "alive": started(dagster_instance, Worker(WATCHED, SYSTEM, HERE)),
        "about to begin": started(dagster_instance, Worker(WATCHED, SYSTEM)),
        "of another launcher": started(dagster_instance, pid=dead.pid),
        "on another machine": started(
            dagster_instance,
            Worker(WATCHED, "another", dead.model_copy(update={"host": "another"})),
        ),
        "by a code server elsewhere": started(dagster_instance, Worker(WATCHED), pid=dead.pid),
        "a later process has its number": started(
            dagster_instance, Worker(WATCHED, SYSTEM), pid=os.getpid()
        ),
    }
    assert end_dead_runs(dagster_instance) == []
    for reason, run in left.items():
        assert health(dagster_instance, run) == WorkerStatus.RUNNING, reason
        assert found(dagster_instance, run).status == dg.DagsterRunStatus.STARTED, reason


def test_a_process_that_died_before_it_noted_itself_is_known_by_dagsters_event(
    dagster_instance: dg.DagsterInstance, dead: ProcessMark
):
    run = started(dagster_instance, Worker(WATCHED, SYSTEM), pid=dead.pid)
    assert health(dagster_instance, run) == WorkerStatus.FAILED
    assert end_dead_runs(dagster_instance) == [run.run_id]


def test_a_later_process_with_the_same_number_is_another(dagster_instance: dg.DagsterInstance):
    earlier = HERE.model_copy(update={"started": "1"})
    run = started(dagster_instance, Worker(WATCHED, SYSTEM, earlier))
    assert health(dagster_instance, run) == WorkerStatus.FAILED
    assert end_dead_runs(dagster_instance) == [run.run_id]


def test_a_retry_does_not_inherit_the_process_of_its_run(
    dagster_instance: dg.DagsterInstance, dead: ProcessMark
):
    first = started(dagster_instance, Worker(IN_PROCESS, SYSTEM, dead))
    again = dagster_instance.create_run_for_job(
        working,
        status=dg.DagsterRunStatus.STARTED,
        tags=first.tags,
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
    )
    assert WORKER_TAG in again.tags
    assert worker_of(again) is None
    assert health(dagster_instance, again) == WorkerStatus.RUNNING
    assert end_dead_runs(dagster_instance) == [first.run_id]


def test_a_process_notes_itself_only_for_launchers_that_are_watched(
    dagster_instance: dg.DagsterInstance,
):
    watched = started(dagster_instance, Worker(WATCHED, SYSTEM))
    note_worker(dagster_instance, watched)
    assert worker_of(found(dagster_instance, watched)) == Worker(WATCHED, SYSTEM, HERE)
    other = started(dagster_instance)
    note_worker(dagster_instance, other)
    assert worker_of(found(dagster_instance, other)) is None
    note_worker(dagster_instance, other, IN_PROCESS)
    assert worker_of(found(dagster_instance, other)) == Worker(IN_PROCESS, SYSTEM, HERE)
