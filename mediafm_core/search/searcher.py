"""Search for nearest clips, exact or with the index, with conditions, limits and diversity."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.clips.vector_choice import VectorChoice, parts_of
from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError
from mediafm_core.search.clip_index import ClipIndex, open_index
from mediafm_core.search.clip_numbers import clips_in
from mediafm_core.search.clip_vectors import (
    HeldPrecision,
    HeldVectors,
    StreamedVectors,
    Vectors,
    widths_of,
)
from mediafm_core.search.exact_search import nearest
from mediafm_core.search.filters import Parameters, Span, matching_clips, overlapping_clips
from mediafm_core.search.mmr import candidate_limits, choose_diverse
from mediafm_core.search.text_queries import (
    SEARCH_METHODS,
    SearchMethod,
    scores_by_method,
    total_scores,
)
from mediafm_core.search.top_k import (
    NOTHING,
    Candidates,
    SearchLimits,
    best,
    concatenate,
    positions_in_groups,
)
from mediafm_core.store.features.published_fused import require_fused
from mediafm_core.store.store import Store
from mediafm_core.vectors import unit_length


@dataclass(frozen=True)
class SearchRequest:
    """Options of a search.

    Attributes:
        k: Number of clips for each query.
        where: Expression in SQL over the columns of `titles` and `clips`.
        parameters: Values for its `?` (a sequence) or `$name` (a mapping).
        per_title: Maximum number of clips of one title.
        diversity: 0 returns the nearest clips; towards 1, clips similar to better ones rank lower.
        exact: Compare every clip even if there is an index.
        fused_weight: Weight of the fused vectors' cosine, 0 to 1, where both are compared; None
            takes 0.5.

    Raises:
        MediaFMError: A number is out of range.
    """

    k: int = 10
    where: str | None = None
    parameters: Parameters | None = None
    per_title: int | None = None
    diversity: float = 0.0
    exact: bool = False
    fused_weight: float | None = None

    def __post_init__(self) -> None:
        candidate_limits(self.limits, self.diversity)
        if self.fused_weight is not None and not 0 <= self.fused_weight <= 1:
            raise MediaFMError(
                f"The weight of fused vectors is {self.fused_weight:g}: take 0 to 1."
            )

    @property
    def limits(self) -> SearchLimits:
        """Number of clips to return."""
        return SearchLimits(self.k, self.per_title)


class ClipSearch:
    """Search over one snapshot of a catalogue.

    Args:
        connection: Connection from `open_features`, which each search uses.
        store: Store of the catalogue.
        hold: Precision of vectors held in memory; None reads the vectors again for each search.
        threads: Threads for the index and for float16; 0 takes all cores.
        by: Vectors that are compared: `context`, `fused`, or `both`, whose similarity is the
            weighted mean of the two cosines. The index has contextual vectors only: other searches
            are exact.

    Raises:
        StoreError: Fused vectors are compared and not every title has them.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        hold: HeldPrecision | None = None,
        threads: int = 0,
        by: VectorChoice = "context",
    ) -> None:
        if "fused" in parts_of(by):
            require_fused(connection, store)
        self.clips = clips_in(connection, store)
        self.widths = widths_of(self.clips, by)
        self._connection, self._store, self._threads = connection, store, threads
        self._vectors: Vectors = (
            HeldVectors(self.clips, hold, by) if hold else StreamedVectors(self.clips, by)
        )
        self._index: ClipIndex | None = None

    def nearest(
        self, queries: np.ndarray, request: SearchRequest, excluded: Sequence[Span | None] = ()
    ) -> pa.Table:
        """Find the clips with the largest cosine with each query.

        Args:
            queries: `[q, h]` (`[q, f]`, `[q, h + f]` where other vectors are compared) of any
                length; a query of zeros has similarity 0 with all clips.
            request: Options of the search.
            excluded: For each query, the span whose clips are left out.

        Returns:
            `query` (its number), `rank` (from 1), `title_id`, `clip_id`, `start_s`, `end_s`,
            `proposed`, `similarity`; by query and rank.

        Raises:
            MediaFMError: Vectors have another width or are not finite, or the condition cannot be
                used.
            StoreError: The index is damaged.
        """
        width = sum(self.widths.values())
        if queries.ndim != 2 or queries.shape[1] != width:
            raise MediaFMError(
                f"Queries have the shape {queries.shape}: clips of {self.clips.model} are compared "
                f"with [n, {width}]."
            )
        if not np.isfinite(queries).all():
            raise MediaFMError("A query has values that are not finite: give numbers.")
        queries = self._unit_parts(queries) * self._weights(request)
        allowed = self._allowed(request)
        left_out = NOTHING
        if any(span is not None for span in excluded):
            left_out = overlapping_clips(self.clips, excluded)
        limits = candidate_limits(request.limits, request.diversity)
        candidates = self._nearest(queries, limits, allowed, left_out, exact=request.exact)
        return self._as_table(self._diverse(candidates, request))

    def by_text(
        self,
        query: str,
        request: SearchRequest,
        settings: Settings,
        methods: Sequence[SearchMethod] | None = None,
    ) -> pa.Table:
        """Find clips by a text, with the methods of `mediafm_core.search.text_queries`.

        Args:
            query: Any text that is not blank.
            request: Options of the search; `exact` has no effect.
            settings: Settings with the encoders.
            methods: Some of `words`, `meaning` and `picture`; None takes all that are available.

        Returns:
            `rank`, `title_id`, `clip_id`, `start_s`, `end_s`, `proposed`, `score`, and the parts of
            the score, null where a clip has none: `words` (BM25), `meaning` and `picture`
            (cosines).
        """
        allowed = self._allowed(request)
        scores = scores_by_method(
            self._connection, self._store, settings, self.clips, allowed, query, methods
        )
        total = total_scores(scores)
        ranked = best(total, candidate_limits(request.limits, request.diversity), self.clips)
        if request.diversity and len(ranked.row):
            # Scaled to 1 for the best, as for cosines, so that a diversity has the same effect.
            relevance = ranked.similarity / max(ranked.similarity[0], np.float32(1e-6))
            ranked = self._diverse(ranked._replace(similarity=relevance), request)
        table = self._as_table(ranked).drop_columns(["query", "similarity"])
        columns = {"score": total.similarity[np.searchsorted(total.row, ranked.row)]}
        columns |= {
            method: scores[method][ranked.row] for method in SEARCH_METHODS if method in scores
        }
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values, from_pandas=True))
        return table

    def _unit_parts(self, vectors: np.ndarray) -> np.ndarray:
        """Scale each part of vectors, contextual and fused, to unit length by itself."""
        stops = np.cumsum(list(self.widths.values()))
        parts = np.split(vectors, stops[:-1], axis=1)
        return np.concatenate([unit_length(part) for part in parts], axis=1)

    def _weights(self, request: SearchRequest) -> np.ndarray:
        """Return the weight of each column's part in the similarity, float32 `[width]`."""
        if len(self.widths) == 1:
            if request.fused_weight is not None:
                raise MediaFMError(
                    f"The weight of fused vectors is {request.fused_weight:g}, and only one kind "
                    "of vector is compared: compare both, or leave the weight out."
                )
            return np.ones(1, np.float32)
        fused = 0.5 if request.fused_weight is None else request.fused_weight
        weights = np.array([1 - fused, fused], dtype=np.float32)
        return np.repeat(weights, list(self.widths.values()))

    def _allowed(self, request: SearchRequest) -> np.ndarray:
        """Return the clips that the condition matches, bool `[n]`."""
        return matching_clips(
            self._connection, self._store, self.clips, request.where, request.parameters
        )

    def _diverse(self, candidates: Candidates, request: SearchRequest) -> Candidates:
        """Choose diverse clips among the best candidates if a diversity is requested."""
        if not request.diversity:
            return candidates
        rows, back = np.unique(candidates.row, return_inverse=True)
        # With the roots, a product of two clips is the weighted mean of their cosines.
        vectors = self._take(rows)[back] * np.sqrt(self._weights(request))
        return candidates.take(choose_diverse(candidates, vectors, request.k, request.diversity))

    def _as_table(self, candidates: Candidates) -> pa.Table:
        """Return the clips of candidates, in their order, with the columns of `nearest`."""
        table = self.clips.table.take(candidates.row)
        rank = (positions_in_groups(candidates.query) + 1).astype(np.int32)
        for name, values in (("rank", rank), ("query", candidates.query)):
            table = table.add_column(0, name, pa.array(values))
        return table.append_column("similarity", pa.array(candidates.similarity))

    def _nearest(
        self,
        queries: np.ndarray,
        limits: SearchLimits,
        allowed: np.ndarray,
        left_out: Candidates,
        *,
        exact: bool,
    ) -> Candidates:
        """Search the index if there is one, and the clips that it does not cover exactly."""
        index = None if exact else self._opened_index()
        indexed = index.search(queries, limits, allowed, left_out) if index else None
        if index is None or indexed is None:
            portions = self._vectors.portions(allowed)
            return nearest(portions, queries, limits, self.clips, left_out, self._threads)
        portions = self._vectors.portions(allowed & ~index.covered)
        others = nearest(portions, queries, limits, self.clips, left_out, self._threads)
        return best(concatenate(indexed, others), limits, self.clips)

    def _opened_index(self) -> ClipIndex | None:
        if self._index is None and list(self.widths) == ["context"]:
            self._index = open_index(self._store, self.clips, self._threads)
        return self._index

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """Return vectors of clips, from an open index if possible, which is faster than shards."""
        if self._index is None or isinstance(self._vectors, HeldVectors):
            return self._vectors.take(rows)
        vectors = np.empty((len(rows), self.clips.dimension), dtype=np.float32)
        covered = self._index.covered[rows]
        vectors[covered] = self._index.take(rows[covered])
        vectors[~covered] = self._vectors.take(rows[~covered])
        return vectors
