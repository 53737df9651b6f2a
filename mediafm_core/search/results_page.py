"""What a search found, as a page with pictures that a browser opens from the disk."""

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
    found: pa.Table,
    asked: Sequence[Span | str],
) -> str:
    """The page.

    Args:
        connection: from `open_features`.
        store: where the keyframes are.
        found: what `similar`, `similar_many` or `search_text` returned.
        asked: the queries in the order of their numbers, spans or texts.

    Raises:
        StoreError: the keyframes of a title are gone.
    """
    many = "query" in found.column_names
    numbers = found["query"].to_numpy() if many else np.zeros(found.num_rows, np.int64)
    facts = [
        [(name, f"{row[name]:.3f}") for name in _FACTS if row.get(name) is not None]
        for row in found.to_pylist()
    ]
    cards = [
        replace(card, clip_id=clip_id, facts=known)
        for card, clip_id, known in zip(
            _cards(connection, store, found.select(_SPAN.names)),
            found["clip_id"].to_pylist(),
            facts,
            strict=True,
        )
    ]
    spans = [query for query in asked if isinstance(query, Span)]
    queries = _cards(
        connection, store, pa.Table.from_pylist([span._asdict() for span in spans], _SPAN)
    )
    sections = []
    for number, query in enumerate(asked):
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
    """A card for each of `title_id, start_s, end_s`, with the text of its shots."""
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
