"""HNSW index over the clips of a large catalogue: approximate search in logarithmic time.

Hierarchical navigable small worlds (Malkov and Yashunin 2016, arXiv:1603.09320), implemented by
usearch. The index holds the vectors in float16 and is memory-mapped.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.search.clip_numbers import Clips
from mediafm_core.search.clip_vectors import StreamedVectors
from mediafm_core.search.exact_search import cosines
from mediafm_core.search.top_k import Candidates, SearchLimits, best, concatenate
from mediafm_core.store.features.indexes import (
    IndexDescription,
    checksum_of,
    described,
    index_path,
    put_index,
)
from mediafm_core.store.store import Store
from mediafm_core.vectors import unit_length

logger = logging.getLogger(__name__)

CONNECTIVITY = 16  # neighbours of a node; twice as many on the lowest level
EXPANSION_ADD = 128  # nodes visited to insert one
EXPANSION_SEARCH = 128  # nodes visited by a search, at least
_SELECTIVE = 0.1  # below this share of allowed clips, search is exact
_MORE = 4  # factor on the number of candidates where too few of them are allowed
_MOST = 4096  # candidates of a query; beyond it, exact search is as fast
_VECTORS_AT_A_TIME = 8192  # candidates of all queries that are rescored together


class ClipIndex:
    """An index that covers some or all of a catalogue's clips.

    Args:
        store: Store of the catalogue.
        description: Description of the index.
        clips: Clips of the catalogue's current snapshot.
        threads: Threads of a search; 0 takes all cores.

    Raises:
        StoreError: The file is damaged.
    """

    def __init__(
        self, store: Store, description: IndexDescription, clips: Clips, threads: int = 0
    ) -> None:
        from usearch.index import Index

        self._clips, self._threads = clips, threads
        path = index_path(store, description)
        try:
            self._index: Any = Index.restore(path, view=True)
        except (ValueError, RuntimeError) as error:
            raise StoreError(
                f"The search index {path} cannot be read ({error}): rebuild it with "
                "`mediafm index`."
            ) from None
        self._rows = _current_rows(description, clips)
        self.covered = np.zeros(len(clips), dtype=bool)
        self.covered[self._rows[self._rows >= 0]] = True
        self._keys = np.zeros(len(clips), dtype=np.uint64)
        known = np.flatnonzero(self._rows >= 0)
        self._keys[self._rows[known]] = known

    def search(
        self, queries: np.ndarray, limits: SearchLimits, allowed: np.ndarray, excluded: Candidates
    ) -> Candidates | None:
        """Find the nearest allowed clips among those that the index covers.

        Args:
            queries: float32 `[q, h]` of unit length.
            limits: Number of clips to find.
            allowed: bool `[n]`, True for clips that may be found.
            excluded: Pairs of query and clip to leave out.

        Returns:
            Candidates by query and rank, whose similarities are exact for the float16 vectors. None
            where exact search is the better choice: few clips are allowed, or too few were found.
        """
        searchable = allowed & self.covered
        if searchable.sum() < _SELECTIVE * len(self._rows):
            return None
        width = len(self._clips)
        left_out = excluded.query * width + excluded.row
        count = limits.k + int(np.bincount(excluded.query).max(initial=0))
        least = min(limits.k, int(searchable.sum()))
        while count <= _MOST:
            step = max(1, _VECTORS_AT_A_TIME // count)
            candidates = concatenate(
                *(
                    self._candidates(queries, range(start, min(start + step, len(queries))), count)
                    for start in range(0, len(queries), step)
                )
            )
            keep = searchable[candidates.row]
            keep &= ~np.isin(candidates.query * width + candidates.row, left_out)
            ranked = best(candidates.take(keep), limits, self._clips)
            if np.bincount(ranked.query, minlength=len(queries)).min() >= least:
                return ranked
            count *= _MORE
        return None

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of clips that the index covers, float32 `[len(rows), h]`."""
        if not len(rows):
            return np.empty((0, self._index.ndim), dtype=np.float32)
        return unit_length(np.stack(self._index.get(self._keys[rows])))

    def _candidates(self, queries: np.ndarray, some: range, count: int) -> Candidates:
        """Find nodes near some of the queries, and compute their exact similarities."""
        self._index.expansion_search = max(EXPANSION_SEARCH, count)
        matches = self._index.search(queries[some.start : some.stop], count, threads=self._threads)
        # For a single query, usearch returns a vector with the keys that were found.
        keys = np.atleast_2d(matches.keys)
        counts = np.reshape(matches.counts if len(some) > 1 else len(matches), (-1, 1))
        query, place = np.nonzero(np.arange(keys.shape[1]) < counts)
        row = self._rows[keys[query, place].astype(np.int64)]
        query, row = query[row >= 0] + some.start, row[row >= 0]
        unique, back = np.unique(row, return_inverse=True)
        return Candidates(query, row, cosines(self.take(unique), queries, back, query))


