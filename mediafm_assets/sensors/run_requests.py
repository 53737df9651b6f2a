"""From titles that need work to Dagster runs: few, large, and none for what is under way."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from mediafm_assets.assets.partitions import PARTITION, RANGE_END, RANGE_START, range_tags
from mediafm_assets.resources.executor import INTERRUPTED
from mediafm_assets.resources.run_limits import max_runtime
from mediafm_core.config.orchestration_settings import RunSettings
from mediafm_core.runtime.clock import is_ahead

_SENSOR = "dagster/sensor_name"
_RUN_KEY = "dagster/run_key"

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3600.0
_RUNS_LOOKED_AT = 100


def chunks(registered: Sequence[str], wanted: Collection[str], size: int) -> Iterator[list[str]]:
    """Ranges of partitions, of at most `size` titles, that cover the wanted titles and no other.

    A Dagster run takes a range in the order of registration, so a title in between that is not
    wanted ends a range.
    """
    current: list[str] = []
    for title_id in registered:
        if title_id not in wanted or len(current) == size:
            if current:
                yield current
            current = []
        if title_id in wanted:
            current.append(title_id)
    if current:
        yield current


def titles_under_way(instance: dg.DagsterInstance, registered: Sequence[str]) -> set[str]:
    """Titles that a run works on or is queued for."""
    places = {title_id: place for place, title_id in enumerate(registered)}
    busy: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        busy |= _titles_of(run, registered, places)
    return busy


def _titles_of(
    run: dg.DagsterRun, registered: Sequence[str], places: Mapping[str, int]
) -> set[str]:
    """The titles that a run is over."""
    first, last = run.tags.get(RANGE_START, ""), run.tags.get(RANGE_END, "")
    if first in places and last in places:
        return set(registered[places[first] : places[last] + 1])
    return {run.tags.get(PARTITION, "")} & places.keys()


def unfinished_runs(instance: dg.DagsterInstance, sensor: str) -> int:
    """How many runs that a sensor has asked for are not finished."""
    return instance.get_runs_count(dg.RunsFilter(statuses=_UNFINISHED, tags={_SENSOR: sensor}))


def backfills_under_way(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the backfills that still ask for runs."""
    unfinished = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [backfill.backfill_id for backfill in instance.get_backfills(filters=unfinished)]


class Paused(NamedTuple):
    """Titles whose last runs have failed, or were terminated.

    Attributes:
        titles: they are not to be tried yet.
        seconds: until the first of them is.
        run_id: of the last of those runs.
        outcome: "failed" or "was terminated".
    """

    titles: frozenset[str]
    seconds: float
    run_id: str
    outcome: str


def paused_after_failures(
    instance: dg.DagsterInstance, sensor: str, registered: Sequence[str]
) -> Paused:
    """Return the titles that are left alone for a while since the last runs over them have failed.

    What a title is at fault for quarantines it. A run fails when the machine or the storage are at
    fault, which the next run would probably meet as well: each failure in a row doubles the pause
    of its titles. Others are not held up. A run that a person has terminated, whoever asked for it,
    counts like a failed one, or the same work would start again at once; one that ended with its
    process does not.
    """
    of_sensor = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            tags={_SENSOR: sensor},
        ),
        limit=_RUNS_LOOKED_AT,
    )
    cancelled = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED]), limit=_RUNS_LOOKED_AT
    )
    terminated = [each for each in cancelled if INTERRUPTED not in each.dagster_run.tags]
    records = sorted([*of_sensor, *terminated], key=lambda each: each.storage_id, reverse=True)
    places = {title_id: place for place, title_id in enumerate(registered)}
    failures: Counter[str] = Counter()
    last_end: dict[str, float] = {}
    settled: set[str] = set()
    for record in records:  # the latest first
        titles = _titles_of(record.dagster_run, registered, places) - settled
        if record.dagster_run.status == dg.DagsterRunStatus.SUCCESS:
            settled |= titles
            continue
        failures.update(titles)
        ended = record.end_time or record.update_timestamp.timestamp()
        for title_id in titles - last_end.keys():
            last_end[title_id] = ended
    now = time.time()
    left = {
        title_id: last_end[title_id]
        + min(_FIRST_PAUSE_S * 2 ** (count - 1), _LONGEST_PAUSE_S)
        - now
        for title_id, count in failures.items()
        if not is_ahead(last_end[title_id], now)  # then the next failure counts from now
    }
    waiting = {title_id: seconds for title_id, seconds in left.items() if seconds > 0}
    ended_badly = (
        each
        for each in records
        if _titles_of(each.dagster_run, registered, places) & waiting.keys()
    )
    last = next(ended_badly, None)
    was_terminated = last and last.dagster_run.status == dg.DagsterRunStatus.CANCELED
    return Paused(
        frozenset(waiting),
        min(waiting.values(), default=0.0),
        last.dagster_run.run_id if last else "",
        "was terminated" if was_terminated else "failed",
    )


def has_been_asked_for(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a run with this key exists: Dagster leaves out a second one, and says nothing."""
    return instance.get_runs_count(dg.RunsFilter(tags={_RUN_KEY: run_key})) > 0


def run_request(
    settings: RunSettings,
    job: str,
    titles: Sequence[str],
    tags: Mapping[str, str],
    assets: Sequence[str],
    run_key: str | None = None,
) -> dg.RunRequest:
    """Ask for a run over titles that follow each other in the order of registration.

    Args:
        settings: limit its hours.
        job: its name.
        titles: the range.
        tags: of the run.
        assets: of the job. The condition that fires on updated dependencies looks at these, not at
            the job, to see that a run has taken care of what depends on them.
        run_key: a sensor asks for a run with the same key only once.
    """
    return dg.RunRequest(
        run_key=run_key,
        job_name=job,
        tags={**tags, **range_tags(titles), **max_runtime(settings, len(titles))},
        asset_selection=[dg.AssetKey(name) for name in assets],
    )
