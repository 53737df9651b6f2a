"""Exact search: every clip is compared with every query, a portion of the vectors at a time.

A portion is compared by one matrix product in float32. How it is rounded depends on the portion's
shape, so it only says which clips may be among the best: those within the bound of its error. Their
cosines are then summed again in float64, clip by clip. So the result depends neither on how the
vectors were divided nor on their order, and equal vectors have equal similarities.
"""

from collections.abc import Iterable

import numpy as np

from mediafm_core.search.clip_numbers import Clips
from mediafm_core.search.clip_vectors import Portion
from mediafm_core.search.matrix_products import Products
from mediafm_core.search.top_k import (
    BELOW_ALL,
    NOTHING,
    Candidates,
    Limits,
    best,
    floors,
    joined,
    places,
)

_QUERIES_AT_A_TIME = 256  # bounds the matrix of cosines beside a portion
_ROWS_OF_A_GROUP = 16  # whose largest cosine stands for them when the first bound is sought
_RESCORED_BYTES = 32 << 20  # of float64 at a time


def nearest(
    portions: Iterable[Portion],
    queries: np.ndarray,
    limits: Limits,
    clips: Clips,
    excluded: Candidates = NOTHING,
    threads: int = 0,
) -> Candidates:
    """The clips of the largest cosine with each query.

    Args:
        portions: vectors of the clips to choose from; each clip comes once.
        queries: float32 `[q, h]` of unit length; a query of zeros has similarity 0 with all.
        limits: how many.
        clips: what the portions' rows are numbers of.
        excluded: pairs of query and clip that do not count; their similarity is not looked at.
        threads: as of `Products`.

    Returns:
        By query and rank, as `best` orders them.
    """
    starts = range(0, len(queries), _QUERIES_AT_A_TIME)
    groups = [
        _Search(
            start, queries[start : start + _QUERIES_AT_A_TIME], limits, clips, excluded, threads
        )
        for start in starts
    ]
    for portion in portions:
        for group in groups:
            group.add(portion)
    return joined(NOTHING, *(group.finish() for group in groups))


class _Search:
    """The best clips so far for some queries, numbered from `first`."""

    def __init__(
        self,
        first: int,
        queries: np.ndarray,
        limits: Limits,
        clips: Clips,
        excluded: Candidates,
        threads: int,
    ) -> None:
        self._first = first
        self._limits = limits
        self._clips = clips
        self._queries = queries.astype(np.float64)  # [q, h]
        self._products = Products(queries, threads)
        own = (excluded.query >= first) & (excluded.query < first + len(queries))
        self._excluded = excluded.take(own)
        self._best, self._new = NOTHING, list[Candidates]()
        self._floors = np.full(len(queries), BELOW_ALL)

    def add(self, portion: Portion) -> None:
        """Look for better clips in a portion."""
        products = self._products.of(portion.vectors)  # [n, q]
        self._leave_out(products, portion.rows)
        error = self._products.error(portion.vectors)
        place, query = self._candidates(products, portion.rows, error)
        if len(place):
            similarity = cosines(portion.vectors, self._queries, place, query)
            self._new.append(Candidates(query, portion.rows[place], similarity))
            if sum(map(len, (new.row for new in self._new))) > len(self._queries):
                self._settle()

    def finish(self) -> Candidates:
        """The best of all portions."""
        self._settle()
        return self._best._replace(query=self._best.query + self._first)

    def _settle(self) -> None:
        self._best = best(joined(self._best, *self._new), self._limits, self._clips)
        self._floors = floors(self._best, len(self._queries), self._limits)
        self._new.clear()

    def _leave_out(self, products: np.ndarray, rows: np.ndarray) -> None:
        """Give the pairs that do not count a similarity below all."""
        if not len(self._excluded.row):
            return
        inside = (self._excluded.row >= rows[0]) & (self._excluded.row <= rows[-1])
        pairs = self._excluded.take(inside)
        place = np.searchsorted(rows, pairs.row)  # numbers ascend within a portion
        here = rows[place] == pairs.row
        products[place[here], pairs.query[here] - self._first] = -np.inf

    def _candidates(
        self, products: np.ndarray, rows: np.ndarray, error: np.float32
    ) -> tuple[np.ndarray, np.ndarray]:
        """Places in the portion, and queries, of what may be among the best."""
        per_title, k = self._limits.per_title, self._limits.k
        floor = self._floors
        if per_title is None and floor.min() == BELOW_ALL:
            floor = np.maximum(floor, _reached(products, k))
        found = np.flatnonzero(products >= floor - error)  # of the flat matrix: far quicker
        place, query = np.divmod(found, products.shape[1])
        if per_title is None or not len(place):
            return place, query
        # Of each title, what may be among its own best.
        similarity = products[place, query]
        group = self._clips.title_groups(query, rows[place])
        order = np.lexsort((-similarity, group))
        place, query, similarity, group = (
            each[order] for each in (place, query, similarity, group)
        )
        starts = np.flatnonzero(places(group) == 0)
        lengths = np.diff(np.append(starts, len(group)))
        last = starts + np.minimum(per_title, lengths) - 1
        keep = similarity >= np.repeat(similarity[last], lengths) - error
        return place[keep], query[keep]


def _reached(products: np.ndarray, k: int) -> np.ndarray | np.float32:
    """What at least `k` of the values in each column reach: `[q]`, close to their `k`-th largest.

    The maxima of groups of rows are values of the column too, and quickly found.
    """
    groups = len(products) // _ROWS_OF_A_GROUP
    if groups < k:
        return BELOW_ALL
    whole = products[: groups * _ROWS_OF_A_GROUP]
    maxima = whole.reshape(groups, _ROWS_OF_A_GROUP, -1).max(axis=1)  # [groups, q]
    return np.partition(maxima, -k, axis=0)[-k]


def cosines(
    vectors: np.ndarray, queries: np.ndarray, place: np.ndarray, query: np.ndarray
) -> np.ndarray:
    """Cosines of pairs, summed in float64 and each by itself: float32 `[pairs]`."""
    step = max(1, _RESCORED_BYTES // (16 * vectors.shape[1]))
    similarity = np.empty(len(place), dtype=np.float32)
    for start in range(0, len(place), step):
        part = slice(start, start + step)
        own = vectors[place[part]].astype(np.float64)
        similarity[part] = np.einsum("ij,ij->i", own, queries[query[part]])
    return similarity
