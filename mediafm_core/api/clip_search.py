"""Functions for readers of a catalogue to find clips, by similarity to a span or by text.

Each function searches the snapshot that is published at that moment. A `Searcher` keeps the
snapshot of the moment when it was opened, and holds the vectors in memory.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mediafm_core.api.catalogue_reader import (
    catalogue_connection,
    pool_fused,
    pool_in_context,
)
from mediafm_core.clips.vector_choice import VectorChoice, chosen_vectors
from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.renamed import REMOVED_IN
from mediafm_core.search import clip_index
from mediafm_core.search.clip_numbers import clips_in
from mediafm_core.search.clip_vectors import HeldPrecision
from mediafm_core.search.filters import Span
from mediafm_core.search.results_page import page_of
from mediafm_core.search.searcher import ClipSearch, SearchRequest
from mediafm_core.search.text_queries import SearchMethod
from mediafm_core.store.features.indexes import IndexDescription
from mediafm_core.store.open_store import open_store

StoreLocation = Path | S3Location | str | None


class Searcher:
    """Search over a catalogue for many queries: vectors are read once and stay in memory.

        with mediafm.Searcher("store") as searcher:
            searcher.similar("sintel", 61.0, 74.5, k=5)
            searcher.nearest(vectors, per_title=1)

    It searches the snapshot that was published when it was opened. It is not thread-safe.

    Args:
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        precision: Precision of the vectors in memory; float16 halves the memory and changes
            similarities by about 1e-5. None holds no vectors: each search reads them from the
            store.
        by: Vectors that are compared: `context`; `fused`, the pooled vectors that the model reads,
            for the clips' own detail without context; or `both`, whose similarity is the mean of
            the two cosines.

    Every method takes these options:

        k: Number of clips for each query, 10 by default.
        where: Expression in SQL over the columns of `titles` and `clips`, such as
            `language = 'en' AND list_contains(tags, 'animation') AND start_s > 60`.
        parameters: Values for its `?` (a sequence) or `$name` (a mapping).
        per_title: Maximum number of clips of one title.
        diversity: 0 to 1, the penalty for clips that are similar to those above them (maximal
            marginal relevance over the 50 nearest, or five times `k`).
        exact: Compare every clip even where `mediafm index` has built an index. An index has
            contextual vectors only: with other vectors every clip is compared.
        fused_weight: With `both`, the weight w of the fused vectors, 0.5 by default: the similarity
            is `(1 - w) * contextual cosine + w * fused cosine`.

    Raises:
        StoreError: Nothing has been published in this store, or not every title's fused vectors,
            where they are compared.
    """

    def __init__(
        self,
        store: StoreLocation = None,
        *,
        precision: HeldPrecision | None = "float32",
        by: VectorChoice = "context",
    ) -> None:
        self._by: VectorChoice = by
        self._settings = load_settings(store=store)
        self._store = open_store(self._settings)
        with ExitStack() as stack:
            self._connection = stack.enter_context(catalogue_connection(self._store))
            self._search = ClipSearch(
                self._connection, self._store, precision, self._settings.threads, by
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory and close the files."""
        self._stack.close()
        del self._search

    @property
    def model(self) -> str:
        """Model version of the vectors."""
        return self._search.clips.model

    def nearest(self, queries: np.ndarray, **options: Any) -> pa.Table:
        """Find the clips nearest to vectors, by the cosine.

        Args:
            queries: `[q, h]`, vectors of this catalogue's model, for example from `embed`; `[q, f]`
                or `[q, h + f]` if fused vectors are compared, as `embed` returns them.
            options: Options of the class.

        Returns:
            A table with the columns of `similar_many`.
        """
        return self._search.nearest(queries, SearchRequest(**options))

    def similar(
        self,
        title: str,
        start_s: float,
        end_s: float,
        *,
        exclude_overlapping: bool = False,
        **options: Any,
    ) -> pa.Table:
        """Find the clips nearest to a span of a title; see `similar` of this module."""
        results = self.similar_many(
            [(title, start_s, end_s)], exclude_overlapping=exclude_overlapping, **options
        )
        return results.drop_columns("query")

    def similar_many(
        self,
        spans: Iterable[tuple[str, float, float]],
        *,
        exclude_overlapping: bool = False,
        **options: Any,
    ) -> pa.Table:
        """Find the clips nearest to each of several spans; see `similar_many` of this module."""
        parsed = [Span(*span) for span in spans]
        request = SearchRequest(**options)
        queries = np.zeros((len(parsed), sum(self._search.widths.values())), dtype=np.float32)
        for title in dict.fromkeys(span.title_id for span in parsed):
            own = [number for number, span in enumerate(parsed) if span.title_id == title]
            times = [(parsed[number].start_s, parsed[number].end_s) for number in own]
            queries[own] = self._vectors_of(title, times)
        return self._search.nearest(queries, request, parsed if exclude_overlapping else ())

    def _vectors_of(self, title: str, times: Sequence[tuple[float, float]]) -> np.ndarray:
        """Embed spans of a title in the compared vectors."""
        return chosen_vectors(
            self._by,
            lambda: pool_in_context(self._connection, title, times),
            lambda: pool_fused(self._connection, self._store, title, times),
        )

    def search_text(
        self, text: str, *, methods: Sequence[SearchMethod] | None = None, **options: Any
    ) -> pa.Table:
        """Find clips by text; see `search_text` of this module."""
        methods = _methods(methods, options)
        return self._search.by_text(text, SearchRequest(**options), self._settings, methods)

    def page(self, results: pa.Table, queries: Sequence[tuple[str, float, float] | str]) -> str:
        """Render results as an HTML page with keyframes, which needs no other file.

        Args:
            results: Table that a method of this object returned.
            queries: Spans or texts of the search, in the order of the results.

        Raises:
            StoreError: The keyframes of a title are missing.
        """
        parsed = [query if isinstance(query, str) else Span(*query) for query in queries]
        return page_of(self._connection, self._store, results, parsed)


