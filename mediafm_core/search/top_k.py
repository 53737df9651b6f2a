"""Which of the candidates found so far are the best: for many queries at once, ties by name."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.search.clip_numbers import Clips

BELOW_ALL = np.float32(-2.0)  # no cosine is as small


class Candidates(NamedTuple):
    """Clips that may be among the best for a query, in three arrays of one length.

    Attributes:
        query: the query's number.
        row: the clip's number.
        similarity: float32; larger is better.
    """

    query: np.ndarray
    row: np.ndarray
    similarity: np.ndarray

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Some of them, by indices or a mask."""
        return Candidates(*(column[chosen] for column in self))


NOTHING = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def joined(*parts: Candidates) -> Candidates:
    """All of them in one."""
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Limits:
    """How many clips to find for a query.

    Attributes:
        k: at most so many.
        per_title: at most so many of one title; None sets no limit.

    Raises:
        MediaFMError: one of them is below 1.
    """

    k: int
    per_title: int | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise MediaFMError(f"k is {self.k}: ask for at least one clip.")
        if self.per_title is not None and self.per_title < 1:
            raise MediaFMError(
                f"The limit per title is {self.per_title}: take at least one clip of a title."
            )


def best(candidates: Candidates, limits: Limits, clips: Clips) -> Candidates:
    """The best of each query, by query and rank; equal ones in the order of title and clip id.

    The best of two sets are the best of what is best in each, also with a limit per title: a clip
    that is left out has better ones before it that fill the places, and these give way to better
    ones only.
    """
    ranked = np.lexsort((clips.order[candidates.row], -candidates.similarity, candidates.query))
    found = candidates.take(ranked)
    if limits.per_title is not None:
        within = places(clips.title_groups(found.query, found.row))
        found = found.take(within < limits.per_title)
    return found.take(places(found.query) < limits.k)


def floors(found: Candidates, queries: int, limits: Limits) -> np.ndarray:
    """The similarity that a clip must reach to be among the best, float32 `[queries]`.

    Args:
        found: as `best` returned them.
        queries: how many there are.
        limits: as for `best`.
    """
    counts = np.bincount(found.query, minlength=queries)
    last = np.cumsum(counts) - 1
    floor = np.full(queries, BELOW_ALL)
    full = counts == limits.k
    floor[full] = found.similarity[last[full]]
    return floor


def places(groups: np.ndarray) -> np.ndarray:
    """The place of each element among those of its group, from 0 in the order that they come in."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]][: len(groups)])
    lengths = np.diff(np.append(starts, len(groups)))
    place = np.empty(len(groups), dtype=np.int64)
    place[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return place
