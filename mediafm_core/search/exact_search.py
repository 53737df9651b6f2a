"""Exact search: compares every clip with every query, a portion of the vectors at a time.

Each portion is compared by one matrix product in float32. Its rounding depends on the portion's
shape, so the product only selects the clips that may be among the best within a bound of the error.
Their cosines are summed again in float64, clip by clip. So the result depends neither on the
division into portions nor on the order of the vectors, and equal vectors have equal similarities.
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
    SearchLimits,
    best,
    concatenate,
    floors,
    positions_in_groups,
)

_QUERIES_AT_A_TIME = 256  # bounds the matrix of cosines of a portion
_ROWS_OF_A_GROUP = 16  # rows whose largest cosine is used for the first lower bound
_RESCORED_BYTES = 32 << 20  # bytes of float64 vectors that are rescored at a time


def nearest(
    portions: Iterable[Portion],
    queries: np.ndarray,
    limits: SearchLimits,
    clips: Clips,
    excluded: Candidates = NOTHING,
    threads: int = 0,
) -> Candidates:
    """Find the clips with the largest cosine with each query.

    Args:
        portions: Vectors of the clips to choose from, each clip once.
        queries: float32 `[q, h]` of unit length; a query of zeros has similarity 0 with all clips.
        limits: Number of clips to find.
        clips: Clips that the portions' rows refer to by number.
        excluded: Pairs of query and clip to leave out; their similarity is ignored.
        threads: Number of threads, see `Products`.

    Returns:
        Candidates by query and rank, in the order of `best`.
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
    return concatenate(NOTHING, *(group.finish() for group in groups))


class _Search:
    """The best clips so far for some queries, numbered from `first`."""

    def __init__(
        self,
        first: int,
        queries: np.ndarray,
        limits: SearchLimits,
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
        """Add the better clips of a portion."""
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
        """Return the best of all portions."""
        self._settle()
        return self._best._replace(query=self._best.query + self._first)

    def _settle(self) -> None:
        self._best = best(concatenate(self._best, *self._new), self._limits, self._clips)
        self._floors = floors(self._best, len(self._queries), self._limits)
        self._new.clear()

    def _leave_out(self, products: np.ndarray, rows: np.ndarray) -> None:
        """Set the similarity of excluded pairs below all others."""
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
        """Return positions in the portion and queries of pairs that may be among the best."""
        per_title, k = self._limits.per_title, self._limits.k
        floor = self._floors
        if per_title is None and floor.min() == BELOW_ALL:
            floor = np.maximum(floor, _reached(products, k))
        flat = np.flatnonzero(products >= floor - error)  # far faster than on two axes
        place, query = np.divmod(flat, products.shape[1])
        if per_title is None or not len(place):
            return place, query
        # Keep the clips of each title that may be among the best of the title.
        similarity = products[place, query]
        group = self._clips.title_groups(query, rows[place])
        order = np.lexsort((-similarity, group))
        place, query, similarity, group = (
            each[order] for each in (place, query, similarity, group)
        )
        starts = np.flatnonzero(positions_in_groups(group) == 0)
        lengths = np.diff(np.append(starts, len(group)))
        last = starts + np.minimum(per_title, lengths) - 1
        keep = similarity >= np.repeat(similarity[last], lengths) - error
        return place[keep], query[keep]


def _reached(products: np.ndarray, k: int) -> np.ndarray | np.float32:
    """Return a bound that at least `k` values of each column reach, `[q]`.

    It is the `k`-th largest of the maxima of groups of rows, which is fast to compute and close to
    the `k`-th largest value.
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
    """Compute the cosines of pairs, each summed by itself in float64, float32 `[pairs]`."""
    step = max(1, _RESCORED_BYTES // (16 * vectors.shape[1]))
    similarity = np.empty(len(place), dtype=np.float32)
    for start in range(0, len(place), step):
        part = slice(start, start + step)
        own = vectors[place[part]].astype(np.float64)
        similarity[part] = np.einsum("ij,ij->i", own, queries[query[part]])
    return similarity
