"""Rows of a training set: labels joined with the catalogue, filtered and sorted."""

from collections.abc import Mapping

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import MediaFMError
from mediafm_core.queries.worker_pool import QueryError, run
from mediafm_core.readable import shortened
from mediafm_core.store.store import Store
from mediafm_core.training_sets.footer import SPLIT
from mediafm_core.training_sets.label_files import (
    LabelTable,
    require_no_split,
    require_times,
    sentence_part,
)
from mediafm_core.training_sets.splits import split_titles

_SHOWN = 60  # characters of a condition in an error message
_ORDER = ("title_id", "start_s", "end_s", "clip_id")


def find_examples(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    labels: LabelTable,
    where: str | None = None,
    skip_unknown: bool = False,
) -> tuple[pa.Table, int]:
    """Join labels with their clips or titles.

    Args:
        connection: Connection to the catalogue.
        store: Store of the catalogue.
        labels: Labels of clips or of spans.
        where: Condition in SQL on the columns of the result and of the catalogue's `titles`.
        skip_unknown: Leave out labels of unknown clips and titles instead of raising an error.

    Returns:
        A table and the number of labels that were left out as unknown. The table has `title_id,
        clip_id, start_s, end_s, proposed`, then the labels, sorted by title and time; `clip_id` and
        `proposed` are null for spans.

    Raises:
        MediaFMError: A clip or title is unknown, the condition cannot be used, or no row is left.
    """
    keys = labels.table.select(labels.keys)
    rows = pa.array(np.arange(keys.num_rows))
    connection.register("labelled", keys.append_column("row", rows))
    found = connection.sql(_FIND[labels.is_of_clips]).to_arrow_table()
    connection.unregister("labelled")
    known = found["known"].to_numpy()
    left_out = int(len(known) - known.sum())
    if left_out:
        _require_known(connection, labels, keys.filter(pc.invert(found["known"])), skip_unknown)
    places, kept = found.drop(["row", "known"]).filter(found["known"]), np.flatnonzero(known)
    labels = labels._replace(table=labels.table.take(pa.array(kept)))
    if labels.is_of_clips:
        require_times(labels, places)
    examples = places
    for name in labels.names:
        examples = examples.append_column(name, labels.table[name])
    if where is not None:
        examples = examples.filter(_matching(store, examples, where))
    return examples.sort_by([(name, "ascending") for name in _ORDER]), left_out


def with_splits(
    examples: pa.Table, labels: LabelTable, shares: Mapping[str, float], seed: int
) -> pa.Table:
    """Add the column `split`, and sort the rows by split.

    Raises:
        MediaFMError: The labels have such a column already, or there are fewer titles than splits.
    """
    require_no_split(labels)
    titles = examples["title_id"].combine_chunks().dictionary_encode()
    split_of = split_titles(titles.dictionary.to_pylist(), shares, seed)
    place_of = np.array(
        [list(shares).index(split_of[title]) for title in titles.dictionary.to_pylist()]
    )
    places = place_of[titles.indices.to_numpy()]  # [rows]
    order = np.argsort(places, kind="stable")
    names = pa.array(list(shares)).take(pa.array(places[order]))
    return examples.take(pa.array(order)).append_column(SPLIT, names)


_FIND = {
    True: """
        SELECT row, labelled.title_id, labelled.clip_id, start_s, end_s, proposed,
               clips.title_id IS NOT NULL AS known
        FROM labelled LEFT JOIN clips USING (title_id, clip_id) ORDER BY row
    """,
    False: """
        SELECT row, labelled.title_id, NULL::VARCHAR AS clip_id, start_s, end_s,
               NULL::BOOLEAN AS proposed, titles.title_id IS NOT NULL AS known
        FROM labelled LEFT JOIN titles USING (title_id) ORDER BY row
    """,
}


def _require_known(
    connection: duckdb.DuckDBPyConnection, labels: LabelTable, unknown: pa.Table, skip: bool
) -> None:
    """Refuse unknown clips or titles, unless they are left out (`skip`) and other rows remain."""
    if skip and unknown.num_rows < labels.table.num_rows:
        return
    connection.register("unknown", unknown)
    titles = connection.sql(
        "SELECT DISTINCT title_id FROM unknown ANTI JOIN titles USING (title_id) ORDER BY title_id"
    ).to_arrow_table()
    connection.unregister("unknown")
    of_titles = pc.is_in(unknown["title_id"], titles["title_id"].combine_chunks())
    clips = unknown.filter(pc.invert(of_titles))
    parts = []
    if titles.num_rows:
        plural = "s" if titles.num_rows > 1 else ""
        parts.append(f"{titles.num_rows} title{plural} ({sentence_part(titles)})")
    if clips.num_rows:
        plural = "s" if clips.num_rows > 1 else ""
        parts.append(f"{clips.num_rows} clip{plural} of titles it has ({sentence_part(clips)})")
    remedy = (
        "label clips that it has" if skip else "correct them, or leave them out with --skip-unknown"
    )
    raise MediaFMError(
        f"{labels.source}: {unknown.num_rows} of {labels.table.num_rows} rows are unknown to the "
        f"catalogue, of {' and '.join(parts)}: {remedy}."
    )


def _matching(store: Store, examples: pa.Table, where: str) -> pa.ChunkedArray:
    """Evaluate a condition on examples, as a mask, in a process of its own with limits.

    A label shadows a column of `titles` with the same name.
    """
    number = "_" * (1 + max(map(len, examples.column_names)))  # no column has this name
    rows = pa.array(np.arange(examples.num_rows))
    try:
        matching = run("examples", where, store, table=examples.append_column(number, rows))
    except QueryError as error:
        raise MediaFMError(
            f"The condition {shortened(where, _SHOWN)!r} cannot be used ({error}): correct it."
        ) from None
    found = matching.column(0)
    if not len(found):
        raise MediaFMError(
            f"None of {examples.num_rows} labelled clips fulfils {shortened(where, _SHOWN)!r}: "
            "relax the condition."
        )
    mask = np.zeros(examples.num_rows, dtype=bool)
    mask[found.to_numpy()] = True
    return pa.array(mask)
