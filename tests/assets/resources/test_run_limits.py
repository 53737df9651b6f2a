"""Runs that take too long or make no progress are ended, and their slots are freed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster_catalogue import DagsterCatalogue
from sensors import Sensing, sensing

from benchmarks.living import Daemon, running, wait_for
from mediafm_assets.dagster_internals import MAX_RUNTIME_SECONDS_TAG, WorkerStatus
from mediafm_assets.definitions import defs
from mediafm_assets.resources.launcher import WatchedRunLauncher, Worker, tags_of, worker_of
from mediafm_assets.resources.run_limits import heartbeat, max_runtime, stalled_for
from mediafm_assets.sensors.inbox_sensor import arrivals_sensor
from mediafm_assets.tags import PROGRESS_TAG
from mediafm_core.config.orchestration_settings import RunSettings
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.runtime.process import ProcessMark, this_system
from mediafm_core.runtime.progress import WorkProgress, progress_lines

PATIENCE_S = 600.0


@dg.op
def work() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def working() -> None:
    work()


def started(instance: dg.DagsterInstance, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    return instance.create_run_for_job(working, status=dg.DagsterRunStatus.STARTED, tags=tags)


def found(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    return stored


def progressed(run: dg.DagsterRun, seconds_ago: float) -> dict[str, str]:
    return {PROGRESS_TAG: f"{run.run_id} {time.time() - seconds_ago:.0f}"}


class TestMaxRuntime:
    def test_grows_with_the_titles_up_to_that_of_any_run(self) -> None:
        run = RunSettings(title_hours=2, max_hours=10)
        assert max_runtime(run, 1) == {MAX_RUNTIME_SECONDS_TAG: "7200"}
        assert max_runtime(run, 3) == {MAX_RUNTIME_SECONDS_TAG: "21600"}
        assert max_runtime(run, 500) == max_runtime(run) == {MAX_RUNTIME_SECONDS_TAG: "36000"}

    def test_every_job_has_one(self) -> None:
        jobs = [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
        assert jobs
        for job in jobs:
            assert float(job.run_tags[MAX_RUNTIME_SECONDS_TAG]) == 168 * 3600, job.name

    def test_runs_that_sensors_request_have_one_by_their_titles(
        self, dagster_catalogue: DagsterCatalogue, tmp_path: Path
    ) -> None:
        with sensing(dagster_catalogue.copy(tmp_path)) as sensed:
            Sensing.deliver(sensed, "dog")
            Sensing.deliver(sensed, "fox")
            settings = sensed.settings(sensors={"settle_s": 0.0})
            (request,) = sensed.tick(arrivals_sensor(settings)).requests
        assert request.tags[MAX_RUNTIME_SECONDS_TAG] == str(2 * 12 * 3600)


class TestHeartbeat:
    def test_is_noted_when_the_work_progresses(self, dagster_instance: dg.DagsterInstance) -> None:
        run = started(dagster_instance)
        with (
            heartbeat(dagster_instance, run.run_id, stalled_s=0.0),
            progress_lines(lambda _: None) as lines,
        ):
            assert PROGRESS_TAG not in found(dagster_instance, run).tags
            lines.show(WorkProgress("shots", 0.5, rate="1 title/s"))
            assert PROGRESS_TAG in found(dagster_instance, run).tags
            dagster_instance.add_run_tags(run.run_id, {PROGRESS_TAG: "earlier"})
            lines.show(WorkProgress("shots", 0.5, rate="0.5 titles/s", seconds_left=100.0))
        lines.show(WorkProgress("shots", 0.6))
        assert found(dagster_instance, run).tags[PROGRESS_TAG] == "earlier"

    def test_only_a_run_that_has_noted_progress_can_stall(
        self, dagster_instance: dg.DagsterInstance
    ) -> None:
        run = started(dagster_instance)
        assert stalled_for(run, 10.0) is None
        for seconds_ago, stalls in ((5.0, False), (100.0, True), (-1000.0, False)):
            dagster_instance.add_run_tags(run.run_id, progressed(run, seconds_ago))
            assert (stalled_for(found(dagster_instance, run), 10.0) is not None) == stalls
        again = started(dagster_instance, tags=progressed(run, 100.0))
        assert stalled_for(again, 10.0) is None, "the tag is of the run that it repeats"


def test_a_stalled_run_is_ended_with_its_process(
    dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAFM_RUN__STALLED_S", "10")
    launcher = WatchedRunLauncher()
    launcher.register_instance(dagster_instance)
    code = (
        "from mediafm_core.runtime.process import ProcessMark; "
        "print(ProcessMark.of_this_process().model_dump_json(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        mark = ProcessMark.model_validate_json(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        run = started(dagster_instance)
        worker = Worker(WatchedRunLauncher.__name__, this_system(), mark)
        dagster_instance.add_run_tags(run.run_id, tags_of(run.run_id, worker))
        dagster_instance.add_run_tags(run.run_id, progressed(run, 5.0))
        healthy = launcher.check_run_worker_health(found(dagster_instance, run))
        assert healthy.status == WorkerStatus.RUNNING
        dagster_instance.add_run_tags(run.run_id, progressed(run, 100.0))
        health = launcher.check_run_worker_health(found(dagster_instance, run))
        assert health.status == WorkerStatus.FAILED
        assert "no progress for 10" in str(health.msg)
        assert process.wait(PATIENCE_S) == -signal.SIGKILL


def test_the_daemon_ends_a_stopped_run_and_its_titles_are_retried(
    dagster_catalogue: DagsterCatalogue, tmp_path: Path
) -> None:
    catalogue = dagster_catalogue.copy(tmp_path)
    home = catalogue.store / "dagster_home" / "dagster.yaml"
    home.write_text(
        home.read_text().replace("poll_interval_seconds: 15", "poll_interval_seconds: 3")
    )
    settings = {
        "MEDIAFM_SENSORS__ARRIVALS_EVERY_S": "2",
        "MEDIAFM_SENSORS__SWEEP_EVERY_S": "3",
        "MEDIAFM_CLIPS__PROPOSED_S": "5.0",
        "MEDIAFM_RUN__STALLED_S": "20",
    }

    def runs(status: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        with catalogue.instance() as instance:
            runs = instance.get_runs(dg.RunsFilter(statuses=[status]))
        return [run for run in runs if PROGRESS_TAG in run.tags]

    with running(Daemon(catalogue.inbox, catalogue.store, settings)):
        with sensing(catalogue) as sensed:
            Sensing.deliver(sensed, "dog")
        wait_for(lambda: runs(dg.DagsterRunStatus.STARTED), PATIENCE_S)
        (stopped,) = runs(dg.DagsterRunStatus.STARTED)
        worker = worker_of(stopped)
        assert worker is not None
        assert worker.process is not None
        os.kill(worker.process.pid, signal.SIGSTOP)
        wait_for(lambda: runs(dg.DagsterRunStatus.FAILURE), PATIENCE_S)
        assert worker.process.state == "dead"

        def again() -> bool:
            with catalogue.instance() as instance:
                return any(
                    run.parent_run_id == stopped.run_id
                    for run in instance.get_runs(
                        dg.RunsFilter(
                            statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS]
                        )
                    )
                )

        wait_for(again, PATIENCE_S)
    assert Quarantine(catalogue.platform().store).get("dog") is None
