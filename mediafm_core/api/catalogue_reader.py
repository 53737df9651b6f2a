"""Functions for readers of a catalogue: SQL queries, and vectors of any spans.

All functions read `features.duckdb`, which is complete and of one model version, and never wait for
a writer. Each call reads the snapshot that is published at that moment.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.queries.worker_pool import QueryError, run
from mediafm_core.runtime.device import resolve_device
from mediafm_core.store.features import has_earlier_tables, open_features
from mediafm_core.store.model_store import model_folder
from mediafm_core.store.open_store import open_store
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

if TYPE_CHECKING:
    from mediafm_core.clips.pooling import ClipSlice
    from mediafm_core.model.saved_model import LoadedModel


class SpanVector(NamedTuple):
    """Vector of a span, float32 `[h]`, with the model version and the mode that computed it."""

    vector: np.ndarray
    model: str
    mode: Literal["in_context", "alone", "prefix"]


def sql(
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    store: Path | S3Location | str | None = None,
) -> pa.Table:
    """Query the catalogue.

    The tables are described in `mediafm_core.store.features`. The query can only read them: it can
    neither write, nor attach a database, nor open a file or address, nor load an extension, nor
    call a function with such effects (`mediafm_core.queries.allowlist`). It runs in a process of
    its own with limits of memory and time (settings `queries`).

    Args:
        query: A SELECT in DuckDB's SQL.
        parameters: Values for `?` or `$1` (a sequence) or `$name` (a mapping).
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        The result. Vectors are `FixedSizeList<float32>[h]`, which `mediafm_core.vectors.to_numpy`
        views as a matrix.

    Raises:
        MediaFMError: The query fails, with DuckDB's reason, or exceeds a limit.
        StoreError: Nothing has been published in this store.
    """
    try:
        return run("sql", query, _store(store), parameters)
    except QueryError as error:
        raise MediaFMError(f"The query cannot run: {error}") from None


def embed(
    title: str,
    start_s: float,
    end_s: float,
    *,
    alone: bool = False,
    prefix: bool = False,
    look_back: int | None = None,
    store: Path | S3Location | str | None = None,
) -> np.ndarray:
    """Embed any span of a title.

    By default (in context), the stored contextual vectors of the shots that the span overlaps are
    pooled, weighted by seconds of overlap, as for the catalogue's clips; no model is loaded. With
    `alone`, the model first runs on those shots only, as if the rest of the title did not exist.
    With `prefix`, it runs on those shots and the shots before them, as if the title were a live
    stream that has reached the end of the span.

    Args:
        title: Title id.
        start_s: Start of the span in seconds; any moment, not only a shot's start.
        end_s: End of the span in seconds, exclusive.
        alone: Embed from the span's own shots only. This loads the model.
        prefix: Embed from the shots up to the span's end only. This loads the model.
        look_back: With `prefix`, number of shots that the model reads, including the span's; None
            takes the model's `max_shots`.
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        float32 `[h]`.

    Raises:
        MediaFMError: The title is unknown, the span is outside it, both `alone` and `prefix` are
            set, or the look-back is unusable, too short for the span or set without `prefix`.
        StoreError: Nothing has been published in this store; or (`alone`, `prefix`) the model or
            the title's fused embeddings are missing, or its shots differ from the published ones.
    """
    span = embed_span(
        title, start_s, end_s, alone=alone, prefix=prefix, look_back=look_back, store=store
    )
    return span.vector


def embed_span(
    title: str,
    start_s: float,
    end_s: float,
    *,
    alone: bool = False,
    prefix: bool = False,
    look_back: int | None = None,
    store: Path | S3Location | str | None = None,
) -> SpanVector:
    """Embed a span as `embed` does, and return the model version and the mode with the vector."""
    from mediafm_core.clips.pooling import clip_slice

    if alone and prefix:
        raise MediaFMError("A span is read alone or as a prefix, not both: request one of them.")
    if look_back is not None and not prefix:
        raise MediaFMError(f"The look-back of {look_back} is for a prefix: request one.")
    settings = load_settings(store=store)
    catalogue = open_store(settings)
    with catalogue_connection(catalogue) as connection:
        (model,) = connection.execute("SELECT model_version FROM catalogue").fetchall()[0]
        if not (alone or prefix):
            (vector,) = pool_in_context(connection, title, [(start_s, end_s)])
            return SpanVector(vector, model, "in_context")
        shots = _shots(connection, title)
    folder = model_folder(catalogue, model)
    if not folder.is_dir():
        raise StoreError(
            f"The published model {model} is gone from {catalogue.models}: copy it back "
            "or release another one."
        )
    span = clip_slice(shots, start_s, end_s)
    network = _network(folder, resolve_device(settings))
    vectors = _read_again(
        catalogue, settings, network, title, shots, span, prefix=prefix, look_back=look_back
    )
    return SpanVector(_pooled(vectors, span), model, "prefix" if prefix else "alone")


def embed_many(
    title: str,
    spans_s: Sequence[tuple[float, float]] | np.ndarray,
    *,
    store: Path | S3Location | str | None = None,
) -> np.ndarray:
    """Embed many spans of a title in context, each as `embed` does.

    The title's vectors are read once; no model is loaded. Spans may overlap and be in any order.

    Args:
        title: Title id.
        spans_s: `[k, 2]`, start and end (exclusive) of each span in seconds.
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        float32 `[k, h]`.

    Raises:
        MediaFMError: The title is unknown, or a span is outside it.
        StoreError: Nothing has been published in this store.
    """
    with catalogue_connection(_store(store)) as connection:
        return pool_in_context(connection, title, spans_s)


def scenes(title: str, *, store: Path | S3Location | str | None = None) -> pa.Table:
    """Return the scenes of a title, which partition it, in the order of time.

    They follow from the title's own vectors, without labels.

    Args:
        title: Title id.
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        `scene_index`, `start_s` and `end_s` (exclusive) in seconds, `first_shot`, `last_shot`,
        number of `shots`, and `start_probability` from 0 to 1. `to_pandas` makes a data frame.

    Raises:
        MediaFMError: The title is unknown.
        StoreError: Nothing has been published in this store, or an earlier version of MediaFM has,
            without scenes.
    """
    catalogue = _store(store)
    with catalogue_connection(catalogue) as connection:
        if has_earlier_tables(connection):
            raise StoreError(
                f"The features of {catalogue.location} are of an earlier version, without scenes: "
                "`mediafm run` publishes them again."
            )
        found = connection.sql(
            "SELECT scene_index, start_s, end_s, first_shot, last_shot, shots, start_probability "
            "FROM scenes WHERE title_id = ? ORDER BY scene_index",
            params=[title],
        ).to_arrow_table()
        if not found.num_rows:
            raise MediaFMError(_unknown_title(connection, title))
    return found


def pool_in_context(
    connection: duckdb.DuckDBPyConnection,
    title: str,
    spans_s: Sequence[tuple[float, float]] | np.ndarray,
) -> np.ndarray:
    """Pool the stored contextual vectors of each span's shots, `[k, h]`."""
    from mediafm_core.clips.pooling import pool, span_weights

    weights = span_weights(_shots(connection, title), spans_s)
    first, last = (weights.shot.min(), weights.shot.max()) if len(weights.shot) else (0, -1)
    vectors = connection.sql(
        "SELECT embedding FROM shots WHERE title_id = ? AND shot_index BETWEEN ? AND ? "
        "ORDER BY shot_index",
        params=[title, int(first), int(last)],
    ).to_arrow_table()["embedding"]
    return pool(to_numpy(vectors), weights._replace(shot=weights.shot - first))


