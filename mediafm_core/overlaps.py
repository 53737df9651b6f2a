"""Overlaps of half-open time intervals with the shots of a title, vectorised."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Indices = NDArray[np.int64]


class OverlappingPairs(NamedTuple):
    """All pairs of an interval and a shot that it overlaps, sorted by interval, then shot.

    Shapes are `[pairs]`. `seconds` is the length of the overlap: zero for an interval of length
    zero, negative for an interval outside all shots, which is paired with the nearest shot.
    """

    interval: Indices
    shot: Indices
    seconds: Seconds

    def offsets(self) -> Indices:
        """Return the index of each interval's first pair, `[intervals]`."""
        return np.flatnonzero(np.diff(self.interval, prepend=-1))

    def shot_ranges(self) -> tuple[Indices, Indices]:
        """Return the first and last (inclusive) shot of each interval, both `[intervals]`."""
        first = self.offsets()
        return self.shot[first], self.shot[np.append(first[1:], len(self.shot)) - 1]


def overlapping_pairs(
    starts: Seconds, ends: Seconds, shot_starts: Seconds, shot_ends: Seconds
) -> OverlappingPairs:
    """Pair each interval `[start, end)` with the shots it overlaps; each gets at least one pair.

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
