"""Schedules of jobs that run once a night."""

import dagster as dg

from mediafm_assets.jobs.catalogue_jobs import clean_catalogue
from mediafm_assets.jobs.verification_job import verify_catalogue
from mediafm_assets.resources.platform_resource import not_set_up
from mediafm_core.config.settings import Settings


def clean_daily(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of `clean_catalogue`."""
    return _nightly(
        settings,
        "clean_daily",
        clean_catalogue,
        "30 3 * * *",
        "Removes unused features each night.",
    )


def verify_nightly(settings: Settings) -> dg.ScheduleDefinition:
    """Return the schedule of `verify_catalogue`."""
    return _nightly(
        settings,
        "verify_nightly",
        verify_catalogue,
        "30 2 * * *",
        "Verifies a part of the store each night; the sweep recomputes what it removes.",
    )


def _nightly(
    settings: Settings, name: str, job: dg.JobDefinition, cron_schedule: str, description: str
) -> dg.ScheduleDefinition:
    """Return a running schedule of a job; it skips while no catalogue is configured."""

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron_schedule,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def schedule() -> dg.RunRequest | dg.SkipReason:
        missing = not_set_up(settings)
        return dg.SkipReason(missing) if missing else dg.RunRequest()

    return schedule
