"""What readers call to find clips: those like a span of a title, and those that words tell of.

Each call sees the catalogue as it is at that moment; a `Searcher` keeps what it saw when it was
opened, and the vectors in memory.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mediafm_core.api.catalogue_reader import in_context, reading
from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.search import clip_index
from mediafm_core.search.clip_numbers import clips_in
from mediafm_core.search.clip_vectors import Precision
from mediafm_core.search.filters import Span
from mediafm_core.search.results_page import page_of
from mediafm_core.search.searcher import ClipSearch, Wanted
from mediafm_core.search.text_queries import Way
from mediafm_core.store.features.indexes import IndexDescription
from mediafm_core.store.open_store import open_store

Place = Path | S3Location | str | None


class Searcher:
    """Searches a catalogue again and again: vectors are read once and stay in memory.

        with mediafm.Searcher("store") as searcher:
            searcher.similar("sintel", 61.0, 74.5, k=5)
            searcher.nearest(vectors, per_title=1)

    It goes on to see the catalogue as it was when it was opened. It is for one thread at a time.

    Args:
        store: folder or `s3://` address of the catalogue; None takes the settings'.
        precision: of the vectors in memory; float16 takes half of it, and similarities then differ
            by some 1e-5. None holds no vectors: each search reads them from the store.

    Every method takes these options:

        k: how many clips for each query, 10 unless said otherwise.
        where: an expression in SQL over the columns of `titles` and `clips`, such as
            `language = 'en' AND list_contains(tags, 'animation') AND start_s > 60`.
        parameters: values for its `?` (a sequence) or `$name` (a mapping).
        per_title: at most so many clips of one title.
        diversity: 0 to 1: how much a clip loses that is like those above it (maximal marginal
            relevance over the 50 nearest, or five times `k`).
        exact: compare every clip even where `mediafm index` has built an index.

    Raises:
        StoreError: nothing has been published in this store.
    """

    def __init__(self, store: Place = None, *, precision: Precision | None = "float32") -> None:
        self._settings = load_settings(store=store)
        self._store = open_store(self._settings)
        with ExitStack() as stack:
            self._connection = stack.enter_context(reading(self._store))
            self._search = ClipSearch(
                self._connection, self._store, precision, self._settings.threads
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the memory and the files."""
        self._stack.close()
        del self._search

    @property
    def model(self) -> str:
        """The model version of the vectors."""
        return self._search.clips.model

    def nearest(self, queries: np.ndarray, **options: Any) -> pa.Table:
        """The clips nearest to vectors, by the cosine.

        Args:
            queries: `[q, h]`, of this catalogue's model: from `embed` for instance.
            options: see the class.

        Returns:
            As `similar_many`.
        """
        return self._search.nearest(queries, Wanted(**options))

    def similar(
        self,
        title: str,
        start_s: float,
        end_s: float,
        *,
        exclude_overlapping: bool = False,
        **options: Any,
    ) -> pa.Table:
        """The clips nearest to a span of a title; see `similar` of this module."""
        found = self.similar_many(
            [(title, start_s, end_s)], exclude_overlapping=exclude_overlapping, **options
        )
        return found.drop_columns("query")

    def similar_many(
        self,
        spans: Iterable[tuple[str, float, float]],
        *,
        exclude_overlapping: bool = False,
        **options: Any,
    ) -> pa.Table:
        """The clips nearest to each of several spans; see `similar_many` of this module."""
        asked = [Span(*span) for span in spans]
        wanted = Wanted(**options)
        queries = np.zeros((len(asked), self._search.clips.dimension), dtype=np.float32)
        for title in dict.fromkeys(span.title_id for span in asked):
            own = [number for number, span in enumerate(asked) if span.title_id == title]
            times = [(asked[number].start_s, asked[number].end_s) for number in own]
            queries[own] = in_context(self._connection, title, times)
        return self._search.nearest(queries, wanted, asked if exclude_overlapping else ())

    def search_text(
        self, text: str, *, ways: Sequence[Way] | None = None, **options: Any
    ) -> pa.Table:
        """The clips that words tell of; see `search_text` of this module."""
        return self._search.by_text(text, Wanted(**options), self._settings, ways)

    def page(self, found: pa.Table, asked: Sequence[tuple[str, float, float] | str]) -> str:
        """What was found as an HTML page with pictures, which needs no other file.

        Args:
            found: what a method of this object returned.
            asked: the spans or texts that it was asked for.

        Raises:
            StoreError: the keyframes of a title are gone.
        """
        queries = [query if isinstance(query, str) else Span(*query) for query in asked]
        return page_of(self._connection, self._store, found, queries)