def open_index(store: Store, clips: Clips, threads: int = 0) -> ClipIndex | None:
    """Open the index that covers most of the clips; return None where no index covers any.

    Raises:
        StoreError: The index is damaged.
    """
    coverage = [
        (int(clips.shown[rows[rows >= 0]].sum()), description)
        for description in described(store, clips.model)
        if description.dimension == clips.dimension
        for rows in (_current_rows(description, clips),)
    ]
    covered, description = max(coverage, key=lambda each: each[0], default=(0, None))
    if description is None or not covered:
        return None
    return ClipIndex(store, description, clips, threads)


def build_index(
    store: Store,
    clips: Clips,
    threads: int = 0,
    progress: Callable[[float], None] | None = None,
    connectivity: int = CONNECTIVITY,
    expansion_add: int = EXPANSION_ADD,
) -> IndexDescription:
    """Build an index over all clips of the catalogue, from the shards in portions.

    Memory holds the index itself (float16) and two portions. An undamaged index of exactly these
    shards is kept, and nothing is built.

    Args:
        store: Store of the catalogue.
        clips: Clips of the catalogue's current snapshot.
        threads: Threads that add vectors; 0 takes all cores.
        progress: Callback for the share of clips that is done.
        connectivity: Number of neighbours of a node.
        expansion_add: Number of nodes visited to insert one.

    Returns:
        Description of the index.

    Raises:
        MediaFMError: The catalogue has no clips.
    """
    from usearch.index import Index

    if not clips.shown.any():
        raise MediaFMError("The catalogue has no clips: there is nothing to index.")
    shards = tuple(shard.name for shard in clips.shards)
    rows = tuple(shard.rows for shard in clips.shards)
    with store.files.exclusive("index"), store.staging() as folder:
        new = IndexDescription(clips.model, clips.dimension, shards, rows, 0, 0)
        for present in described(store, clips.model):
            if present.name == new.name and _is_undamaged(store, present):
                return present
        index = Index(
            ndim=clips.dimension,
            metric="cos",
            dtype="f16",
            connectivity=connectivity,
            expansion_add=expansion_add,
        )
        # Superseded rows are left out, which does not change the keys of the others.
        for portion in StreamedVectors(clips).portions(clips.shown):
            index.add(portion.rows.astype(np.uint64), portion.vectors, threads=threads)
            if progress:
                progress(float(portion.rows[-1] + 1) / len(clips))
        prepared = folder / "index.usearch"
        index.save(prepared)
        size, checksum = checksum_of(prepared)
        description = IndexDescription(clips.model, clips.dimension, shards, rows, size, checksum)
        put_index(store, description, prepared)
    return description


def _is_undamaged(store: Store, description: IndexDescription) -> bool:
    try:
        index_path(store, description)
    except StoreError as error:
        logger.warning("%s", error)
        return False
    return True


def _current_rows(description: IndexDescription, clips: Clips) -> np.ndarray:
    """Return the current number of each indexed clip, by key; -1 where its shard is gone."""
    first = {shard.name: shard.first for shard in clips.shards}
    parts = [
        np.arange(rows) + first[name] if name in first else np.full(rows, -1)
        for name, rows in zip(description.shards, description.rows, strict=True)
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
