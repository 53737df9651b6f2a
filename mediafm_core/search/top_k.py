"""Selection of the best candidates for many queries at once; ties are broken by title and clip."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.search.clip_numbers import Clips

BELOW_ALL = np.float32(-2.0)  # below every cosine


class Candidates(NamedTuple):
    """Clips that may be among the best for a query, as three arrays of one length.

    Attributes:
        query: Number of the query.
        row: Number of the clip.
        similarity: float32, larger is better.
    """

    query: np.ndarray
    row: np.ndarray
    similarity: np.ndarray

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Select some of the candidates by indices or a mask."""
        return Candidates(*(column[chosen] for column in self))


NOTHING = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def concatenate(*parts: Candidates) -> Candidates:
    """Concatenate candidates."""
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class SearchLimits:
    """Number of clips to find for a query.

    Attributes:
        k: Maximum number of clips.
        per_title: Maximum number of clips of one title; None sets no limit.

    Raises:
        MediaFMError: A limit is below 1.
    """

    k: int
    per_title: int | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise MediaFMError(f"k is {self.k}: set at least 1.")
        if self.per_title is not None and self.per_title < 1:
            raise MediaFMError(f"The limit per title is {self.per_title}: set at least 1.")


def best(candidates: Candidates, limits: SearchLimits, clips: Clips) -> Candidates:
    """Select the best candidates of each query, by query and rank; ties by title and clip id.

    The best of two sets are the best of the best of each, also with a limit per title: better clips
    took the places of a clip that was left out, and only still better clips can replace those.
    """
    ranked = np.lexsort((clips.order[candidates.row], -candidates.similarity, candidates.query))
    sorted_candidates = candidates.take(ranked)
    if limits.per_title is not None:
        within = positions_in_groups(
            clips.title_groups(sorted_candidates.query, sorted_candidates.row)
        )
        sorted_candidates = sorted_candidates.take(within < limits.per_title)
    return sorted_candidates.take(positions_in_groups(sorted_candidates.query) < limits.k)


def floors(candidates: Candidates, queries: int, limits: SearchLimits) -> np.ndarray:
    """Return the similarity that a clip needs to be among the best, float32 `[queries]`.

    Args:
        candidates: Candidates from `best`.
        queries: Number of queries.
        limits: Limits that `best` was called with.
    """
    counts = np.bincount(candidates.query, minlength=queries)
    last = np.cumsum(counts) - 1
    floor = np.full(queries, BELOW_ALL)
    full = counts == limits.k
    floor[full] = candidates.similarity[last[full]]
    return floor


def positions_in_groups(groups: np.ndarray) -> np.ndarray:
    """Number the elements of each group from 0, in their order."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]][: len(groups)])
    lengths = np.diff(np.append(starts, len(groups)))
    place = np.empty(len(groups), dtype=np.int64)
    place[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return place
