"""Progress of a run over titles: the share of all assets of all titles, with the current one's.

Assets differ in cost by orders of magnitude, and so do titles. Each asset of a title therefore
counts with the seconds that it is expected to take, from the title's length.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mediafm_core.pipeline.graph import FROM_MODEL, SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.progress import Show, WorkProgress, time_left

if TYPE_CHECKING:
    from mediafm_core.model.training.progress_events import Event, TrainingProgress

# CPU seconds for an hour of film at 640x360, measured on two cores of a Xeon with AMX. The decode
# counts as `shots`. Assets that are not listed take next to no time.
SECONDS_PER_HOUR: Mapping[str, float] = MappingProxyType(
    {"shots": 500.0, "audio_embeddings": 200.0, "video_embeddings": 100.0}
)
SECONDS_PER_ASSET = 0.1  # whatever the length: events, files
# To load the networks, once in a run.
SECONDS_TO_LOAD: Mapping[str, float] = MappingProxyType(
    {"shots": 4.0, "audio_embeddings": 6.0, "video_embeddings": 2.0, "text_embeddings": 2.0}
)
SECONDS_OF_TRAINING = 60.0  # of the first model, with the default settings
LAST = FROM_MODEL[-1]
_UNKNOWN_LENGTH_S = 60.0  # of a title while none has been read
_HOUR_S = 3600.0


class CatalogueProgress:
    """Progress of a run over titles, shown with each change.

    The time left is estimated from computed assets; assets that are up to date count as done and
    not for the speed.

    Args:
        title_ids: the titles of the run.
        show: called with every change.
        length_of: returns the length of a title in seconds, None where it is unknown; called once
            for each, when its asset `title` is finished.
        trains: True if the run also trains a first model.
        now: a monotonic clock, seconds.

    Attributes:
        complete: number of titles whose last asset was finished after all others.
    """

    def __init__(
        self,
        title_ids: Iterable[str],
        show: Show,
        length_of: Callable[[str], float | None] = lambda _title_id: None,
        trains: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._length_of = length_of
        self._now = now
        self._started: float | None = None  # when the first asset was begun
        self._unfinished = {title_id: set(SPECS) for title_id in title_ids}
        self._total = len(self._unfinished) * len(SPECS)
        self._lengths: dict[str, float] = {}
        self._to_load = dict(SECONDS_TO_LOAD)
        self._under_way: dict[tuple[str, str], float] = {}
        self._expected_s = 0.0  # of finished assets
        self._skipped_s = 0.0  # of those of them that were up to date
        self._finished = 0
        self.complete = 0
        self._highest = 0.0
        self._training_s = SECONDS_OF_TRAINING if trains else 0.0
        self._training: TrainingProgress | None = None

    def report(self, title_id: str, asset: str, share: float) -> None:
        """Record the share of an asset that is done: the callback `Platform.progress`.

        A share of 0: its computation begins. A share of 1: it is finished, which means computed,
        found up to date, or given up with its title.
        """
        unfinished = self._unfinished.get(title_id, set())
        if asset not in unfinished:
            return
        if asset in FROM_MODEL:
            self._end_training()
        self._started = self._now() if self._started is None else self._started
        if share < 1.0:
            self._under_way[title_id, asset] = share
        else:
            unfinished.remove(asset)
            self._finished += 1
            self.complete += asset == LAST and not unfinished
            if asset == "title":
                self._lengths[title_id] = self._length_of(title_id) or 0.0
            expected_s = self._expected(title_id, asset)
            if self._under_way.pop((title_id, asset), None) is None:
                self._skipped_s += expected_s
            else:
                expected_s += self._to_load.pop(asset, 0.0)
            self._expected_s += expected_s
        self.doing(describe(title_id, asset, share))

    def doing(self, what: str) -> None:
        """Show a description of work beside the assets of titles."""
        self._show(self._state(what))

    def training(self, event: "Event") -> None:
        """Show an event of the first model's training, with the progress of the training."""
        from mediafm_core.model.training.progress_events import TrainingProgress

        self._training = self._training or TrainingProgress()
        self._show(self._training.state(event))

    def _state(self, doing: str) -> WorkProgress:
        under_way_s = sum(
            share * self._expected(*place) for place, share in self._under_way.items()
        )
        done_s, film_s = self._expected_s + under_way_s, self._film_s()
        total_s = self._total_s(film_s)
        # Lengths become known on the way: the bar waits rather than going back.
        share = 1.0 if self._finished == self._total else min(1.0, done_s / total_s)
        self._highest = max(self._highest, share)
        computed = (done_s - self._skipped_s) / max(total_s - self._skipped_s, SECONDS_PER_ASSET)
        seconds = 0.0 if self._started is None else self._now() - self._started
        left = time_left(computed, seconds)
        return WorkProgress(
            doing,
            self._highest,
            self._finished,
            self._total,
            "assets",
            _speed(computed * film_s, seconds),
            left,
        )

    def _expected(self, title_id: str, asset: str) -> float:
        """Return the seconds that an asset of a title is expected to take."""
        length_s = self._lengths.get(title_id, 0.0)
        return SECONDS_PER_ASSET + SECONDS_PER_HOUR.get(asset, 0.0) * length_s / _HOUR_S

    def _film_s(self) -> float:
        """Return the length of all titles; unread ones count as the mean of the others."""
        known = sum(self._lengths.values())
        mean = known / len(self._lengths) if self._lengths else _UNKNOWN_LENGTH_S
        return known + mean * (len(self._unfinished) - len(self._lengths))

    def _total_s(self, film_s: float) -> float:
        of_films = sum(SECONDS_PER_HOUR.values()) * film_s / _HOUR_S
        once = sum(SECONDS_TO_LOAD.values()) + self._training_s
        return self._total * SECONDS_PER_ASSET + of_films + once

    def _end_training(self) -> None:
        if self._training is not None:
            self._training = None
            self._expected_s += self._training_s


def _speed(film_s: float, seconds: float) -> str:
    """Format seconds of film per second; empty before there are some."""
    if film_s < 1 or seconds < 1:
        return ""
    speed = film_s / seconds
    return f"{speed:,.{1 if speed >= 1 else 2}f}x real time"


def recorded_length_s(platform: Platform, title_id: str) -> float | None:
    """Return the length of a title in seconds from its asset `title`; None where it is unknown."""
    found = platform.store.json_record("title", title_id)
    return found[0].details["duration_s"] if found else None


def describe(title_id: str, asset: str, share: float) -> str:
    """Describe the share of an asset of a title that is done; the title comes last."""
    # A film is long: a tenth of a percent of two hours takes about as long as a person waits.
    done = f" {math.floor(1000 * share) / 10:.1f} %" if share < 1.0 else ""
    return f"{asset}{done} of {title_id}"
