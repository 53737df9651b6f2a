"""Reasons of failed runs as text, from the events that Dagster has recorded."""

import dagster as dg

from mediafm_assets.dagster_internals import DagsterEvent, JobFailureData, SerializableErrorInfo
from mediafm_core.readable import one_line


def first_failure(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the reason of the first step that failed, or of the run where no step has failed."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        if entry.dagster_event and (reason := step_failure(entry.dagster_event)):
            return reason
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        if entry.dagster_event and (reason := run_failure(entry.dagster_event)):
            return reason
    return "no reason was recorded; see the run's log."


def step_failure(event: DagsterEvent) -> str | None:
    """Return the step and the reason of a step's failure on one line; None for any other event."""
    if not event.is_step_failure:
        return None
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return one_line(f"{event.step_key}: {data.user_failure_data.description}")
    if data.error is not None:
        return one_line(f"{event.step_key}: {_root_cause(data.error)}")
    return None


def run_failure(event: DagsterEvent) -> str | None:
    """Return the reason that the event of a failed run gives on one line; None if it has none."""
    failure = event.event_specific_data  # None for a run that another process has ended
    if isinstance(failure, JobFailureData) and failure.error is not None:
        return one_line(_root_cause(failure.error))
    return one_line(event.message) if event.message else None


def _root_cause(error: SerializableErrorInfo) -> str:
    while error.cause is not None:
        error = error.cause
    return error.message
