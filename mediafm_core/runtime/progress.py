"""Progress of long work: one value for all consumers, and throttled log lines.

Long work reports `WorkProgress`. A terminal shows it as a bar
(`mediafm_core.cli.progress_display`); a pipe and Dagster's log get lines (`ProgressLines`).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST_OFTEN_S, LEAST_OFTEN_S = 5.0, 9.0  # between two lines; a line is due every ten seconds
_BEAT_S = 0.5
_LEAST_SHARE = 0.01  # of the work, before a time left is estimated
_LEAST_SECONDS = 2.0


@dataclass(frozen=True)
class WorkProgress:
    """State of some work at a moment.

    Attributes:
        doing: what is being done, such as "shots of big_buck_bunny 42 %".
        share: share of all the work that is done, 0 to 1; None where it is unknown.
        done: finished units.
        total: units of the whole work; None where it is unknown.
        unit: plural name of the units, such as "titles".
        rate: speed, formatted, such as "1.2 titles/min"; empty where it is unknown.
        seconds_left: estimated; None until it can be.
    """

    doing: str
    share: float | None = None
    done: int = 0
    total: int | None = None
    unit: str = ""
    rate: str = ""
    seconds_left: float | None = None

    @property
    def figures(self) -> list[str]:
        """Fraction, rate and time left, as far as they are known."""
        known = [] if self.share is None else [percent(self.share)]
        known += [self.rate] if self.rate else []
        left = round(self.seconds_left or 0.0)
        return known + ([f"{clock(left)} left"] if left else [])

    def line(self) -> str:
        """Format the state as one line of text."""
        count = [] if self.total is None else [f"{self.done:,} of {self.total:,} {self.unit}"]
        figures = ", ".join([*count, *self.figures])
        return f"{self.doing}: {figures}" if figures else self.doing


Show = Callable[[WorkProgress], None]
"""Called with the state of the work whenever it changes."""


_watching: list[Show] = []


@contextmanager
def watching_progress(notice: Show) -> Iterator[None]:
    """Call `notice` with every state of any work of this process that has lines of progress."""
    _watching.append(notice)
    try:
        yield
    finally:
        _watching.remove(notice)


class ProgressLines:
    """Throttled progress lines: neither too many, nor none for long.

    The first state is written at once, later ones at most every `MOST_OFTEN_S` seconds. If nothing
    changes for `LEAST_OFTEN_S` seconds, the last line is written again with the time since; `beat`
    does that, called from another thread (`beating`).

    Args:
        write: writes a line.
        quiet_s: seconds before the first line, so that short work has none.
        now: a monotonic clock, seconds.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        quiet_s: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._now = now
        self._quiet_until = now() + quiet_s
        self._lock = threading.Lock()
        self._latest: WorkProgress | None = None
        self._changed = 0.0  # when the latest state came
        self._written = ""
        self._written_at: float | None = None

    def show(self, progress: WorkProgress) -> None:
        """Take a new state, and write it if a line is due."""
        for notice in tuple(_watching):
            notice(progress)
        with self._lock:
            if progress != self._latest:
                self._latest, self._changed = progress, self._now()
            if self._is_due(MOST_OFTEN_S):
                self._write_latest()

    def beat(self) -> None:
        """Write the latest state if the last line is long ago, even if nothing has changed."""
        with self._lock:
            if not self._is_due(LEAST_OFTEN_S):
                return
            unchanged = self._now() - self._changed
            self._write_latest(f" (for {unchanged:.0f} s)" if unchanged >= LEAST_OFTEN_S else "")

    def finish(self, always: bool = True) -> None:
        """Write the last state unless it is written already.

        Args:
            always: also if nothing was written before.
        """
        with self._lock:
            if self._latest is None or (self._written_at is None and not always):
                return
            if self._latest.line() != self._written:
                self._write_latest()

    def _is_due(self, after_s: float) -> bool:
        if self._written_at is None:
            return self._now() >= self._quiet_until
        return self._now() - self._written_at >= after_s

    def _write_latest(self, suffix: str = "") -> None:
        if self._latest is not None:
            self._written, self._written_at = self._latest.line(), self._now()
            self._write(self._written + suffix)


@contextmanager
def beating(beat: Callable[[], None], every_s: float = _BEAT_S) -> Iterator[None]:
    """Call `beat` regularly from a thread while the block runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            beat()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def progress_lines(write: Callable[[str], None], quiet_s: float = 0.0) -> Iterator[ProgressLines]:
    """Yield progress lines that are also written while the block waits for something."""
    lines = ProgressLines(write, quiet_s)
    with beating(lines.beat):
        yield lines


def time_left(share: float, seconds: float) -> float | None:
    """Estimate the seconds left of work from the share done in `seconds`.

    None if it is too early, or nothing is left.
    """
    if not _LEAST_SHARE <= share < 1 or seconds < _LEAST_SECONDS:
        return None
    return seconds * (1 - share) / share


def rate(count: float, seconds: float, unit: str) -> str:
    """Format a speed, such as "2.5 steps/s" or "1.2 titles/min"; empty where there is none yet."""
    if count <= 0 or seconds < _LEAST_SECONDS:
        return ""
    each_second = count / seconds
    for per, factor in (("s", 1), ("min", 60)):
        if each_second * factor >= 1:
            return f"{each_second * factor:,.1f} {unit}/{per}"
    return f"{each_second * 3600:,.1f} {unit}/h"


def percent(share: float) -> str:
    """Format a share; only what is complete is 100 %."""
    return f"{100 if share >= 1 else int(100 * max(share, 0.0))} %"


def clock(seconds: float) -> str:
    """Format a span of time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