def similar(
    title: str,
    start_s: float,
    end_s: float,
    *,
    exclude_overlapping: bool = False,
    by: VectorChoice = "context",
    store: StoreLocation = None,
    **options: Any,
) -> pa.Table:
    """Find the clips of the catalogue nearest to a span of a title.

    The span is embedded in context, as `embed` does, and compared by the cosine with every clip, in
    portions of bounded memory, or with the index that `mediafm index` has built. Fused vectors of
    span and clips can be compared instead or as well, where they are published (setting
    `publishing.fused_vectors`).

    Args:
        title: Title id.
        start_s: Start of the span in seconds; any moment, not only a shot's start.
        end_s: End of the span in seconds, exclusive.
        exclude_overlapping: Leave out the clips of the same title that overlap the span. By default
            they are included, so that the nearest clip to a clip is itself.
        by: `context`, `fused` or `both`; see `Searcher`.
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        options: `k`, `where`, `parameters`, `per_title`, `diversity`, `exact`, `fused_weight`; see
            `Searcher`.

    Returns:
        At most `k` rows, the nearest first: `rank` (from 1), `title_id`, `clip_id`, `start_s`,
        `end_s`, `proposed`, `similarity` (-1 to 1). Ties are in the order of title and clip id.
        With a diversity, rows are in the order in which they were chosen.

    Raises:
        MediaFMError: The title is unknown, the span is outside it, the condition cannot be used, or
            a number is out of range.
        StoreError: Nothing has been published in this store, or its index is damaged; or not every
            title's fused vectors are published, where they are compared.
    """
    with Searcher(store, precision=None, by=by) as searcher:
        return searcher.similar(
            title, start_s, end_s, exclude_overlapping=exclude_overlapping, **options
        )


def similar_many(
    spans: Iterable[tuple[str, float, float]],
    *,
    exclude_overlapping: bool = False,
    by: VectorChoice = "context",
    store: StoreLocation = None,
    **options: Any,
) -> pa.Table:
    """Find the clips nearest to each of several spans, as `similar` does for one.

    The vectors are read once for all spans.

    Args:
        spans: Title id, start and end in seconds of each span.
        exclude_overlapping: Leave out, for each span, the clips that overlap it.
        by: `context`, `fused` or `both`; see `Searcher`.
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        options: Options of `similar`.

    Returns:
        The rows of `similar`, with the number of the span, from 0, as first column `query`.
    """
    with Searcher(store, precision=None, by=by) as searcher:
        return searcher.similar_many(spans, exclude_overlapping=exclude_overlapping, **options)


def search_text(
    text: str,
    *,
    methods: Sequence[SearchMethod] | None = None,
    store: StoreLocation = None,
    **options: Any,
) -> pa.Table:
    """Find clips of the catalogue by text.

    Clips are found by the query's words in their timed text, by the meaning of their shots' text
    and, where the video encoder is open_clip, by the content of their pictures.
    `mediafm_core.search.text_queries` describes how the scores are combined.

    Args:
        text: Text to search for.
        methods: Some of `words`, `meaning` and `picture`; None takes all that the settings support.
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        options: `k`, `where`, `parameters`, `per_title`, `diversity`; see `Searcher`.

    Returns:
        At most `k` rows, the best first: `rank` (from 1), `title_id`, `clip_id`, `start_s`,
        `end_s`, `proposed`, `score` (comparable within one search only), and the parts of the
        score, null where a clip has none: `words` (BM25), `meaning` and `picture` (cosines).

    Raises:
        MediaFMError: The text is blank, a method is unknown, the condition cannot be used, or a
            number is out of range.
        ConfigurationError: An encoder cannot run here; other methods may be available.
        StoreError: Nothing has been published in this store.
    """
    methods = _methods(methods, options)
    with Searcher(store, precision=None) as searcher:
        return searcher.search_text(text, methods=methods, **options)


def build_index(
    store: StoreLocation = None, *, progress: Callable[[float], None] | None = None
) -> IndexDescription:
    """Build an index over the published clips, which searches use from then on.

    An existing index of exactly these clips is kept.

    Args:
        store: Folder or `s3://` address of the catalogue; None takes the setting.
        progress: Callback for the share of clips that is done.

    Raises:
        MediaFMError: The catalogue has no clips.
        StoreError: Nothing has been published in this store.
    """
    settings = load_settings(store=store)
    catalogue = open_store(settings)
    with catalogue_connection(catalogue) as connection:
        clips = clips_in(connection, catalogue)
    return clip_index.build_index(catalogue, clips, settings.threads, progress)


def _methods(
    methods: Sequence[SearchMethod] | None, options: dict[str, Any]
) -> Sequence[SearchMethod] | None:
    """Return the methods of a search, which may be given by their old name `ways`."""
    if "ways" not in options:
        return methods
    warnings.warn(
        f"search_text(ways=...) is now search_text(methods=...): the old name goes with version "
        f"{REMOVED_IN}.",
        DeprecationWarning,
        stacklevel=3,
    )
    return options.pop("ways")
