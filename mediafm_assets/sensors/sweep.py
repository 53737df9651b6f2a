"""Sweep: a sensor that compares the recorded versions of all titles with the wanted ones.

An automation condition fires on changes that the daemon sees happen. The sweep reads the versions
recorded in the artefacts, so it does not depend on a daemon, a cursor or a run that was lost. It
requests runs for whatever is missing or stale, unless a run or backfill works on it already, and
records the serving model and the encoders, on whose changes the automation condition fires.
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
from mediafm_assets.assets.observations import unrecorded
from mediafm_assets.dagster_internals import DATA_VERSION_TAG, requested_backfills
from mediafm_assets.jobs.catalogue_jobs import PUBLISH_FEATURES, publish_features
from mediafm_assets.jobs.title_jobs import (
    REFRESH_CATALOGUE,
    TRAIN_MODEL,
    refresh_catalogue,
    train_model,
)
from mediafm_assets.partitions import TITLES, model_changes, titles
from mediafm_assets.resources.platform_resource import not_set_up, watching_platform
from mediafm_assets.sensors.run_requests import (
    chunks,
    paused_after_failures,
    run_request,
    titles_under_way,
    unfinished_runs,
)
from mediafm_assets.sensors.single_daemon import reason_to_stand_by
from mediafm_assets.tags import REFRESH_PRIORITY, priority
from mediafm_core.config.settings import Settings
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.cutover import cut_over_waits_for
from mediafm_core.pipeline.planning.arrivals import arrivals, ingested_fingerprints
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison, TitleState
from mediafm_core.pipeline.planning.refresh import RefreshPlan, is_about_model, plan_refresh
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import unpublished
from mediafm_core.pipeline.serving import release_history

NAME = "catalogue_sweep"
_CURSOR = TypeAdapter(tuple[str, float])  # digest of the wanted versions, known since
_UNDER_WAY = "The runs of earlier ticks are still under way."
_NAMED_TITLES = 5


class SweepResult(NamedTuple):
    """Result of comparing the catalogue.

    Attributes:
        reason: one sentence for the tick.
        requests: runs to request.
        new: titles to register as partitions first.
        gone: partitions of titles that are neither in the inbox nor in the store.
    """

    reason: str
    requests: Sequence[dg.RunRequest] = ()
    new: Sequence[str] = ()
    gone: Sequence[str] = ()


def sweep_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sweep with the intervals of the settings."""
    sensors = settings.sensors

    @dg.sensor(
        name=NAME,
        jobs=[refresh_catalogue, train_model, publish_features],
        minimum_interval_seconds=sensors.sweep_every_s,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if sensors.running else dg.DefaultSensorStatus.STOPPED
        ),
        description="Requests runs for missing or stale artefacts that no run works on.",
    )
    def catalogue_sweep(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if missing := not_set_up(settings):
            return dg.SkipReason(missing)
        platform = watching_platform()
        if reason := reason_to_stand_by(platform.store):
            return dg.SkipReason(reason)
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
        found = _compare(context.instance, settings, comparison, states, since[1])
        context.log.info(found.reason)
        return dg.SensorResult(
            run_requests=found.requests,
            skip_reason=None if found.requests else found.reason,
            dynamic_partitions_requests=[
                *([titles.build_add_request(found.new)] if found.new else []),
                *([titles.build_delete_request(found.gone)] if found.gone else []),
                *model_changes(context.instance, platform.store),
            ],
            asset_events=list(unrecorded(context.instance, observed)),
            cursor=_CURSOR.dump_json(since).decode(),
        )

    return catalogue_sweep


def _compare(
    instance: dg.DagsterInstance,
    settings: Settings,
    comparison: CatalogueComparison,
    states: list[TitleState],
    since: float,
) -> SweepResult:
    """Return the runs to request, or the reason why the sweep waits."""
    platform = comparison.platform
    backfills = requested_backfills(instance)
    if backfills:
        return SweepResult(f"Backfill {', '.join(backfills)} is under way.")
    unfinished = unfinished_runs(instance, NAME)
    room = settings.sensors.runs_per_tick - unfinished
    if room <= 0:
        return SweepResult(_UNDER_WAY)
    plan = plan_refresh(platform, states)
    registered = list(instance.get_dynamic_partitions(TITLES))
    busy = titles_under_way(instance, registered)
    paused = paused_after_failures(instance, NAME, registered)
    excluded = busy | paused.titles | _settling(settings, platform, plan)
    work, new = _to_do(plan, registered, excluded)
    if work:
        left = since + settings.sensors.sweep_after_s - time.time()
        if settings.sensors.automation and left > 0:
            return SweepResult(f"A version changed: automation has {left:.0f} s to request runs.")
        requests = list(_requests(settings, [*registered, *new], work))[:room]
        reason = f"{plan.titles} titles are incomplete: {len(requests)} runs requested."
        return SweepResult(" ".join(filter(None, [reason, plan.obstacle])), requests, new)
    if busy:
        return SweepResult(f"Runs over {len(busy)} titles are under way.")
    if paused.titles:
        return SweepResult(
            f"Run {paused.run_id} {paused.outcome}: {len(paused.titles)} titles are retried, "
            f"the first in {paused.seconds:.0f} s."
        )
    if unfinished:  # a run that trains or publishes
        return SweepResult(_UNDER_WAY)
    known = {state.title_id for state in states}
    gone = [title_id for title_id in registered if title_id not in known]
    return _without_work(comparison, plan, states)._replace(gone=gone)


def _without_work(
    comparison: CatalogueComparison, plan: RefreshPlan, states: list[TitleState]
) -> SweepResult:
    """Return what remains when no title needs a run: training a first model, or publishing."""
    platform = comparison.platform
    present = [state.title_id for state in states if state.state == "present"]
    if plan.waiting and platform.serving_model is None:
        config = training_config(release=True, reason="first model of the catalogue")
        request = dg.RunRequest(
            job_name=TRAIN_MODEL, run_config=config, tags=priority(REFRESH_PRIORITY)
        )
        return SweepResult(
            "Every title is embedded and there is no serving model: one is trained.", [request]
        )
    if plan.waiting:
        return SweepResult(f"{len(plan.waiting)} titles wait: {plan.obstacle}")
    if not present:
        return SweepResult("The catalogue has no titles yet.")
    behind = unpublished(platform, present, comparison)
    waits_for = cut_over_waits_for(platform)
    if behind or waits_for == []:
        request = dg.RunRequest(job_name=PUBLISH_FEATURES, tags=priority(REFRESH_PRIORITY))
        unseen = f"{len(behind)} finished titles" if behind else f"{platform.serving_model}"
        return SweepResult(f"To be published: {unseen}.", [request])
    if waits_for:
        named = ", ".join(waits_for[:_NAMED_TITLES])
        return SweepResult(
            f"Readers see the previous model: {platform.serving_model} waits for {len(waits_for)} "
            f"of their titles: {named}."
        )
    return SweepResult(f"All {len(present)} titles are up to date with {platform.serving_model}.")


def _settling(settings: Settings, platform: Platform, plan: RefreshPlan) -> set[str]:
    """Return the titles whose folders may still be written to."""
    if not any(assets[0] == "title" for assets in plan.work):
        return set()
    return set(
        arrivals(platform, ingested_fingerprints(platform), settings.sensors.settle_s).settling
    )


def _to_do(
    plan: RefreshPlan, registered: list[str], excluded: set[str]
) -> tuple[dict[tuple[str, ...], list[str]], list[str]]:
    """Return the plan's work on titles that are not excluded, and its titles without a partition.

    A title that was never registered and has no artefact is an arrival, for the inbox sensor.
    """
    known = set(registered)
    work: dict[tuple[str, ...], list[str]] = {}
    new: list[str] = []
    for assets, title_ids in plan.work.items():
        arrived = assets[0] == "title"
        for title_id in title_ids:
            if title_id in excluded or (arrived and title_id not in known):
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
            yield run_request(
                run, REFRESH_CATALOGUE, titles_of_run, priority(REFRESH_PRIORITY), assets
            )


def _wanted_since(cursor: str | None, observed: list[dg.AssetObservation]) -> tuple[str, float]:
    """Return a digest of the wanted versions, and the time at which the sweep first saw them.

    A lost cursor only makes the sweep wait once more.
    """
    now = digest_of(*(each.tags.get(DATA_VERSION_TAG, "") for each in observed))
    known, since = _CURSOR.validate_json(cursor) if cursor else ("", 0.0)
    clock = time.time()
    return now, min(since, clock) if known == now else clock
