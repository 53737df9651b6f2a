"""HTML page of a search's results with keyframes, which a browser opens from the disk."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.report.clip_page import ClipCard, ClipSection, clip_page, clock
from mediafm_core.search.clip_keyframes import keyframes_of
from mediafm_core.search.filters import Span, registered
from mediafm_core.store.store import Store

_SPAN = pa.schema([("title_id", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())])
_FACTS = ("similarity", "score", "meaning", "picture", "words")


def page_of(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    results: pa.Table,
    requests: Sequence[Span | str],
) -> str:
    """Render the results of a search as an HTML page.

    Args:
        connection: Connection from `open_features`.
        store: Store with the keyframes.
        results: Table from `similar`, `similar_many` or `search_text`.
        requests: Spans or texts that were searched for, in the order of their numbers.

    Raises:
        StoreError: The keyframes of a title are missing.
    """
    many = "query" in results.column_names
    numbers = results["query"].to_numpy() if many else np.zeros(results.num_rows, np.int64)
    facts = [
        [(name, f"{row[name]:.3f}") for name in _FACTS if row.get(name) is not None]
        for row in results.to_pylist()
    ]
    cards = [
        replace(card, clip_id=clip_id, facts=known)
        for card, clip_id, known in zip(
            _cards(connection, store, results.select(_SPAN.names)),
            results["clip_id"].to_pylist(),
            facts,
            strict=True,
        )
    ]
    spans = [query for query in requests if isinstance(query, Span)]
    queries = _cards(
        connection, store, pa.Table.from_pylist([span._asdict() for span in spans], _SPAN)
    )
    sections = []
    for number, query in enumerate(requests):
        own = [cards[row] for row in np.flatnonzero(numbers == number)]
        if isinstance(query, Span):
            sections.append(ClipSection(f"Like {_in_words(query)}", next(queries), own))
        else:
            sections.append(ClipSection(f"“{query}”", clips=own))
    (model,) = connection.execute("SELECT model_version FROM catalogue").fetchall()[0]
    return clip_page("Nearest clips" if spans else "Clips", model, sections)


def _cards(
    connection: duckdb.DuckDBPyConnection, store: Store, spans: pa.Table
) -> Iterator[ClipCard]:
    """Yield a card with keyframes and text for each row of `title_id, start_s, end_s`."""
    with registered(connection, "shown", spans.append_column("row", pa.array(range(len(spans))))):
        rows = connection.execute(
            "SELECT title_id, any_value(coalesce(nullif(titles.name, ''), title_id)) AS name, "
            "any_value(shown.start_s) AS start_s, any_value(shown.end_s) AS end_s, "
            r"coalesce(string_agg(trim(text), chr(10) ORDER BY shot_index) "
            r"FILTER (regexp_matches(text, '\S')), '') AS text "
            "FROM shown JOIN titles USING (title_id) LEFT JOIN shots ON "
            "shots.title_id = shown.title_id AND shots.start_s < shown.end_s "
            "AND shots.end_s > shown.start_s GROUP BY row, title_id ORDER BY row"
        ).fetchall()
    pictures = keyframes_of(store, spans)
    clips = pictures["clip"].to_numpy()
    for row, (title_id, name, start_s, end_s, text) in enumerate(rows):
        first, last = np.searchsorted(clips, [row, row + 1])
        own = pictures.slice(first, last - first)
        shown = list(zip(own["time_s"].to_pylist(), own["jpeg"].to_pylist(), strict=True))
        yield ClipCard(name, title_id, "", start_s, end_s, text, pictures=shown)


def _in_words(span: Span) -> str:
    return f"{span.title_id}, {clock(span.start_s)} to {clock(span.end_s)}"
