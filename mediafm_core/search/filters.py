"""Filters of a search: a condition in SQL, and the clips that overlap each query's own span."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import MediaFMError
from mediafm_core.queries.worker_pool import Parameters, QueryError, run
from mediafm_core.readable import shortened
from mediafm_core.search.clip_numbers import Clips
from mediafm_core.search.top_k import NOTHING, Candidates, concatenate
from mediafm_core.store.store import Store

_SHOWN = 60  # characters of a condition in an error


class Span(NamedTuple):
    """A part of a title, in seconds."""

    title_id: str
    start_s: float
    end_s: float


def matching_clips(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    clips: Clips,
    where: str | None,
    parameters: Parameters | None = None,
) -> np.ndarray:
    """Evaluate a condition in SQL on the clips, bool `[n]`.

    The condition runs on the catalogue's latest snapshot, in a process of its own with limits.

    Args:
        connection: Connection from `open_features`.
        store: Store of the same catalogue.
        clips: Clips of the same connection.
        where: Expression over the columns of `titles` and `clips`; None matches all clips.
        parameters: Values for its `?` or `$1` (a sequence) or `$name` (a mapping).

    Raises:
        MediaFMError: The condition is no boolean expression, names an unknown column, or exceeds a
            limit.
    """
    if where is None:
        return clips.shown
    try:
        matching = run("clips", where, store, parameters)
    except QueryError as error:
        raise MediaFMError(
            f"The condition {shortened(where, _SHOWN)!r} cannot be used ({error}): write one on "
            "the columns of titles and clips, as after WHERE."
        ) from None
    with (
        registered(connection, "numbered", numbered(clips)),
        registered(connection, "matching", matching),
    ):
        found = connection.sql(
            "SELECT number FROM numbered SEMI JOIN matching USING (title_id, clip_id)"
        ).to_arrow_table()
    allowed = np.zeros(len(clips), dtype=bool)
    allowed[found["number"].to_numpy()] = True
    return allowed & clips.shown


def overlapping_clips(clips: Clips, spans: Sequence[Span | None]) -> Candidates:
    """Return pairs of query and clip that overlap; a query whose span is None has no pairs."""
    starts, ends = (clips.table[name].to_numpy() for name in ("start_s", "end_s"))
    pairs = [NOTHING]
    for title_id in dict.fromkeys(span.title_id for span in spans if span is not None):
        own = np.flatnonzero(pc.equal(clips.table["title_id"], title_id).to_numpy())
        for query, span in enumerate(spans):
            if span is not None and span.title_id == title_id:
                rows = own[(starts[own] < span.end_s) & (ends[own] > span.start_s)]
                queries, none = np.full(len(rows), query), np.zeros(len(rows), np.float32)
                pairs.append(Candidates(queries, rows, none))
    return concatenate(*pairs)


def numbered(clips: Clips) -> pa.Table:
    """Return `title_id, clip_id, number`, a table for looking up clip numbers in SQL."""
    return clips.table.select(["title_id", "clip_id"]).append_column(
        "number", pa.array(np.arange(len(clips)))
    )


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Register a table under a name for queries inside the block."""
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)
