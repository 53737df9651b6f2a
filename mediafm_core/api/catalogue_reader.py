"""Functions for readers of a catalogue: SQL queries, and vectors of any spans.

All functions read `features.duckdb`, which is complete and of one model version, and never wait for
a writer. Each call reads the snapshot that is published at that moment.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from mediafm_core.api.fresh_vectors import embed_again
from mediafm_core.config.location import S3Location
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import IdentityMismatchError, MediaFMError, StoreError
from mediafm_core.queries.worker_pool import QueryError, run
from mediafm_core.store.features import has_earlier_tables, open_features
from mediafm_core.store.features.published_fused import require_fused
from mediafm_core.store.features.snapshot import snapshot_in
from mediafm_core.store.fused_vectors import fused_of_shots, fused_space
from mediafm_core.store.open_store import open_store
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

if TYPE_CHECKING:
    from mediafm_core.clips.vector_choice import VectorChoice


_ABOUT_FUSED = re.compile(r'column (named )?"fused"|\bfused_space\b')  # in an error of DuckDB


class SpanVector(NamedTuple):
    """Vector of a span, with its origin.

    Attributes:
        vector: float32 `[h]`, `[f]` or `[h + f]`, as of `embed`.
        model: the published model version, which computed the contextual part.
        mode: shots that the model read; "fused" where no contextual vector is included.
        ranges: columns `[start, stop)` of the parts, `context` and `fused`.
        encoders: identity of each modality's encoder; empty where no fused vector is included.
    """

    vector: np.ndarray
    model: str
    mode: Literal["in_context", "alone", "prefix", "fused"]
    ranges: dict[str, tuple[int, int]]
    encoders: dict[str, str]


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
        reason = str(error)
        if _ABOUT_FUSED.search(reason):
            reason = _fused_remedy(_store(store)) or reason
        raise MediaFMError(f"The query cannot run: {reason}") from None


def embed(
    title: str,
    start_s: float,
    end_s: float,
    *,
    alone: bool = False,
    prefix: bool = False,
    look_back: int | None = None,
    vectors: "VectorChoice" = "context",
    store: Path | S3Location | str | None = None,
) -> np.ndarray:
    """Embed any span of a title.

    By default (in context), the stored contextual vectors of the shots that the span overlaps are
    pooled, weighted by seconds of overlap, as for the catalogue's clips; no model is loaded. With
    `alone`, the model first runs on those shots only, as if the rest of the title did not exist.
    With `prefix`, it runs on those shots and the shots before them, as if the title were a live
    stream that has reached the end of the span.

    The fused vectors of the shots, which the model reads, have detail of the shots that the
    contextual vectors lose. They are pooled from the title's artefacts in the same way, whatever
    the setting `publishing.fused_vectors`.

    Args:
        title: Title id.
        start_s: Start of the span in seconds; any moment, not only a shot's start.
        end_s: End of the span in seconds, exclusive.
        alone: Embed from the span's own shots only. This loads the model.
        prefix: Embed from the shots up to the span's end only. This loads the model.
        look_back: With `prefix`, number of shots that the model reads, including the span's; None
            takes the model's `max_shots`.
        vectors: `context`, `fused`, or `both` side by side, the contextual one first; neither is
            scaled.
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        float32 `[h]`, `[f]` or `[h + f]`.

    Raises:
        MediaFMError: The title is unknown, the span is outside it, both `alone` and `prefix` are
            set, or the look-back is unusable, too short for the span or set without `prefix`; or
            `alone` or `prefix` is set for fused vectors only.
        StoreError: Nothing has been published in this store; or (`alone`, `prefix`, fused vectors)
            the model or the title's fused embeddings are missing, or its shots differ from the
            published ones.
        IdentityMismatchError: The title's fused vectors are of other encoders than the model, or
            than those of published clips.
    """
    span = embed_span(
        title,
        start_s,
        end_s,
        alone=alone,
        prefix=prefix,
        look_back=look_back,
        vectors=vectors,
        store=store,
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
    vectors: "VectorChoice" = "context",
    store: Path | S3Location | str | None = None,
) -> SpanVector:
    """Embed a span as `embed` does, and return its origin with the vector."""
    from mediafm_core.clips.vector_choice import parts_of

    parts = parts_of(vectors)

    if alone and prefix:
        raise MediaFMError("A span is read alone or as a prefix, not both: request one of them.")
    if look_back is not None and not prefix:
        raise MediaFMError(f"The look-back of {look_back} is for a prefix: request one.")
    if (alone or prefix) and "context" not in parts:
        raise MediaFMError(
            "A fused vector has no context, whatever the model reads: request it without alone and "
            "prefix, or both vectors."
        )
    settings = load_settings(store=store)
    catalogue = open_store(settings)
    with catalogue_connection(catalogue) as connection:
        (model,) = connection.execute("SELECT model_version FROM catalogue").fetchall()[0]
        found: dict[str, np.ndarray] = {}
        encoders: dict[str, str] = {}
        mode: Literal["in_context", "fused"] = "fused"
        if "context" in parts and not (alone or prefix):
            (found["context"],) = pool_in_context(connection, title, [(start_s, end_s)])
            mode = "in_context"
        if "fused" in parts:
            (found["fused"],) = pool_fused(connection, catalogue, title, [(start_s, end_s)])
            encoders = fused_space(catalogue, title).encoders
        shots = _shots(connection, title)
    if not (alone or prefix):
        return _span_vector(found, model, mode, encoders)
    found["context"] = embed_again(
        catalogue, settings, model, title, shots, (start_s, end_s), prefix, look_back
    )
    return _span_vector(found, model, "prefix" if prefix else "alone", encoders)


def _span_vector(
    found: Mapping[str, np.ndarray],
    model: str,
    mode: Literal["in_context", "alone", "prefix", "fused"],
    encoders: dict[str, str],
) -> SpanVector:
    """Join the parts of a span's vector, `context` before `fused`."""
    ordered = {name: found[name] for name in ("context", "fused") if name in found}
    stops = np.cumsum([len(vector) for vector in ordered.values()]).tolist()
    ranges = dict(zip(ordered, zip([0, *stops], stops, strict=False), strict=True))
    return SpanVector(np.concatenate(list(ordered.values())), model, mode, ranges, encoders)


