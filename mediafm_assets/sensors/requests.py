"""From titles that need work to Dagster runs: few, large, and none for what is under way."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from mediafm_assets.partitions import PARTITION, RANGE_END, RANGE_START, range_tags

_SENSOR = "dagster/sensor_name"

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3600.0
_RUNS_LOOKED_AT = 12


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
        first, last = run.tags.get(RANGE_START), run.tags.get(RANGE_END)
        if first in places and last in places:
            busy.update(registered[places[first] : places[last] + 1])
        elif PARTITION in run.tags:
            busy.add(run.tags[PARTITION])
    return busy


def unfinished_runs(instance: dg.DagsterInstance, sensor: str) -> int:
    """How many runs that a sensor has asked for are not finished."""
    return instance.get_runs_count(dg.RunsFilter(statuses=_UNFINISHED, tags={_SENSOR: sensor}))


def backfills_under_way(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the backfills that still ask for runs."""
    unfinished = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return [backfill.backfill_id for backfill in instance.get_backfills(filters=unfinished)]


def pause_after_failures(instance: dg.DagsterInstance, sensor: str) -> tuple[float, str]:
    """Seconds to wait, and the last run's id, where a sensor's last runs have failed.

    What a title is at fault for quarantines it and fails no run. A run fails when the machine, the
    storage or the settings are at fault, which the next run would meet as well: each failure
    doubles the pause. Zero where the last run did not fail.
    """
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            tags={_SENSOR: sensor},
        ),
        limit=_RUNS_LOOKED_AT,
    )
    failures = 0
    for record in records:  # the latest first
        if record.dagster_run.status != dg.DagsterRunStatus.FAILURE:
            break
        failures += 1
    if not failures:
        return 0.0, ""
    pause = min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S)
    ended = records[0].end_time or records[0].update_timestamp.timestamp()
    return max(0.0, ended + pause - time.time()), records[0].dagster_run.run_id


def run_request(
    job: str,
    titles: Sequence[str],
    tags: Mapping[str, str],
    assets: Sequence[str],
    run_key: str | None = None,
) -> dg.RunRequest:
    """Ask for a run over titles that follow each other in the order of registration.

    Args:
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
        tags={**tags, **range_tags(titles)},
        asset_selection=[dg.AssetKey(name) for name in assets],
    )
