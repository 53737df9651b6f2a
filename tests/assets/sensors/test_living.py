"""A catalogue with a real daemon: arrivals, releases, killed processes, and readers."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster_catalogue import GOOD, DagsterCatalogue
from sensors import Sensing, sensing

from benchmarks.living import Daemon, reading, recorded_since, running, served, wait_for
from mediafm_assets.tags import QUARANTINED_IN_TAG
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.release import release

SMALL = {"hidden": 32, "layers": 1, "heads": 2, "feed_forward": 64}
QUICK = {
    "MEDIAFM_SENSORS__ARRIVALS_EVERY_S": "2",
    "MEDIAFM_SENSORS__SWEEP_EVERY_S": "3",
    "MEDIAFM_CLIPS__PROPOSED_S": "5.0",
}
PATIENCE_S = 600.0


@pytest.fixture
def catalogue(dagster_catalogue: DagsterCatalogue, tmp_path: Path) -> DagsterCatalogue:
    copy = dagster_catalogue.copy(tmp_path)
    home = copy.store / "dagster_home" / "dagster.yaml"  # check for dead runs more often
    home.write_text(
        home.read_text().replace("poll_interval_seconds: 15", "poll_interval_seconds: 3")
    )
    return copy


def deliver(catalogue: DagsterCatalogue, title_id: str) -> None:
    with sensing(catalogue) as found:
        Sensing.deliver(found, title_id)


def runs(catalogue: DagsterCatalogue, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
    with catalogue.instance() as instance:
        return list(instance.get_runs(dg.RunsFilter(statuses=list(statuses))))


def release_another_model(catalogue: DagsterCatalogue) -> str:
    settings = load_settings(
        inbox=catalogue.inbox,
        store=catalogue.store,
        model=SMALL,
        training={"steps": 2, "seed": 7},
        clips={"proposed_s": 5.0},
    )
    platform = Platform(settings)
    trained = train_model(platform)
    release(platform, trained.candidate)
    return trained.identity


def test_a_killed_arrival_and_a_release_made_while_the_daemon_was_down(
    catalogue: DagsterCatalogue,
):
    before = served(catalogue.store)
    assert before is not None
    daemon = Daemon(catalogue.inbox, catalogue.store, QUICK)
    with reading(catalogue.store) as seen:
        deliver(catalogue, "dog")
        with running(daemon):
            wait_for(lambda: runs(catalogue, dg.DagsterRunStatus.STARTED), PATIENCE_S)
            daemon.kill()
        assert runs(catalogue, dg.DagsterRunStatus.STARTED), "its end would not be recorded"
        model = release_another_model(catalogue)
        with running(daemon):
            wait_for(lambda: served(catalogue.store) == (model, {*GOOD, "dog"}), PATIENCE_S)
            unfinished = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED)
            wait_for(lambda: not runs(catalogue, *unfinished), PATIENCE_S)
        readings = seen()
    assert (readings.mixed, readings.errors) == (0, {})
    assert readings.versions[0][1] == before[0]
    assert {version for _, version, _ in readings.versions} == {before[0], model}
    failed = [
        run
        for run in runs(catalogue, dg.DagsterRunStatus.FAILURE)
        if QUARANTINED_IN_TAG not in run.tags
    ]
    assert len(failed) == 1, "the killed one, marked by run monitoring"


def has_logged_two_daemons(log: Path) -> bool:
    """Return True if the log names the second daemon.

    This project's sentence is a sensor's reason to skip, which the second daemon logs only at a
    tick of its own; two daemons share the times of their ticks, and on an idle machine the same one
    may be the first at all of them. Then Dagster logs it, when the other daemon's heartbeat lies
    between two of its own.
    """
    text = log.read_text()
    return "stop one of the two daemons" in text or "still sending heartbeats" in text


def test_two_daemons_by_mistake_do_no_work_twice(catalogue: DagsterCatalogue):
    one, two = (Daemon(catalogue.inbox, catalogue.store, QUICK) for _ in range(2))
    with running(one), running(two):
        since = 0.0
        with catalogue.instance() as instance:
            since = max(
                record.create_timestamp.timestamp() for record in instance.get_run_records(limit=1)
            )
        deliver(catalogue, "dog")
        wait_for(lambda: "dog" in (served(catalogue.store) or ("", ()))[1], PATIENCE_S)
        wait_for(lambda: has_logged_two_daemons(one.log), PATIENCE_S)
        unfinished = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED)
        wait_for(lambda: not runs(catalogue, *unfinished), PATIENCE_S)
    recorded = recorded_since(catalogue.store, since + 1e-3)
    assert [job for job, _, _ in recorded.runs] == ["ingest_title"]
    assert recorded.materialised == dict.fromkeys(SPECS, 1)
    shutil.rmtree(catalogue.inbox / "dog")
