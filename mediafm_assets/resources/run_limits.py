"""Limits of runs: hours that they may take, and their progress as a heartbeat.

Runs take their places in the queue and their pool slots until they end, so none may last for ever.
Each carries `dagster/max_runtime`, which Dagster's run monitoring enforces. A run that has come to
work also notes its progress, in a tag that the UI hides: when its share, its count or what it does
changes. Run monitoring asks the launcher for the health of each run; one without progress for
`run.stalled_s` seconds is ended there (`mediafm_assets.resources.launcher`), whatever holds it up.
A run that goes on, however slowly, is not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mediafm_core.config.orchestration_settings import RunSettings
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.runtime.progress import WorkProgress, watching_progress

PROGRESS_TAG = ".dagster/mediafm_progress"
"""Seconds since the epoch at which a run has last come on, after its id."""
MAX_RUNTIME_TAG = "dagster/max_runtime"  # Dagster's own

_HOUR_S = 3600
_NOTED_IN_A_LIMIT = 6  # notes in the time after which a run counts as stalled
_MOST_OFTEN_S = 1.0


def max_runtime(run: RunSettings, titles: int | None = None) -> dict[str, str]:
    """Return the tag of a run over so many titles; None: of any other run."""
    hours = run.max_hours if titles is None else min(run.title_hours * titles, run.max_hours)
    return {MAX_RUNTIME_TAG: str(max(1, round(hours * _HOUR_S)))}


@contextmanager
def heartbeat(instance: dg.DagsterInstance, run_id: str, stalled_s: float) -> Iterator[None]:
    """Note on a run when it has last come on, while the block runs.

    Args:
        instance: where the run is recorded.
        run_id: of the run.
        stalled_s: after which it counts as stalled; it is noted several times as often.
    """
    every_s = max(stalled_s / _NOTED_IN_A_LIMIT, _MOST_OFTEN_S)
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
    """Return the seconds since a run's last progress where these are too many; None otherwise.

    A run that has noted none yet, or that repeats another one whose tags it was given, is not
    judged: Dagster ends a start that takes too long, and `dagster/max_runtime` all others.
    """
    run_id, _, noted = run.tags.get(PROGRESS_TAG, "").partition(" ")
    if run_id != run.run_id or not noted.isdecimal():
        return None
    now = time.time()
    seconds = now - int(noted)
    return seconds if seconds > limit_s and not is_ahead(int(noted), now) else None
