"""Schedules of jobs that run once a night."""

import dagster as dg

from mediafm_assets.resources.platform_resource import not_set_up
from mediafm_core.config.settings import Settings


def nightly(
    settings: Settings, name: str, job: dg.JobDefinition, cron_schedule: str, description: str
) -> dg.ScheduleDefinition:
    """Return a running schedule of a job; it skips while no catalogue is set up."""

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
