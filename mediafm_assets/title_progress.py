"""Progress of a step over titles in Dagster's log."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mediafm_core.pipeline.catalogue_progress import describe
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.pipeline.platform import Platform
from mediafm_core.progress import ProgressLines, WorkProgress, progress_lines, rate, time_left

# Storing an event takes Dagster about 8 ms in SQLite, and a picture half a second to draw. In a run
# over more titles than this, checks that pass are logged once for all, titles in `TitleProgress`
# alone, and pictures are left out: materialising one of the titles draws them, and computes
# nothing.
MANY = 50
_SHOWN = ("rows", "dimension", "reused", "duration_s")


@contextmanager
def title_progress(
    log: Callable[[str], None], platform: Platform, asset: str, titles: int
) -> Iterator["TitleProgress"]:
    """Log the progress of an asset over titles while the block runs, at least every ten seconds.

    Args:
        log: writes a line to the run's log.
        platform: reports shares within a title.
        asset: that is computed, or the first of several by one computation.
        titles: how many there are.
    """
    with progress_lines(log) as lines:
        progress = TitleProgress(log, lines, asset, titles)
        with platform.also_reporting(progress.report):
            yield progress
        if titles > MANY:
            lines.finish()


class TitleProgress:
    """Titles done of an asset, and the share of the one that is worked on.

    Args:
        log: writes a line to the run's log; each title of few gets one.
        lines: throttled lines.
        asset: as reported with the shares.
        titles: how many there are.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        lines: ProgressLines,
        asset: str,
        titles: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._lines = lines
        self._asset = asset
        self._titles = titles
        self._now = now
        self._started = now()
        self._done = 0

    def report(self, title_id: str, asset: str, share: float) -> None:
        """Take a share within a title: a callback of `Platform.progress`."""
        if share < 1.0:
            self._show(describe(title_id, asset, share), share)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count a title as done."""
        self._done += 1
        if self._titles > MANY:
            self._show(self._asset)
            return
        for each in outcomes:
            details = each.record.details if each.record else {}
            shown = ", ".join(f"{name} {details[name]}" for name in _SHOWN if name in details)
            self._log(f"{each.title_id}: {each.asset} {each.status} {shown}".rstrip())

    def _show(self, doing: str, of_title: float = 0.0) -> None:
        share, seconds = (self._done + of_title) / self._titles, self._now() - self._started
        left = time_left(share, seconds)
        speed = rate(self._done + of_title, seconds, "titles")
        self._lines.show(
            WorkProgress(doing, share, self._done, self._titles, "titles", speed, left)
        )