def similar(
    title: str,
    start_s: float,
    end_s: float,
    *,
    exclude_overlapping: bool = False,
    store: Place = None,
    **options: Any,
) -> pa.Table:
    """The clips of the catalogue nearest to a span of a title.

    The span is embedded in context, as `embed` does, and compared with every clip by the cosine,
    in portions of bounded memory; or through the index that `mediafm index` has built.

    Args:
        title: title id.
        start_s: start of the span in seconds; any moment, not only a shot's start.
        end_s: end of the span in seconds, exclusive.
        exclude_overlapping: leave out the clips of the same title that overlap the span. They are
            in by default, so that a clip's nearest is itself.
        store: folder or `s3://` address of the catalogue; None takes the settings'.
        options: `k`, `where`, `parameters`, `per_title`, `diversity`, `exact`; see `Searcher`.

    Returns:
        At most `k` rows, the nearest first: `rank` (from 1), `title_id`, `clip_id`, `start_s`,
        `end_s`, `proposed`, `similarity` (-1 to 1). Ties are in the order of title and clip id.
        With a diversity, in the order in which they were chosen.

    Raises:
        MediaFMError: an unknown title, a span outside it, a condition that cannot be used, or a
            number out of range.
        StoreError: nothing has been published in this store, or its index is damaged.
    """
    with Searcher(store, precision=None) as searcher:
        return searcher.similar(
            title, start_s, end_s, exclude_overlapping=exclude_overlapping, **options
        )


def similar_many(
    spans: Iterable[tuple[str, float, float]],
    *,
    exclude_overlapping: bool = False,
    store: Place = None,
    **options: Any,
) -> pa.Table:
    """The clips nearest to each of several spans, as `similar` finds them for one.

    The vectors are read once for all.

    Args:
        spans: title id, start and end in seconds of each.
        exclude_overlapping: leave out, for each span, the clips that overlap it.
        store: folder or `s3://` address of the catalogue; None takes the settings'.
        options: as for `similar`.

    Returns:
        The rows of `similar` with `query` before them, the number of the span from 0.
    """
    with Searcher(store, precision=None) as searcher:
        return searcher.similar_many(spans, exclude_overlapping=exclude_overlapping, **options)


def search_text(
    text: str, *, ways: Sequence[Way] | None = None, store: Place = None, **options: Any
) -> pa.Table:
    """The clips of the catalogue that words tell of.

    Clips are found by the query's words in their timed text, by what their shots' text means and,
    where the video encoder is open_clip, by what their pictures show;
    `mediafm_core.search.text_queries` says how these are put together.

    Args:
        text: what to search for.
        ways: of `words`, `meaning` and `picture`; None takes all that the settings offer.
        store: folder or `s3://` address of the catalogue; None takes the settings'.
        options: `k`, `where`, `parameters`, `per_title`, `diversity`; see `Searcher`.

    Returns:
        At most `k` rows, the best first: `rank` (from 1), `title_id`, `clip_id`, `start_s`,
        `end_s`, `proposed`, `score` (comparable within one search only), and what it comes from,
        null where a clip has none: `words` (BM25), `meaning` and `picture` (cosines).

    Raises:
        MediaFMError: a blank text, an unknown way, a condition that cannot be used, or a number out
            of range.
        ConfigurationError: an encoder cannot work here; others of the ways may.
        StoreError: nothing has been published in this store.
    """
    with Searcher(store, precision=None) as searcher:
        return searcher.search_text(text, ways=ways, **options)


def build_index(
    store: Place = None, *, progress: Callable[[float], None] | None = None
) -> IndexDescription:
    """Build an index over the clips that readers see; searches use it from then on.

    Where there is one of exactly these clips, nothing is done.

    Args:
        store: folder or `s3://` address of the catalogue; None takes the settings'.
        progress: told the share that is done.

    Raises:
        MediaFMError: there are no clips.
        StoreError: nothing has been published in this store.
    """
    settings = load_settings(store=store)
    catalogue = open_store(settings)
    with reading(catalogue) as connection:
        clips = clips_in(connection, catalogue)
    return clip_index.build_index(catalogue, clips, settings.threads, progress)
