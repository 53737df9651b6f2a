"""Sensor that sends an alert for each failed run.

Dagster's own run failure sensor goes on to the next run when its function fails, and that alert
would be lost. This one moves its cursor only past alerts that were delivered. While a target does
not work, ticks fail, which the UI shows; once it works again, all alerts are sent.
"""

from datetime import UTC, datetime

import dagster as dg

from mediafm_assets.alerts.delivery import Alert, send
from mediafm_assets.alerts.run_failures import first_failure
from mediafm_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from mediafm_assets.tags import QUARANTINED_IN_TAG
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError

NAME = "alert_on_failure"
_INTERVAL_S = 30
_ALERTS_PER_TICK = 10  # a tick may take a minute


def alert_on_failure(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor; by default it runs if the setting `alerts.target` names a target."""
    alerts = settings.alerts

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=(
            dg.DefaultSensorStatus.STOPPED
            if alerts.target == "none"
            else dg.DefaultSensorStatus.RUNNING
        ),
        description="Sends an alert for each failed run to the target in the setting "
        "`alerts.target`. A failed tick has not delivered its alert; the next one tries again.",
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
            if run is not None and _needs_alert(run, context):
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
        return dg.SkipReason(
            f"Sent alerts of {len(sent)} runs by {alerts.target}: {', '.join(sent)}."
        )

    return sensor


def describe(
    instance: dg.DagsterInstance, run: dg.DagsterRun, failed_at: float, ui_url: str | None
) -> Alert:
    """Return the alert for a failed run.

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


def _titles(run: dg.DagsterRun) -> str:
    tags = run.tags
    first, last = (
        tags.get(name) for name in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    )
    if first is None or last is None:
        return tags.get(PARTITION_NAME_TAG, "")
    return first if first == last else f"{first} to {last}"


def _needs_alert(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Return False for the failed run of one quarantined title among many others."""
    # A run that executes such a run again has its tags, and a parent.
    is_of_quarantined_title = QUARANTINED_IN_TAG in run.tags and run.parent_run_id is None
    return not is_of_quarantined_title and _is_of_this_location(run, context)


def _is_of_this_location(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Return True unless the run is known to be of another code location."""
    theirs, ours = run.remote_job_origin, context.code_location_origin
    if theirs is None or ours is None:
        return True
    return theirs.repository_origin.code_location_origin.location_name == ours.location_name
