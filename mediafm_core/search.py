"""Exact nearest clips: every clip of the catalogue is compared, in batches of bounded memory."""

from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.vectors import to_numpy

_BATCH_BYTES = 32 << 20  # vectors of one matrix product
_DUCKDB_VECTOR = 2048  # rows that DuckDB hands over at least

_CANDIDATES = pa.schema(
    [("title_id", pa.string()), ("clip_id", pa.string()), ("similarity", pa.float32())]
)
_ORDER = [("similarity", "descending"), ("title_id", "ascending"), ("clip_id", "ascending")]


class Span(NamedTuple):
    """A part of a title, in seconds."""

    title_id: str
    start_s: float
    end_s: float


def nearest_clips(
    connection: duckdb.DuckDBPyConnection, query: np.ndarray, k: int, exclude: Span | None = None
) -> pa.Table:
    """The clips of the largest cosine with a vector.

    Args:
        connection: to `features.duckdb`.
        query: `[h]` float32 of unit length.
        k: how many.
        exclude: leave out the clips that overlap this span.

    Returns:
        At most `k` rows, the nearest first: `rank` (from 1), `title_id`, `clip_id`, `start_s`,
        `end_s`, `proposed`, `similarity`. Ties are in the order of title and clip id; a vector of
        zeros has similarity 0.
    """
    span = exclude or Span("", 0.0, 0.0)  # no title's id is empty
    batches = connection.execute(
        "SELECT title_id, clip_id, embedding FROM clip_features "
        "ANTI JOIN (SELECT title_id, clip_id FROM clips WHERE title_id = $title_id "
        "AND start_s < $end_s AND end_s > $start_s) USING (title_id, clip_id)",
        span._asdict(),
    ).to_arrow_reader(max(_DUCKDB_VECTOR, _BATCH_BYTES // query.nbytes))
    nearest = _CANDIDATES.empty_table()
    for batch in batches:
        similarities = _cosines(to_numpy(batch["embedding"]), query)
        rows = pa.array(_largest(similarities, k))
        columns = [batch["title_id"], batch["clip_id"], pa.array(similarities)]
        found = pa.table([column.take(rows) for column in columns], schema=_CANDIDATES)
        nearest = pa.concat_tables([nearest, found]).sort_by(_ORDER).slice(0, k)
    ranks = pa.array(np.arange(1, nearest.num_rows + 1, dtype=np.int32))
    connection.register("nearest", nearest.append_column("rank", ranks))
    return connection.execute(
        "SELECT rank, title_id, clip_id, start_s, end_s, proposed, similarity "
        "FROM nearest JOIN clips USING (title_id, clip_id) ORDER BY rank"
    ).to_arrow_table()


def _cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosine of each row of `[n, h]` with a vector of unit length, `[n]`."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    products = vectors @ query
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` largest values, and of all equal to the k-th: names settle ties."""
    if len(values) <= k:
        return np.arange(len(values))
    return np.flatnonzero(values >= np.partition(values, -k)[-k])
