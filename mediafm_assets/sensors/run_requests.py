"""Run requests over titles: few and large, and none for titles that a run works on already."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg

from mediafm_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    RUN_KEY_TAG,
    SENSOR_NAME_TAG,
)
from mediafm_assets.partitions import range_tags
from mediafm_assets.resources.run_limits import max_runtime
from mediafm_assets.tags import INTERRUPTED_TAG
from mediafm_core.config.orchestration_settings import RunSettings
from mediafm_core.runtime.clock import is_ahead

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3600.0
_RUNS_READ = 100


def chunks(registered: Sequence[str], wanted: Collection[str], size: int) -> Iterator[list[str]]:
    """Yield ranges of at most `size` partitions that cover the wanted titles and no others.

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
    """Return the titles of runs that are queued or under way."""
    indices = {title_id: index for index, title_id in enumerate(registered)}
    busy: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        busy |= _titles_of(run, registered, indices)
    return busy


def _titles_of(
    run: dg.DagsterRun, registered: Sequence[str], indices: Mapping[str, int]
) -> set[str]:
    """Return the titles of a run."""
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG, "")
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG, "")
    if first in indices and last in indices:
        return set(registered[indices[first] : indices[last] + 1])
    return {run.tags.get(PARTITION_NAME_TAG, "")} & indices.keys()


def unfinished_runs(instance: dg.DagsterInstance, sensor: str) -> int:
    """Return the number of unfinished runs that a sensor has requested."""
    wanted = dg.RunsFilter(statuses=_UNFINISHED, tags={SENSOR_NAME_TAG: sensor})
    return instance.get_runs_count(wanted)


class Paused(NamedTuple):
    """Titles that wait before a retry, since their last runs have failed or were terminated.

    Attributes:
        titles: the titles.
        seconds: until the first of them is retried.
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
    """Return the titles whose last runs have failed, and which wait before they are retried.

    A title's own fault quarantines it. A run fails if the machine or the storage is at fault, and
    the next run would probably fail as well: each consecutive failure doubles the wait of the run's
    titles. Other titles do not wait. A run that a person has terminated, whether a sensor or a
    person has started it, counts like a failed one, or the same work would start again at once; a
    run that ended with its process does not count.
    """
    of_sensor = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            tags={SENSOR_NAME_TAG: sensor},
        ),
        limit=_RUNS_READ,
    )
    cancelled = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED]), limit=_RUNS_READ
    )
    terminated = [each for each in cancelled if INTERRUPTED_TAG not in each.dagster_run.tags]
    records = sorted([*of_sensor, *terminated], key=lambda each: each.storage_id, reverse=True)
    indices = {title_id: index for index, title_id in enumerate(registered)}
    failures: Counter[str] = Counter()
    last_end: dict[str, float] = {}
    settled: set[str] = set()
    for record in records:  # the latest first
        titles = _titles_of(record.dagster_run, registered, indices) - settled
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
        if _titles_of(each.dagster_run, registered, indices) & waiting.keys()
    )
    last = next(ended_badly, None)
    was_terminated = last and last.dagster_run.status == dg.DagsterRunStatus.CANCELED
    return Paused(
        frozenset(waiting),
        min(waiting.values(), default=0.0),
        last.dagster_run.run_id if last else "",
        "was terminated" if was_terminated else "failed",
    )


def has_been_requested(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Return True if a run with this key exists; Dagster drops a second one silently."""
    return instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY_TAG: run_key})) > 0


def run_request(
    settings: RunSettings,
    job: str,
    titles: Sequence[str],
    tags: Mapping[str, str],
    assets: Sequence[str],
    run_key: str | None = None,
) -> dg.RunRequest:
    """Return the request of a run over titles that are consecutive in the order of registration.

    Args:
        settings: limits of the run's hours.
        job: name of the job.
        titles: the range.
        tags: of the run.
        assets: assets of the job to materialise. From these, and not from the job, the condition
            that fires on updated dependencies sees that the run handles what depends on them.
        run_key: Dagster starts at most one run of a sensor for each key.
    """
    return dg.RunRequest(
        run_key=run_key,
        job_name=job,
        tags={**tags, **range_tags(titles), **max_runtime(settings, len(titles))},
        asset_selection=[dg.AssetKey(name) for name in assets],
    )
