"""Half-open time intervals laid over the shots of a title, vectorised."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Indices = NDArray[np.int64]


class OverlappingPairs(NamedTuple):
    """Every pair of an interval and a shot that it touches, ordered by interval, then shot.

    Shapes are `[pairs]`. `seconds` is the length of the common part: zero for an interval without
    length, negative for an interval that lies outside all shots (paired with the nearest one).
    """

    interval: Indices
    shot: Indices
    seconds: Seconds

    def offsets(self) -> Indices:
        """Position of each interval's first pair, `[intervals]`."""
        return np.flatnonzero(np.diff(self.interval, prepend=-1))

    def shot_ranges(self) -> tuple[Indices, Indices]:
        """First and last (inclusive) shot of each interval, both `[intervals]`."""
        first = self.offsets()
        return self.shot[first], self.shot[np.append(first[1:], len(self.shot)) - 1]


def overlapping_pairs(
    starts: Seconds, ends: Seconds, shot_starts: Seconds, shot_ends: Seconds
) -> OverlappingPairs:
    """Pair each interval `[start, end)` with the shots it overlaps; at least one pair each.

    Args:
        starts: seconds, `[intervals]`, in any order.
        ends: seconds, `[intervals]`, none before its start.
        shot_starts: seconds, `[shots]`, ascending.
        shot_ends: seconds, `[shots]`; each is the next shot's start.
    """
    last_shot = len(shot_starts) - 1
    first = np.minimum(np.searchsorted(shot_ends, starts, side="right"), last_shot)  # [intervals]
    last = np.maximum(np.searchsorted(shot_starts, ends, side="left") - 1, first)  # [intervals]
    counts = last - first + 1
    interval = np.repeat(np.arange(len(starts)), counts)  # [pairs]
    position = np.arange(len(interval)) - np.repeat(np.cumsum(counts) - counts, counts)
    shot = first[interval] + position
    seconds = np.minimum(ends[interval], shot_ends[shot]) - np.maximum(
        starts[interval], shot_starts[shot]
    )
    return OverlappingPairs(interval, shot, seconds)
