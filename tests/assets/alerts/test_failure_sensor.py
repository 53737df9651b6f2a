"""The sensor of failed runs sends one alert per failure, also if its target fails meanwhile."""

import dagster as dg
import pytest
from webhook_service import SECRET, Webhook

from mediafm_assets.alerts.failure_sensor import alert_on_failure
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError


@dg.op
def ends_badly():
    raise dg.Failure("cat has no media file: put one into its folder.")


@dg.op
def ends_by_surprise():
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise RuntimeError("The file was not written.") from error


@dg.op
def ends_well():
    pass


@dg.job
def ingest():
    ends_badly()


@dg.job
def refresh():
    ends_by_surprise()


@dg.job
def good():
    ends_well()


class Daemon:
    """Evaluation of the sensor as by Dagster's daemon: a tick that raises keeps the cursor."""

    def __init__(self, instance: dg.DagsterInstance, **alerts) -> None:
        self.instance = instance
        self.cursor = None
        self.sensor = alert_on_failure(load_settings(alerts=alerts))

    def tick(self) -> str:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = self.sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found.skip_message

    def run(self, job: dg.JobDefinition, **tags: str) -> str:
        return job.execute_in_process(
            instance=self.instance, raise_on_error=False, tags=tags
        ).run_id


@pytest.fixture
def webhook(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    service = Webhook()
    yield service
    service.close()


@pytest.fixture
def daemon(webhook, dagster_instance):
    return Daemon(
        dagster_instance,
        target="webhook",
        webhook_url=webhook.address,
        max_retries=0,
        ui_url="http://ui:3000/",
    )


def test_no_alert_is_sent_of_a_title_quarantined_among_many(daemon, webhook):
    daemon.tick()
    daemon.run(ingest, **{"dagster/partition": "cat", "mediafm/quarantined_in": "another run"})
    assert daemon.tick() == "No run has failed."
    daemon.run(ingest, **{"dagster/partition": "cat"})
    assert "of 1 runs" in daemon.tick()


def test_each_failure_is_alerted_once(daemon, webhook):
    daemon.run(ingest)  # before the sensor was switched on
    assert "begin with the next" in daemon.tick()
    run_ids = [
        daemon.run(ingest, **{"dagster/partition": "cat"}),
        daemon.run(good),
        daemon.run(
            refresh,
            **{
                "dagster/asset_partition_range_start": "a",
                "dagster/asset_partition_range_end": "z",
            },
        ),
    ]
    assert "2 runs" in daemon.tick()
    assert daemon.tick() == "No run has failed."
    bodies = [body for _, _, body in webhook.requests]
    assert [body["run_id"] for body in bodies] == [run_ids[0], run_ids[2]]
    assert webhook.texts == [
        "ingest of cat failed: ends_badly: cat has no media file: put one into its folder.",
        "refresh of a to z failed: ends_by_surprise: OSError: [Errno 28] No space left on device",
    ]
    assert bodies[0]["link"] == f"http://ui:3000/runs/{run_ids[0]}"


def test_a_run_whose_process_died(daemon, webhook):
    daemon.tick()
    run = daemon.instance.create_run_for_job(ingest, tags={"dagster/will_retry": "true"})
    daemon.instance.report_run_failed(run, "Its process 12 is gone.")
    daemon.tick()
    assert webhook.texts == ["ingest failed: Its process 12 is gone. It is started again."]


def test_an_undelivered_alert_fails_its_tick_and_is_sent_later(daemon, webhook):
    daemon.tick()
    run_ids = [daemon.run(ingest), daemon.run(ingest), daemon.run(ingest)]
    webhook.script = [(200, {}, {}), *[(503, {}, {})] * 3]
    assert "1 runs" in daemon.tick()  # the first was delivered, and is not sent again
    for _ in range(2):  # the second is not: the tick fails, and so does the next
        with pytest.raises(ConfigurationError, match=run_ids[1]) as caught:
            daemon.tick()
        assert SECRET not in str(caught.value)
    assert "2 runs" in daemon.tick()
    delivered = [body["run_id"] for _, _, body in webhook.requests]
    assert delivered == [run_ids[0], *[run_ids[1]] * 4, run_ids[2]]


def test_many_failures_are_alerted_in_several_ticks(daemon, webhook):
    daemon.tick()
    for _ in range(12):
        run = daemon.instance.create_run_for_job(ingest)
        daemon.instance.report_run_failed(run, "Its process is gone.")
    messages = [daemon.tick() for _ in range(3)]
    assert ["10 runs" in messages[0], "2 runs" in messages[1], messages[2]] == [
        True,
        True,
        "No run has failed.",
    ]
    assert len({body["run_id"] for _, _, body in webhook.requests}) == 12


@pytest.mark.parametrize(("target", "status"), [("none", "STOPPED"), ("log", "RUNNING")])
def test_the_sensor_runs_if_a_target_is_set(target, status):
    sensor = alert_on_failure(load_settings(alerts={"target": target}))
    assert (sensor.name, sensor.default_status.name) == ("alert_on_failure", status)
