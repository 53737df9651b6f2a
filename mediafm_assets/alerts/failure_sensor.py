"""A sensor that tells people of failed runs.

Dagster's own run failure sensor goes on to the next run when its function fails, and that alert
would be lost. This one moves its cursor only past what has been delivered: while a target is out
of order its ticks fail, where people see it, and everything is sent once the target works again.
"""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.events import JobFailureData
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from dagster._utils.error import SerializableErrorInfo

from mediafm_assets.alerts.delivery import Alert, send
from mediafm_assets.assets.quarantined_runs import MET_IN
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.readable import one_line

NAME = "alert_on_failure"
_INTERVAL_S = 30
_ALERTS_PER_TICK = 10  # a tick has a minute


def alert_on_failure(settings: Settings) -> dg.SensorDefinition:
    """The sensor, as the settings want it; it runs where `alerts.target` names a target."""
    alerts = settings.alerts

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=(
            dg.DefaultSensorStatus.STOPPED
            if alerts.target == "none"
            else dg.DefaultSensorStatus.RUNNING
        ),
        description="Tells people of failed runs, by the setting `alerts.target`. A tick that "
        "fails has not delivered its alert; the next one tries again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        instance = context.instance
        if context.cursor is None:
            latest = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1)
            context.update_cursor(str(latest.records[0].storage_id if latest.records else 0))
            return dg.SkipReason("Alerts begin with the next failure.")
        failures = instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(
                dg.DagsterEventType.RUN_FAILURE, after_storage_id=int(context.cursor)
            ),
            limit=_ALERTS_PER_TICK,
            ascending=True,
        )
        sent: list[str] = []
        for record in failures.records:
            run = instance.get_run_by_id(record.run_id)
            if run is not None and _is_alerted(run, context):
                alert = describe(instance, run, record.timestamp, alerts.ui_url)
                try:
                    send(alert, alerts)
                except ConfigurationError as error:
                    if not sent:
                        raise
                    # What was delivered is not sent again; the next tick begins, and fails, here.
                    context.log.error(str(error))
                    break
                sent.append(run.run_id)
            context.update_cursor(str(record.storage_id))
        if not sent:
            return dg.SkipReason("No run has failed.")
        return dg.SkipReason(f"Told by {alerts.target} of {len(sent)} runs: {', '.join(sent)}.")

    return sensor


def describe(
    instance: dg.DagsterInstance, run: dg.DagsterRun, failed_at: float, ui_url: str | None
) -> Alert:
    """What there is to say of a failed run.

    Args:
        instance: holds the run's events.
        run: the run.
        failed_at: seconds since the epoch.
        ui_url: address of Dagster's UI.
    """
    titles = _titles(run)
    retried = " It is started again." if run.tags.get(WILL_RETRY_TAG) == "true" else ""
    reason = first_failure(instance, run.run_id)
    return Alert(
        title=f"{run.job_name} failed",
        text=f"{run.job_name}{f' of {titles}' if titles else ''} failed: {reason}{retried}",
        job=run.job_name,
        run_id=run.run_id,
        link=f"{ui_url.rstrip('/')}/runs/{run.run_id}" if ui_url else "",
        when=datetime.fromtimestamp(failed_at, UTC),
    )


def first_failure(instance: dg.DagsterInstance, run_id: str) -> str:
    """The sentence of the first step that failed, or what Dagster says where none has."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return one_line(f"{event.step_key}: {data.user_failure_data.description}")
        if data.error is not None:
            return one_line(f"{event.step_key}: {_root_cause(data.error)}")
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        failure = event.event_specific_data  # a run that another process has ended has none
        if isinstance(failure, JobFailureData) and failure.error is not None:
            return one_line(_root_cause(failure.error))
        if event.message:
            return one_line(event.message)
    return "no reason was recorded; see the run's log."


def _root_cause(error: SerializableErrorInfo) -> str:
    while error.cause is not None:
        error = error.cause
    return error.message


def _titles(run: dg.DagsterRun) -> str:
    tags = run.tags
    first, last = (
        tags.get(name) for name in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    )
    if first is None or last is None:
        return tags.get(PARTITION_NAME_TAG, "")
    return first if first == last else f"{first} to {last}"


def _is_alerted(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Return whether people are alerted of a failed run: not of a title among many others."""
    # A run that executes such a run again has its tags, and a parent.
    is_met = MET_IN in run.tags and run.parent_run_id is None
    return not is_met and _is_of_this_location(run, context)


def _is_of_this_location(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Whether this project's code made the run, as far as either of them says where it is from."""
    theirs, ours = run.remote_job_origin, context.code_location_origin
    if theirs is None or ours is None:
        return True
    return theirs.repository_origin.code_location_origin.location_name == ours.location_name
