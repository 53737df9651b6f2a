"""Sensor of the inbox: it registers new titles as partitions and requests runs over arrivals.

A title is new, or has changed, if the store has not recorded its folder's fingerprint. So nothing
depends on a cursor, and a tick that dies is evaluated again. Run keys contain the fingerprints, so
that no folder is ingested twice.
"""

import dagster as dg

from mediafm_assets.assets.observations import versions_to_record
from mediafm_assets.jobs.title_jobs import INGEST_TITLE
from mediafm_assets.partitions import TITLES, titles
from mediafm_assets.resources.platform_resource import not_set_up, watching_platform
from mediafm_assets.sensors.run_requests import (
    chunks,
    has_been_requested,
    run_request,
    titles_under_way,
)
from mediafm_assets.sensors.single_daemon import reason_to_stand_by
from mediafm_assets.tags import ARRIVAL_PRIORITY, priority
from mediafm_core.config.settings import Settings
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION
from mediafm_core.pipeline.planning.arrivals import arrivals, ingested_fingerprints

NAME = "inbox_arrivals"


def arrivals_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor of the inbox with the intervals of the settings."""
    sensors = settings.sensors

    @dg.sensor(
        name=NAME,
        job_name=INGEST_TITLE,
        minimum_interval_seconds=sensors.arrivals_every_s,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.running else dg.DefaultSensorStatus.STOPPED
        ),
        description="Requests runs over titles that have arrived in the inbox or changed there.",
    )
    def inbox_arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if missing := not_set_up(settings):
            return dg.SkipReason(missing)
        platform = watching_platform()
        if reason := reason_to_stand_by(platform.store):
            return dg.SkipReason(reason)
        found = arrivals(platform, ingested_fingerprints(platform), sensors.settle_s)
        if not found.fingerprints:
            return dg.SkipReason(f"No new or changed title: {found}.")
        registered = list(context.instance.get_dynamic_partitions(TITLES))
        busy = titles_under_way(context.instance, registered)
        wanted = {name: value for name, value in found.fingerprints.items() if name not in busy}
        if not wanted:
            return dg.SkipReason(f"Runs over all arrivals are under way: {found}.")
        # A run releases the model that the settings name before its work.
        without_model = platform.serving_model is None and settings.serving_model is None
        requests, added = _requests(context.instance, settings, registered, wanted, without_model)
        left = f"Runs over all arrivals were requested before; the sweep retries them: {found}."
        context.log.info(f"{found}; {len(busy)} under way; {len(requests)} runs requested")
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else left,
            dynamic_partitions_requests=[titles.build_add_request(added)] if added else [],
            asset_events=versions_to_record(context.instance, platform),
        )

    return inbox_arrivals


def _requests(
    instance: dg.DagsterInstance,
    settings: Settings,
    registered: list[str],
    fingerprints: dict[str, str],
    without_model: bool,
) -> tuple[list[dg.RunRequest], list[str]]:
    """Return the requests of a tick, and those of their titles that must be registered first."""
    known = set(registered)
    new = [title_id for title_id in fingerprints if title_id not in known]
    ranges = chunks([*registered, *new], fingerprints.keys(), settings.run.titles_per_run)
    requests: list[dg.RunRequest] = []
    added: list[str] = []
    for titles_of_run in ranges:
        if len(requests) == settings.sensors.runs_per_tick:
            break
        parts = [part for name in titles_of_run for part in (name, fingerprints[name])]
        run_key = f"{titles_of_run[0]}@{digest_of(*parts)}"
        added += [name for name in titles_of_run if name not in known]
        if has_been_requested(instance, run_key):
            continue  # the run failed, or the title was retired since; the sweep goes on with it
        assets = UP_TO_FUSION if without_model else tuple(SPECS)
        requests.append(
            run_request(
                settings.run,
                INGEST_TITLE,
                titles_of_run,
                priority(ARRIVAL_PRIORITY),
                assets,
                run_key,
            )
        )
    return requests, added
