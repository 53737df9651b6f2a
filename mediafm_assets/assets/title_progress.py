"""Progress of a step over titles in Dagster's log."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mediafm_assets.assets.title_events import MANY
from mediafm_core.pipeline.catalogue_progress import describe, recorded_length_s
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.progress import (
    ProgressLines,
    WorkProgress,
    progress_lines,
    rate,
    time_left,
)

_SHOWN = ("rows", "dimension", "reused", "duration_s", "clock_jumps", "pauses", "notes")


@contextmanager
def title_progress(
    log: Callable[[str], None], platform: Platform, asset: str, title_ids: Sequence[str]
) -> Iterator["TitleProgress"]:
    """Log the progress of an asset over titles while the block runs, at least every ten seconds.

    Args:
        log: writes a line to the run's log.
        platform: reports shares within a title.
        asset: the asset that is computed, or the first of several that one computation yields.
        title_ids: the titles.
    """
    with progress_lines(log) as lines:
        progress = TitleProgress(log, lines, asset, _lengths(platform, title_ids))
        with platform.also_reporting(progress.report):
            yield progress
        if len(title_ids) > MANY:
            lines.finish()


def _lengths(platform: Platform, title_ids: Sequence[str]) -> dict[str, float]:
    """Return the lengths of titles in seconds.

    For more than `MANY` titles all lengths are equal, since their records take long to read.
    """
    known = {
        title_id: length
        for title_id in (title_ids if len(title_ids) <= MANY else ())
        if (length := recorded_length_s(platform, title_id))
    }
    mean = sum(known.values()) / len(known) if known else 1.0
    return {title_id: known.get(title_id, mean) for title_id in title_ids}


class TitleProgress:
    """Progress of an asset: the titles that are done, and the share of the current one.

    Each title counts in proportion to its length.

    Args:
        log: writes a line to the run's log; a run over at most `MANY` titles writes one for each.
        lines: throttled lines.
        asset: name of the asset.
        lengths: of all titles, seconds.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        lines: ProgressLines,
        asset: str,
        lengths: Mapping[str, float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._lines = lines
        self._asset = asset
        self._lengths = lengths
        self._titles = len(lengths)
        self._whole = sum(lengths.values())
        self._now = now
        self._started = now()
        self._done = 0
        self._done_length = 0.0

    def report(self, title_id: str, asset: str, share: float) -> None:
        """Show the share of a title that is done (a callback of `Platform.progress`)."""
        if share < 1.0:
            self._show(describe(title_id, asset, share), title_id, share)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count a title as done."""
        self._done += 1
        self._done_length += self._lengths.get(outcomes[0].title_id, 0.0)
        if self._titles > MANY:
            self._show(self._asset)
            return
        for each in outcomes:
            details = each.record.details if each.record else {}
            shown = ", ".join(f"{name} {details[name]}" for name in _SHOWN if name in details)
            self._log(f"{each.title_id}: {each.asset} {each.explanation} {shown}".rstrip())

    def _show(self, doing: str, title_id: str = "", of_title: float = 0.0) -> None:
        seconds = self._now() - self._started
        done = self._done_length + of_title * self._lengths.get(title_id, 0.0)
        share = done / self._whole
        left = time_left(share, seconds)
        speed = rate(share * self._titles, seconds, "titles")
        self._lines.show(
            WorkProgress(doing, share, self._done, self._titles, "titles", speed, left)
        )
