"""New and changed titles: registered as partitions and taken in, each folder once.

What is new is what the store has not recorded, so that nothing is lost with a cursor, and a tick
that dies is simply evaluated again. Run keys name the folders' fingerprints: nothing comes twice.
"""

import dagster as dg

from mediafm_assets.assets.observations import versions_to_record
from mediafm_assets.assets.partitions import TITLES, titles
from mediafm_assets.jobs.title_jobs import INGEST_TITLE
from mediafm_assets.resources.platform_resource import not_set_up, watching_platform
from mediafm_assets.sensors.priorities import ARRIVAL, priority
from mediafm_assets.sensors.run_requests import (
    chunks,
    has_been_asked_for,
    run_request,
    titles_under_way,
)
from mediafm_assets.sensors.single_daemon import other_watcher
from mediafm_core.config.settings import Settings
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.graph import SPECS, UP_TO_FUSION
from mediafm_core.pipeline.planning.arrivals import arrivals, taken_in

NAME = "inbox_arrivals"


def arrivals_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor of the inbox, as the settings want it."""
    sensors = settings.sensors

    @dg.sensor(
        name=NAME,
        job_name=INGEST_TITLE,
        minimum_interval_seconds=sensors.arrivals_every_s,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.running else dg.DefaultSensorStatus.STOPPED
        ),
        description="Takes in titles that have arrived in the inbox, or changed there.",
    )
    def inbox_arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if missing := not_set_up(settings):
            return dg.SkipReason(missing)
        platform = watching_platform()
        if other := other_watcher(platform.store):
            return dg.SkipReason(other)
        found = arrivals(platform, taken_in(platform), sensors.settle_s)
        if not found.fingerprints:
            return dg.SkipReason(f"Nothing to take in: {found}.")
        registered = list(context.instance.get_dynamic_partitions(TITLES))
        busy = titles_under_way(context.instance, registered)
        asked = {name: value for name, value in found.fingerprints.items() if name not in busy}
        if not asked:
            return dg.SkipReason(f"Runs are under way for all that has arrived: {found}.")
        requests, added = _requests(
            context.instance, settings, registered, asked, platform.serving_model is None
        )
        left = f"The sweep takes in what was asked for before: {found}."
        context.log.info(f"{found}; {len(busy)} under way; {len(requests)} runs asked for")
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
    asked: dict[str, str],
    without_model: bool,
) -> tuple[list[dg.RunRequest], list[str]]:
    """Runs for one tick, and the titles of these runs that are to be registered first."""
    known = set(registered)
    new = [title_id for title_id in asked if title_id not in known]
    ranges = chunks([*registered, *new], asked.keys(), settings.run.titles_per_run)
    requests: list[dg.RunRequest] = []
    added: list[str] = []
    for titles_of_run in ranges:
        if len(requests) == settings.sensors.runs_per_tick:
            break
        told = [part for name in titles_of_run for part in (name, asked[name])]
        run_key = f"{titles_of_run[0]}@{digest_of(*told)}"
        added += [name for name in titles_of_run if name not in known]
        if has_been_asked_for(instance, run_key):
            continue  # it has failed, or the title was retired since: registered, it is the sweep's
        assets = UP_TO_FUSION if without_model else tuple(SPECS)
        requests.append(
            run_request(
                settings.run, INGEST_TITLE, titles_of_run, priority(ARRIVAL), assets, run_key
            )
        )
    return requests, added
