"""What an automation condition misses: the catalogue is compared with what is wanted of it.

The condition fires on changes that it sees happen. The sweep does not depend on having seen
anything: it reads the versions recorded in the artefacts, whatever daemon, cursor or run was lost,
and asks for what is missing or stale, unless a run or backfill is at it already. It also records
which model and encoders are wanted now, which is what the condition sees change.
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dagster as dg
from pydantic import TypeAdapter

from mediafm_assets.assets.catalogue_asset import observe_catalogue
from mediafm_assets.assets.encoder_assets import observe_encoders
from mediafm_assets.assets.inbox_asset import observe_states
from mediafm_assets.assets.model_assets import observe_serving_model, training_config
from mediafm_assets.assets.model_partitions import model_changes
from mediafm_assets.assets.observations import unrecorded
from mediafm_assets.assets.partitions import TITLES, titles
from mediafm_assets.jobs.catalogue_jobs import PUBLISH_FEATURES, publish_features
from mediafm_assets.jobs.title_jobs import (
    REFRESH_CATALOGUE,
    TRAIN_MODEL,
    refresh_catalogue,
    train_model,
)
from mediafm_assets.resources.platform_resource import not_set_up, watching_platform
from mediafm_assets.sensors.priorities import REFRESH, priority
from mediafm_assets.sensors.run_requests import (
    backfills_under_way,
    chunks,
    paused_after_failures,
    run_request,
    titles_under_way,
    unfinished_runs,
)
from mediafm_assets.sensors.single_daemon import other_watcher
from mediafm_assets.tags import DATA_VERSION
from mediafm_core.config.settings import Settings
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.planning.arrivals import arrivals, taken_in
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison, TitleState
from mediafm_core.pipeline.planning.refresh import RefreshPlan, is_about_model, plan_refresh
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import cut_over_waits_for, unpublished
from mediafm_core.pipeline.serving import release_history

NAME = "catalogue_sweep"
_CURSOR = TypeAdapter(tuple[str, float])  # digest of the wanted versions, known since
_UNDER_WAY = "The runs of earlier ticks are still under way."
_NAMED_TITLES = 5


class Look(NamedTuple):
    """What a look at the catalogue comes to.

    Attributes:
        reason: what is the matter, for the tick.
        requests: runs to ask for.
        new: titles to register as partitions first.
        gone: partitions of titles that are neither in the inbox nor in the store.
    """

    reason: str
    requests: Sequence[dg.RunRequest] = ()
    new: Sequence[str] = ()
    gone: Sequence[str] = ()


def sweep_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sweep, as the settings want it."""
    sensors = settings.sensors

    @dg.sensor(
        name=NAME,
        jobs=[refresh_catalogue, train_model, publish_features],
        minimum_interval_seconds=sensors.sweep_every_s,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.running else dg.DefaultSensorStatus.STOPPED
        ),
        description="Asks for whatever is missing or stale and that nothing is at work on.",
    )
    def catalogue_sweep(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if missing := not_set_up(settings):
            return dg.SkipReason(missing)
        platform = watching_platform()
        if other := other_watcher(platform.store):
            return dg.SkipReason(other)
        comparison = CatalogueComparison(platform)
        states = list(comparison.states())
        versions = [
            *observe_encoders(platform),
            *observe_serving_model(release_history(platform.store)),
        ]
        observed = [
            *versions,
            observe_catalogue(comparison, states),
            observe_states(platform, states),
        ]
        since = _wanted_since(context.cursor, versions)
        look = _look(context.instance, settings, comparison, states, since[1])
        context.log.info(look.reason)
        return dg.SensorResult(
            run_requests=look.requests,
            skip_reason=None if look.requests else look.reason,
            dynamic_partitions_requests=[
                *([titles.build_add_request(look.new)] if look.new else []),
                *([titles.build_delete_request(look.gone)] if look.gone else []),
                *model_changes(context.instance, platform.store),
            ],
            asset_events=list(unrecorded(context.instance, observed)),
            cursor=_CURSOR.dump_json(since).decode(),
        )

    return catalogue_sweep


def _look(
    instance: dg.DagsterInstance,
    settings: Settings,
    comparison: CatalogueComparison,
    states: list[TitleState],
    since: float,
) -> Look:
    """Compare, unless something else is to be waited for."""
    platform = comparison.platform
    backfills = backfills_under_way(instance)
    if backfills:
        return Look(f"Backfill {', '.join(backfills)} is under way.")
    asked_for = unfinished_runs(instance, NAME)
    room = settings.sensors.runs_per_tick - asked_for
    if room <= 0:
        return Look(_UNDER_WAY)
    plan = plan_refresh(platform, states)
    registered = list(instance.get_dynamic_partitions(TITLES))
    busy = titles_under_way(instance, registered)
    paused = paused_after_failures(instance, NAME, registered)
    left_alone = busy | paused.titles | _settling(settings, platform, plan)
    work, new = _to_do(plan, registered, left_alone)
    if work:
        left = since + settings.sensors.sweep_after_s - time.time()
        if settings.sensors.automation and left > 0:
            return Look(f"A version changed: automation has {left:.0f} s to see to it.")
        requests = list(_requests(settings, [*registered, *new], work))[:room]
        told = f"{plan.titles} titles lack something: {len(requests)} runs asked for."
        return Look(" ".join(filter(None, [told, plan.obstacle])), requests, new)
    if busy:
        return Look(f"Runs are under way for {len(busy)} titles.")
    if paused.titles:
        return Look(
            f"Run {paused.run_id} {paused.outcome}: {len(paused.titles)} titles are tried again, "
            f"the first in {paused.seconds:.0f} s."
        )
    if asked_for:  # it trains, or publishes
        return Look(_UNDER_WAY)
    known = {state.title_id for state in states}
    gone = [title_id for title_id in registered if title_id not in known]
    return _without_work(comparison, plan, states)._replace(gone=gone)


def _without_work(
    comparison: CatalogueComparison, plan: RefreshPlan, states: list[TitleState]
) -> Look:
    """What remains when no title needs work that can be done: a first model, or the readers."""
    platform = comparison.platform
    present = [state.title_id for state in states if state.state == "present"]
    if plan.waiting and platform.serving_model is None:
        config = training_config(release=True, reason="first model of the catalogue")
        request = dg.RunRequest(job_name=TRAIN_MODEL, run_config=config, tags=priority(REFRESH))
        return Look("Every title is embedded and no model serves: one is trained.", [request])
    if plan.waiting:
        return Look(f"{len(plan.waiting)} titles wait: {plan.obstacle}")
    if not present:
        return Look("The catalogue has no titles yet.")
    behind = unpublished(platform, present, comparison)
    waits_for = cut_over_waits_for(platform)
    if behind or waits_for == []:
        request = dg.RunRequest(job_name=PUBLISH_FEATURES, tags=priority(REFRESH))
        lack = f"{len(behind)} finished titles" if behind else f"{platform.serving_model}"
        return Look(f"Readers lack {lack}.", [request])
    if waits_for:
        named = ", ".join(waits_for[:_NAMED_TITLES])
        return Look(
            f"Readers keep the model before: {platform.serving_model} waits for {len(waits_for)} "
            f"of their titles: {named}."
        )
    return Look(f"All {len(present)} titles are up to date with {platform.serving_model}.")


def _settling(settings: Settings, platform: Platform, plan: RefreshPlan) -> set[str]:
    """Titles whose folders somebody may still be writing to."""
    if not any(assets[0] == "title" for assets in plan.work):
        return set()
    return set(arrivals(platform, taken_in(platform), settings.sensors.settle_s).settling)


def _to_do(
    plan: RefreshPlan, registered: list[str], busy: set[str]
) -> tuple[dict[tuple[str, ...], list[str]], list[str]]:
    """The plan's work on titles that are not busy, and those of them that are no partitions yet.

    A title that was never registered and has nothing is an arrival, and left to that sensor.
    """
    known = set(registered)
    work: dict[tuple[str, ...], list[str]] = {}
    new: list[str] = []
    for assets, title_ids in plan.work.items():
        arrived = assets[0] == "title"
        for title_id in title_ids:
            if title_id in busy or (arrived and title_id not in known):
                continue
            work.setdefault(assets, []).append(title_id)
            if title_id not in known:
                new.append(title_id)
    return work, new


def _requests(
    settings: Settings, registered: list[str], work: dict[tuple[str, ...], list[str]]
) -> Iterator[dg.RunRequest]:
    run = settings.run
    for assets, title_ids in work.items():
        size = run.refresh_titles_per_run if is_about_model(assets) else run.titles_per_run
        for titles_of_run in chunks(registered, set(title_ids), size):
            yield run_request(run, REFRESH_CATALOGUE, titles_of_run, priority(REFRESH), assets)


def _wanted_since(cursor: str | None, observed: list[dg.AssetObservation]) -> tuple[str, float]:
    """A digest of the wanted versions, and since when the sweep has known them.

    A lost cursor makes it wait once more, and nothing else.
    """
    now = digest_of(*(each.tags.get(DATA_VERSION, "") for each in observed))
    known, since = _CURSOR.validate_json(cursor) if cursor else ("", 0.0)
    clock = time.time()
    return now, min(since, clock) if known == now else clock