def embed_many(
    title: str,
    spans_s: Sequence[tuple[float, float]] | np.ndarray,
    *,
    vectors: "VectorChoice" = "context",
    store: Path | S3Location | str | None = None,
) -> np.ndarray:
    """Embed many spans of a title in context, each as `embed` does.

    The title's vectors are read once; no model is loaded. Spans may overlap and be in any order.

    Args:
        title: Title id.
        spans_s: `[k, 2]`, start and end (exclusive) of each span in seconds.
        vectors: As of `embed`.
        store: Folder or `s3://` address of the catalogue; None takes the setting.

    Returns:
        float32 `[k, h]`, `[k, f]` or `[k, h + f]`.

    Raises:
        MediaFMError: The title is unknown, or a span is outside it.
        StoreError: Nothing has been published in this store; or (fused vectors) the title's are
            missing, or its shots differ from the published ones.
        IdentityMismatchError: They are of other encoders than those of published clips.
    """
    from mediafm_core.clips.vector_choice import chosen_vectors

    catalogue = _store(store)
    with catalogue_connection(catalogue) as connection:
        return chosen_vectors(
            vectors,
            lambda: pool_in_context(connection, title, spans_s),
            lambda: pool_fused(connection, catalogue, title, spans_s),
        )


def scenes_of(title: str, *, store: Path | S3Location | str | None = None) -> pa.Table:
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


def pool_fused(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    title: str,
    spans_s: Sequence[tuple[float, float]] | np.ndarray,
) -> np.ndarray:
    """Pool the stored fused vectors of each span's shots, `[k, f]`.

    Raises:
        IdentityMismatchError: the title was embedded by other encoders than the published clips.
        StoreError: the vectors are missing, or of other shots than the published ones.
    """
    from mediafm_core.clips.pooling import pool, span_weights

    published, space = snapshot_in(connection).space, fused_space(store, title)
    if published is not None and (mismatch := published.mismatch(space)):
        raise IdentityMismatchError(
            f"The fused vectors of {title} are incompatible with those of the published clips "
            f"({mismatch}): `mediafm run` brings all titles to the settings' encoders."
        )
    shots = _shots(connection, title)
    return pool(fused_of_shots(store, title, shots), span_weights(shots, spans_s))


def _fused_remedy(store: Store) -> str:
    """Return how to publish the fused vectors of clips; "" where they are published."""
    with catalogue_connection(store) as connection:
        try:
            require_fused(connection, store)
        except StoreError as error:
            return str(error)
    return ""


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


def _store(folder: Path | S3Location | str | None) -> Store:
    return open_store(load_settings(store=folder))


@contextmanager
def catalogue_connection(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection that can read the catalogue's tables and nothing else."""
    if not store.features.exists():
        raise store.without_features()
    with closing(open_features(store)) as connection:
        yield connection