def _shots(connection: duckdb.DuckDBPyConnection, title: str) -> pa.Table:
    """Read the times of a title's shots.

    Raises:
        MediaFMError: The title is unknown.
    """
    shots = connection.sql(
        "SELECT title_id, start_s, end_s FROM shots WHERE title_id = ? ORDER BY shot_index",
        params=[title],
    ).to_arrow_table()
    if not shots.num_rows:
        raise MediaFMError(_unknown_title(connection, title))
    return shots


def _unknown_title(connection: duckdb.DuckDBPyConnection, title: str) -> str:
    known = dict(
        connection.execute("SELECT title_id, name FROM titles ORDER BY title_id").fetchall()
    )
    if not known:
        return f"There is no title {title!r}, nor any other: ingest one first."
    by_word = {name.casefold(): title_id for title_id, name in known.items() if name}
    by_word |= {title_id: title_id for title_id in known}
    near = difflib.get_close_matches(title.casefold(), by_word, n=6)
    ids = list(dict.fromkeys(by_word[word] for word in near))[:3]
    if ids:
        return f"There is no title {title!r}: did you mean {' or '.join(ids)}?"
    return f'There is no title {title!r}: `mediafm sql "FROM titles"` lists them.'


def _read_again(
    store: Store,
    settings: Settings,
    model: "LoadedModel",
    title: str,
    shots: pa.Table,
    span: "ClipSlice",
    *,
    prefix: bool,
    look_back: int | None,
) -> np.ndarray:
    """Compute the vectors of a span's shots by a new pass of the model, `[n, h]`.

    The model reads the metadata of the whole title, so that these vectors differ from the
    contextual ones only by the other shots that the model reads.

    Raises:
        StoreError: The fused vectors are missing, or their shots differ from the published ones.
    """
    from mediafm_core.inference.streaming import embed_span_up_to
    from mediafm_core.inference.whole_title import embed_alone
    from mediafm_core.model.saved_model import check_compatible
    from mediafm_core.runtime.precision import vector_precision

    record = store.record("fused_embeddings", title)
    if record is None:
        raise StoreError(f"{title} has no fused_embeddings in {store.location}: run it again.")
    check_compatible(model, FusedSpace.from_record(record.details))
    fused = to_numpy(store.read("fused_embeddings", title)["embedding"])
    newest = store.read("shots", title)
    if len(fused) != len(shots) or any(
        not np.array_equal(newest[name].to_numpy(), shots[name].to_numpy())
        for name in ("start_s", "end_s")
    ):
        raise StoreError(
            f"{title} has been cut into other shots than the published ones: `mediafm run` "
            "publishes it, then try again."
        )
    metadata = to_numpy(store.read("title_metadata_embedding", title)["embedding"])[0]
    if prefix:
        return embed_span_up_to(
            model.network,
            fused,
            span.first,
            span.last + 1,
            metadata,
            look_back=look_back,
            title_id=title,
            precision=vector_precision(settings),
        )
    return embed_alone(
        model.network,
        fused[span.rows],
        metadata,
        title_id=title,
        precision=vector_precision(settings),
    ).shots


@lru_cache(maxsize=1)
def _network(folder: Path, device: str) -> "LoadedModel":
    """Load the model of a folder, whose name is its identity, once for many calls."""
    from mediafm_core.model.saved_model import load_model

    return load_model(folder, device)


def _pooled(vectors: np.ndarray, span: "ClipSlice") -> np.ndarray:
    """Pool `[n, h]` vectors of a span's shots as the catalogue's clips are pooled: `[h]`."""
    from mediafm_core.clips.pooling import pool

    return pool(vectors, span._replace(first=0, last=len(vectors) - 1).weights)[0]


def _store(folder: Path | S3Location | str | None) -> Store:
    return open_store(load_settings(store=folder))


@contextmanager
def catalogue_connection(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that can read the catalogue's tables and nothing else."""
    if not store.features.exists():
        raise store.without_features()
    with closing(open_features(store)) as connection:
        yield connection
