"""Limits of runs: the longest run time, and a heartbeat of their progress.

A run keeps its place in the queue and its pool slots until it ends, so no run may last for ever.
Each run carries `dagster/max_runtime`, which Dagster's run monitoring enforces. While it works, it
also notes its progress in a tag that the UI hides: when its share, its count or its activity
changes. Run monitoring calls the launcher's health check, which ends a run without progress for
`run.stalled_s` seconds, whatever the cause (`mediafm_assets.resources.launcher`). A run that makes
progress, however slow, is not ended.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mediafm_assets.dagster_internals import MAX_RUNTIME_SECONDS_TAG
from mediafm_assets.tags import PROGRESS_TAG
from mediafm_core.config.orchestration_settings import RunSettings
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.runtime.progress import WorkProgress, watching_progress

_HOUR_S = 3600
_NOTES_PER_LIMIT = 6  # notes in the time after which a run counts as stalled
_LEAST_INTERVAL_S = 1.0


def max_runtime(run: RunSettings, titles: int | None = None) -> dict[str, str]:
    """Return the tag that limits a run over a number of titles; None: any other run."""
    hours = run.max_hours if titles is None else min(run.title_hours * titles, run.max_hours)
    return {MAX_RUNTIME_SECONDS_TAG: str(max(1, round(hours * _HOUR_S)))}


@contextmanager
def heartbeat(instance: dg.DagsterInstance, run_id: str, stalled_s: float) -> Iterator[None]:
    """Note on a run the time of its last progress, while the block runs.

    Args:
        instance: where the run is recorded.
        run_id: of the run.
        stalled_s: seconds without progress after which the run counts as stalled; progress is
            noted several times within them.
    """
    every_s = max(stalled_s / _NOTES_PER_LIMIT, _LEAST_INTERVAL_S)
    noted_at = -every_s
    latest: tuple[str, float | None, int] | None = None

    def note(progress: WorkProgress) -> None:
        nonlocal noted_at, latest
        state = (progress.doing, progress.share, progress.done)
        if state == latest:
            return
        latest = state
        now = time.monotonic()
        if now - noted_at >= every_s:
            noted_at = now
            instance.add_run_tags(run_id, {PROGRESS_TAG: f"{run_id} {time.time():.0f}"})

    with watching_progress(note):
        yield


def stalled_for(run: dg.DagsterRun, limit_s: float) -> float | None:
    """Return the seconds since a run's last progress if they exceed the limit; None otherwise.

    None as well for a run that has noted no progress yet, or that carries the note of the run that
    it retries: Dagster ends a start that takes too long, and `dagster/max_runtime` ends the others.
    """
    run_id, _, noted = run.tags.get(PROGRESS_TAG, "").partition(" ")
    if run_id != run.run_id or not noted.isdecimal():
        return None
    now = time.time()
    seconds = now - int(noted)
    return seconds if seconds > limit_s and not is_ahead(int(noted), now) else None
