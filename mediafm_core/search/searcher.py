"""Nearest clips: exact or through the index, with conditions, limits and diversity."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError
from mediafm_core.search.clip_index import ClipIndex, open_index
from mediafm_core.search.clip_numbers import clips_in
from mediafm_core.search.clip_vectors import HeldVectors, Precision, StreamedVectors, Vectors
from mediafm_core.search.exact_search import nearest
from mediafm_core.search.filters import Parameters, Span, chosen, overlapping
from mediafm_core.search.mmr import diverse, pool
from mediafm_core.search.text_queries import WAYS, Way, combined, scores
from mediafm_core.search.top_k import NOTHING, Candidates, Limits, best, joined, places
from mediafm_core.store.store import Store
from mediafm_core.vectors import unit_length


@dataclass(frozen=True)
class Wanted:
    """Which clips a search is to find.

    Attributes:
        k: how many for each query.
        where: an expression in SQL over the columns of `titles` and `clips`.
        parameters: values for its `?` (a sequence) or `$name` (a mapping).
        per_title: at most so many of one title.
        diversity: 0 takes the nearest; towards 1, clips that are alike count less and less.
        exact: compare every clip, also where there is an index.

    Raises:
        MediaFMError: a number that is out of range.
    """

    k: int = 10
    where: str | None = None
    parameters: Parameters | None = None
    per_title: int | None = None
    diversity: float = 0.0
    exact: bool = False

    def __post_init__(self) -> None:
        pool(self.limits, self.diversity)

    @property
    def limits(self) -> Limits:
        """How many clips are given."""
        return Limits(self.k, self.per_title)


class ClipSearch:
    """Searches one snapshot of a catalogue.

    Args:
        connection: from `open_features`; kept, and used by each search.
        store: the catalogue's store.
        hold: keep all vectors in memory, in this precision; None reads them anew for each search.
        threads: for the index and for float16; 0 takes all cores.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        hold: Precision | None = None,
        threads: int = 0,
    ) -> None:
        self.clips = clips_in(connection, store)
        self._connection, self._store, self._threads = connection, store, threads
        self._vectors: Vectors = (
            HeldVectors(self.clips, hold) if hold else StreamedVectors(self.clips)
        )
        self._index: ClipIndex | None = None

    def nearest(
        self, queries: np.ndarray, wanted: Wanted, excluded: Sequence[Span | None] = ()
    ) -> pa.Table:
        """The clips of the largest cosine with each query.

        Args:
            queries: `[q, h]` of any length; zeros are at 0 from all.
            wanted: which and how many.
            excluded: for each query, the span whose clips are left out.

        Returns:
            `query` (its number), `rank` (from 1), `title_id`, `clip_id`, `start_s`, `end_s`,
            `proposed`, `similarity`; by query and rank.

        Raises:
            MediaFMError: vectors of another width or that are not finite, or a condition that
                cannot be used.
            StoreError: the index is damaged.
        """
        if queries.ndim != 2 or queries.shape[1] != self.clips.dimension:
            raise MediaFMError(
                f"Queries have the shape {queries.shape}: clips of {self.clips.model} are compared "
                f"with [n, {self.clips.dimension}]."
            )
        if not np.isfinite(queries).all():
            raise MediaFMError("A query has values that are not finite: give numbers.")
        queries = unit_length(queries)
        allowed = self._allowed(wanted)
        left_out = NOTHING
        if any(span is not None for span in excluded):
            left_out = overlapping(self.clips, excluded)
        limits = pool(wanted.limits, wanted.diversity)
        found = self._found(queries, limits, allowed, left_out, exact=wanted.exact)
        return self._described(self._chosen(found, wanted))

    def by_text(
        self, query: str, wanted: Wanted, settings: Settings, ways: Sequence[Way] | None = None
    ) -> pa.Table:
        """The clips that fit a query in words; `mediafm_core.search.text_queries` says how.

        Args:
            query: any text but blank.
            wanted: which and how many; `exact` says nothing here.
            settings: name the encoders.
            ways: of `words`, `meaning` and `picture`; None takes all that there are.

        Returns:
            `rank`, `title_id`, `clip_id`, `start_s`, `end_s`, `proposed`, `score`, and what it
            comes from, null where a clip has none: `words` (BM25), `meaning` and `picture`
            (cosines).
        """
        allowed = self._allowed(wanted)
        found = scores(self._connection, self._store, settings, self.clips, allowed, query, ways)
        total = combined(found)
        ranked = best(total, pool(wanted.limits, wanted.diversity), self.clips)
        if wanted.diversity and len(ranked.row):
            # As cosines have: 1 for the best, so that a diversity means the same.
            relevance = ranked.similarity / max(ranked.similarity[0], np.float32(1e-6))
            ranked = self._chosen(ranked._replace(similarity=relevance), wanted)
        table = self._described(ranked).drop_columns(["query", "similarity"])
        columns = {"score": total.similarity[np.searchsorted(total.row, ranked.row)]}
        columns |= {way: found[way][ranked.row] for way in WAYS if way in found}
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values, from_pandas=True))
        return table

    def _allowed(self, wanted: Wanted) -> np.ndarray:
        """The clips that the condition holds for, bool `[n]`."""
        return chosen(self._connection, self._store, self.clips, wanted.where, wanted.parameters)

    def _chosen(self, found: Candidates, wanted: Wanted) -> Candidates:
        """Of the best candidates, those that are given: diverse ones where that is wanted."""
        if not wanted.diversity:
            return found
        rows, back = np.unique(found.row, return_inverse=True)
        vectors = self._take(rows)[back]
        return found.take(diverse(found, vectors, wanted.k, wanted.diversity))

    def _described(self, found: Candidates) -> pa.Table:
        """What is known of clips that were found, in their order; see `nearest`."""
        table = self.clips.table.take(found.row)
        rank = (places(found.query) + 1).astype(np.int32)
        for name, values in (("rank", rank), ("query", found.query)):
            table = table.add_column(0, name, pa.array(values))
        return table.append_column("similarity", pa.array(found.similarity))

    def _found(
        self,
        queries: np.ndarray,
        limits: Limits,
        allowed: np.ndarray,
        left_out: Candidates,
        *,
        exact: bool,
    ) -> Candidates:
        """The best by the index where there is one, and exact among what it does not cover."""
        index = None if exact else self._opened_index()
        indexed = index.search(queries, limits, allowed, left_out) if index else None
        if index is None or indexed is None:
            portions = self._vectors.portions(allowed)
            return nearest(portions, queries, limits, self.clips, left_out, self._threads)
        portions = self._vectors.portions(allowed & ~index.covered)
        others = nearest(portions, queries, limits, self.clips, left_out, self._threads)
        return best(joined(indexed, others), limits, self.clips)

    def _opened_index(self) -> ClipIndex | None:
        if self._index is None:
            self._index = open_index(self._store, self.clips, self._threads)
        return self._index

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of clips: from the index where it is open, which is quicker than from shards."""
        if self._index is None or isinstance(self._vectors, HeldVectors):
            return self._vectors.take(rows)
        vectors = np.empty((len(rows), self.clips.dimension), dtype=np.float32)
        covered = self._index.covered[rows]
        vectors[covered] = self._index.take(rows[covered])
        vectors[~covered] = self._vectors.take(rows[~covered])
        return vectors
