"""Runs whose process is gone: noticed, ended, and what they held is free again."""

import json
import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus

from mediafm_assets.launcher import WatchedRunLauncher, end_dead_runs, is_alive


@dg.op(pool="accelerator")
def work() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def working() -> None:
    work()


@pytest.fixture
def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def started(instance: dg.DagsterInstance, process: int | None) -> dg.DagsterRun:
    """A run that has begun, by a process if it has said which."""
    run = instance.create_run_for_job(working, status=dg.DagsterRunStatus.STARTED)
    if process is not None:
        said = f"Started process for run (pid: {process})."
        instance.report_engine_event(said, run, EngineEventData.in_process(process))
    return run


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_run_whose_process_is_gone_is_ended_and_frees_its_pool(
    dagster_instance: dg.DagsterInstance, dead_process: int
):
    storage = dagster_instance.event_log_storage
    storage.set_concurrency_slots("accelerator", 1)
    dead = started(dagster_instance, dead_process)
    assert storage.claim_concurrency_slot("accelerator", dead.run_id, "work").is_claimed
    assert end_dead_runs(dagster_instance) == [dead.run_id]
    assert status(dagster_instance, dead) == dg.DagsterRunStatus.FAILURE
    assert storage.claim_concurrency_slot("accelerator", "next", "work").is_claimed
    assert end_dead_runs(dagster_instance) == []


def test_runs_that_live_or_are_about_to_are_left_alone(dagster_instance: dg.DagsterInstance):
    alive, beginning = started(dagster_instance, os.getpid()), started(dagster_instance, None)
    assert end_dead_runs(dagster_instance) == []
    for run in (alive, beginning):
        assert status(dagster_instance, run) == dg.DagsterRunStatus.STARTED


def test_run_monitoring_is_told(dagster_instance: dg.DagsterInstance, dead_process: int):
    launcher = WatchedRunLauncher()
    launcher.register_instance(dagster_instance)
    assert launcher.supports_check_run_worker_health
    expected = {
        os.getpid(): WorkerStatus.RUNNING,
        None: WorkerStatus.RUNNING,
        dead_process: WorkerStatus.FAILED,
    }
    for process, health in expected.items():
        run = started(dagster_instance, process)
        assert launcher.check_run_worker_health(run).status == health


def test_a_later_process_with_the_same_number_is_another():
    assert is_alive(os.getpid(), noted_at=4e9)
    assert not is_alive(os.getpid(), noted_at=0.0)


def test_the_processes_of_another_machine_are_not_looked_for_here(
    dagster_instance: dg.DagsterInstance, dead_process: int
):
    launcher = WatchedRunLauncher()
    launcher.register_instance(dagster_instance)
    for host, health in {"code": WorkerStatus.RUNNING, "localhost": WorkerStatus.FAILED}.items():
        run = started(dagster_instance, dead_process)
        server = json.dumps({"host": host, "port": 4000})
        dagster_instance.add_run_tags(run.run_id, {".dagster/grpc_info": server})
        found = dagster_instance.get_run_by_id(run.run_id)
        assert found is not None
        assert launcher.check_run_worker_health(found).status == health
        assert (run.run_id in end_dead_runs(dagster_instance)) == (health == WorkerStatus.FAILED)
