"""Vectors of examples, gathered into the rows of a matrix in a file.

The catalogue stores vectors in the order of publication, and a set has an order of its own, so each
batch is written to its rows. The matrix is in a file so that memory does not grow with it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.clips.pooling import pool, span_weights
from mediafm_core.errors import IdentityMismatchError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.store.features.snapshot import rows, snapshot_in
from mediafm_core.store.fused_vectors import fused_of_shots, fused_space
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

_BATCH_BYTES = 32 << 20
_DUCKDB_VECTOR = 2048  # minimum number of rows in a batch from DuckDB

RowProgress = Callable[[int], None]
"""Callback for the number of vectors that were written since the last call."""


class FileMatrix:
    """A float32 matrix in a file, which is mapped again for each access to free memory at once.

    Args:
        path: Path of the new file.
        shape: Shape of the matrix.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path = path
        self.shape = shape
        np.lib.format.open_memmap(path, "w+", np.float32, shape)

    def __setitem__(self, places: np.ndarray, vectors: np.ndarray) -> None:
        np.load(self._path, mmap_mode="r+")[places] = vectors

    def __getitem__(self, places: slice) -> np.ndarray:
        return np.array(np.load(self._path, mmap_mode="r")[places])


def gather_clips(
    connection: duckdb.DuckDBPyConnection,
    examples: pa.Table,
    matrix: FileMatrix,
    progress: RowProgress,
) -> None:
    """Copy the published vectors of the catalogue's clips.

    Args:
        connection: Connection to the catalogue.
        examples: `title_id, clip_id`, row by row of the matrix.
        matrix: `[rows, h]`, the target.
        progress: Callback after each batch.
    """
    keys = examples.select(["title_id", "clip_id"])
    # A temporary table has a known size, so that DuckDB builds the join's hash table from it.
    connection.register("keys", keys.append_column("row", pa.array(np.arange(keys.num_rows))))
    connection.execute("CREATE TEMP TABLE wanted AS FROM keys")
    connection.unregister("keys")
    batches = connection.sql(
        "SELECT row, embedding FROM clip_features JOIN wanted USING (title_id, clip_id)"
    ).to_arrow_reader(max(_DUCKDB_VECTOR, _BATCH_BYTES // (4 * matrix.shape[1])))
    for batch in batches:
        matrix[batch["row"].to_numpy()] = to_numpy(batch["embedding"])
        progress(batch.num_rows)


def gather_spans(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    examples: pa.Table,
    matrix: FileMatrix,
    progress: RowProgress,
) -> None:
    """Pool the contextual vectors of the shots of spans, as `mediafm_core.embed_many` does.

    Args:
        connection: Connection to the catalogue.
        store: Store of the catalogue.
        examples: `title_id, start_s, end_s`, row by row of the matrix.
        matrix: `[rows, h]`, the target.
        progress: Callback after each title.

    Raises:
        TitleError: A span reaches outside its title.
    """
    for shots, spans, places in _titles(connection, store, examples, matrix.shape[1]):
        matrix[places] = pool(to_numpy(shots["embedding"]), span_weights(shots, spans))
        progress(len(places))


def gather_fused(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    examples: pa.Table,
    create: Callable[[int], FileMatrix],
    progress: RowProgress,
) -> FusedSpace:
    """Pool the fused vectors of the shots of examples, which are the model's input.

    Args:
        connection: Connection to the catalogue.
        store: Store of the catalogue.
        examples: `title_id, start_s, end_s`, row by row of the matrix.
        create: Function that creates the matrix `[rows, width]` once the width is known.
        progress: Callback after each title.

    Returns:
        The space of the fused vectors.

    Raises:
        StoreError: A title's fused vectors are missing, or not of its published shots.
        IdentityMismatchError: Titles were embedded by different encoders.
        TitleError: A span reaches outside its title.
    """
    matrix: FileMatrix | None = None
    first, space = "", FusedSpace()
    for shots, spans, places in _titles(connection, store, examples):
        title_id = shots["title_id"][0].as_py()
        of_title, fused = fused_space(store, title_id), fused_of_shots(store, title_id, shots)
        if matrix is None:
            matrix, first, space = create(fused.shape[1]), title_id, of_title
        elif mismatch := space.mismatch(of_title):
            raise IdentityMismatchError(
                f"The fused vectors of {first} and {title_id} are incompatible ({mismatch}): "
                "`mediafm run` brings all titles to the settings' encoders."
            )
        matrix[places] = pool(fused, span_weights(shots, spans))
        progress(len(places))
    return space


def _titles(
    connection: duckdb.DuckDBPyConnection, store: Store, examples: pa.Table, width: int = 0
) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray]]:
    """Yield shots of each title of the examples, its spans `[k, 2]` and their rows `[k]`.

    The catalogue's shards are read one after the other. Each fits into memory.

    Args:
        connection: Connection to the catalogue.
        store: Store of the catalogue.
        examples: `title_id, start_s, end_s`.
        width: Width of the contextual vectors to read with the shots; 0 reads the times only.
    """
    titles = examples["title_id"].combine_chunks().dictionary_encode()
    names, codes = titles.dictionary, titles.indices.to_numpy()
    order = np.argsort(codes, kind="stable")  # rows, title by title
    stops = np.cumsum(np.bincount(codes, minlength=len(names)))
    rows_of = dict(zip(names.to_pylist(), np.split(order, stops[:-1]), strict=True))
    times = np.stack([examples[name].to_numpy() for name in ("start_s", "end_s")], axis=1)
    connection.register("names", pa.table({"title_id": names}))
    snapshot = snapshot_in(connection)
    sources = ["FROM shots"]
    if snapshot.is_sharded:
        shards = ([shard] for shard in snapshot.shards)
        sources = [rows(store.files, snapshot.model, "shots", each, local=True) for each in shards]
    vectors = f", embedding::FLOAT[{width}] AS embedding" if width else ""
    for source in sources:
        shots = connection.sql(
            f"SELECT title_id, start_s, end_s{vectors} FROM ({source}) "  # noqa: S608 - our own
            "SEMI JOIN names USING (title_id) ORDER BY title_id, shot_index"
        ).to_arrow_table()
        if not shots.num_rows:
            continue
        runs = shots["title_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        starts = np.flatnonzero(np.diff(runs, prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], len(runs)), strict=True):
            of_title = shots.slice(start, stop - start)
            places = rows_of[of_title["title_id"][0].as_py()]
            yield of_title, times[places], places
    connection.unregister("names")
