"""Text search over clips by three methods: keywords, text embeddings and picture embeddings.

    words      words of the query in the timed text, by BM25; available with every profile
    meaning    cosine of the query's vector by the text encoder with those of the shots' timed text
    picture    cosine of the query's vector with those of the shots' pictures, in the space that a
               video encoder shares with texts (open_clip)

A clip's score is the sum over the methods. The BM25 score is added unchanged: about 1 where a clip
contains all words. Cosines lie close together, so they are scaled linearly, from 0 for the mean of
all clips to 1 for the best; a clip without a cosine counts as the mean. Sums of ranks would lose
magnitudes, and let a clip that shares only an article with the query rank above a clip with its
meaning (Bruch, Gai and Ingber 2023, doi:10.1145/3596512, compare both).
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, get_args

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.base import JointEncoder
from mediafm_core.encoders.embed.embedding_table import EarlierVectors, input_digest
from mediafm_core.encoders.profiles import text_encoder, video_encoder
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.search.bm25 import scores_by_words
from mediafm_core.search.clip_numbers import Clips
from mediafm_core.search.filters import numbered, registered
from mediafm_core.search.top_k import Candidates
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy, unit_length

logger = logging.getLogger(__name__)

SearchMethod = Literal["words", "meaning", "picture"]
SEARCH_METHODS: tuple[SearchMethod, ...] = get_args(SearchMethod)

_TITLES_AT_A_TIME = 256
_SCORED = pa.schema(
    [("title_id", pa.string()), ("shot_index", pa.int32()), ("score", pa.float32())]
)


def scores_by_method(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    clips: Clips,
    allowed: np.ndarray,
    query: str,
    methods: Sequence[SearchMethod] | None = None,
) -> dict[SearchMethod, np.ndarray]:
    """Score clips for a text by each method.

    Args:
        connection: Connection from `open_features`.
        store: Store with the shots' vectors.
        settings: Settings with the encoders.
        clips: Clips of the connection.
        allowed: bool `[n]`, True for clips that may be found.
        query: Any text that is not blank.
        methods: Methods to use; None takes all that the settings' encoders support.

    Returns:
        float32 `[n]` for each method; NaN where a clip has no score, because it has no text, none
        of the words, or no vectors of the settings' encoder.

    Raises:
        MediaFMError: The query is blank, or a method is unknown.
        ConfigurationError: An encoder cannot run here, or the video encoder embeds no texts.
    """
    if not query.strip():
        raise MediaFMError("The text to search for is blank: give at least one word.")
    titles = pc.unique(clips.table["title_id"].filter(pa.array(allowed))).sort().to_pylist()
    scores: dict[SearchMethod, np.ndarray] = {}
    with registered(connection, "numbered", numbered(clips)):
        for method in _check_methods(settings, methods):
            if method == "words":
                table = scores_by_words(connection, query)
            else:
                measure = _by_meaning if method == "meaning" else _by_picture
                shots = list(measure(connection, store, settings, titles, query))
                table = _best_shots(connection, pa.Table.from_batches(shots, _SCORED))
            scores[method] = _per_clip(connection, table, clips)
            scores[method][~allowed] = np.nan
    return scores


def total_scores(scores: dict[SearchMethod, np.ndarray]) -> Candidates:
    """Return the clips with a score of any method, and the sums of their scores."""
    total = np.zeros(len(next(iter(scores.values()))), dtype=np.float32)
    seen = np.zeros(len(total), dtype=bool)
    for method, values in scores.items():
        known = ~np.isnan(values)
        total[known] += values[known] if method == "words" else _above_mean(values[known])
        seen |= known
    rows = np.flatnonzero(seen)
    return Candidates(np.zeros(len(rows), np.int64), rows, total[rows])


def _above_mean(cosines: np.ndarray) -> np.ndarray:
    """Scale values linearly, from 0 for their mean to 1 for the largest."""
    if not len(cosines):
        return cosines
    best, mean = cosines.max(), cosines.mean(dtype=np.float64).astype(np.float32)
    if best <= mean:
        return np.ones_like(cosines)
    return (cosines - mean) / (best - mean)


def _check_methods(
    settings: Settings, methods: Sequence[SearchMethod] | None
) -> Sequence[SearchMethod]:
    joint = isinstance(video_encoder(settings), JointEncoder)
    if methods is None:
        return [method for method in SEARCH_METHODS if joint or method != "picture"]
    unknown = [method for method in methods if method not in SEARCH_METHODS]
    if unknown or not methods:
        raise MediaFMError(
            f"{', '.join(map(repr, unknown)) or 'Nothing'} is no search method: choose from "
            f"{', '.join(SEARCH_METHODS)}."
        )
    if "picture" in methods and not joint:
        raise ConfigurationError(
            "The video encoder does not embed texts, so that no picture can be found by text: set "
            "`video.name` to open_clip, or search by words and meaning."
        )
    return list(dict.fromkeys(methods))


def _by_meaning(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    titles: Sequence[str],
    query: str,
) -> Iterator[pa.RecordBatch]:
    """Yield the cosine of each shot's text. Published texts find their vectors by digest."""
    encoder = text_encoder(settings)
    vector = unit_length(encoder.encode([query.strip()]))[0]
    missing = _MissingVectors("text", str(encoder.identity), len(titles))
    for title_id, shots in _published(connection, titles, "text", r"regexp_matches(text, '\S')"):
        table = _embeddings(store, "text_embeddings", title_id, str(encoder.identity))
        texts = pc.utf8_trim_whitespace(shots["text"]).to_pylist()
        digests = [input_digest(text.encode()) for text in texts]
        vectors = np.zeros((len(texts), len(vector)), dtype=np.float32)
        known = EarlierVectors(table).fill(vectors, digests)
        if not known.all():
            missing.titles.append(title_id)
        yield _scored(title_id, shots["shot_index"], vectors, vector, known)
    missing.warn()


def _by_picture(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    titles: Sequence[str],
    query: str,
) -> Iterator[pa.RecordBatch]:
    """Yield the cosine of each shot's pictures, for titles whose shots are the published ones."""
    encoder = video_encoder(settings)
    assert isinstance(encoder, JointEncoder)  # noqa: S101 - checked by `_check_methods`
    vector = unit_length(encoder.encode_texts([query.strip()]))[0]
    missing = _MissingVectors("video", str(encoder.identity), len(titles))
    for title_id, shots in _published(connection, titles, "start_s, end_s", "true"):
        table = _embeddings(store, "video_embeddings", title_id, str(encoder.identity))
        if table is None or not store.read("shots", title_id).select(["start_s", "end_s"]).equals(
            shots.select(["start_s", "end_s"])
        ):
            missing.titles.append(title_id)
            continue
        vectors, present = to_numpy(table["embedding"]), table["present"].to_numpy()
        yield _scored(title_id, table["shot_index"], vectors, vector, present)
    missing.warn()


class _MissingVectors:
    """Titles without vectors for a method, logged in one warning."""

    def __init__(self, modality: str, encoder: str, of: int) -> None:
        self.titles: list[str] = []
        self._modality, self._encoder, self._of = modality, encoder, of

    def warn(self) -> None:
        if self.titles:
            named = ", ".join(self.titles[:3]) + (", …" if len(self.titles) > 3 else "")
            logger.warning(
                "%d of %d titles lack %s vectors of %s for published shots (%s): "
                "`mediafm run` computes them.",
                *(len(self.titles), self._of, self._modality, self._encoder, named),
            )


def _published(
    connection: duckdb.DuckDBPyConnection, titles: Sequence[str], columns: str, condition: str
) -> Iterator[tuple[str, pa.Table]]:
    """Yield columns of published shots, title by title."""
    remaining = iter(titles)
    while some := list(islice(remaining, _TITLES_AT_A_TIME)):
        rows = connection.sql(
            f"SELECT title_id, shot_index, {columns} FROM shots "  # noqa: S608 - our own names
            f"WHERE title_id IN (SELECT unnest($titles)) AND {condition} "
            "ORDER BY title_id, shot_index",
            params={"titles": some},
        ).to_arrow_table()
        runs = pc.run_end_encode(rows["title_id"].combine_chunks())
        first = 0
        for title_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            yield title_id, rows.slice(first, end - first)
            first = end


def _embeddings(store: Store, asset: str, title_id: str, encoder: str) -> pa.Table | None:
    """Read a title's vectors of an encoder; None where it has none, or those of another encoder."""
    record = store.record(asset, title_id)
    if record is None or record.identity != encoder:
        return None
    return store.read(asset, title_id)


def _scored(
    title_id: str,
    shot_index: pa.ChunkedArray,
    vectors: np.ndarray,
    query: np.ndarray,
    present: np.ndarray,
) -> pa.RecordBatch:
    """Compute the cosines of the shots that are present; vectors must have unit length."""
    cosines = (vectors @ query)[present]
    shots = shot_index.combine_chunks().filter(pa.array(present))
    columns = [pa.repeat(title_id, len(shots)), shots, pa.array(cosines)]
    return pa.record_batch(columns, schema=_SCORED)


def _best_shots(connection: duckdb.DuckDBPyConnection, shots: pa.Table) -> pa.Table:
    """Return `title_id, clip_id, score` with the score of each clip's best shot."""
    with registered(connection, "scored", shots):
        return connection.sql(
            "SELECT title_id, clip_id, max(score) AS score FROM clips JOIN scored USING (title_id) "
            "WHERE shot_index BETWEEN first_shot AND last_shot GROUP BY title_id, clip_id"
        ).to_arrow_table()


def _per_clip(connection: duckdb.DuckDBPyConnection, found: pa.Table, clips: Clips) -> np.ndarray:
    """Order scores by clip number, float32 `[n]`; NaN for clips without one."""
    with registered(connection, "found", found):
        rows = connection.sql(
            "SELECT number, score FROM found JOIN numbered USING (title_id, clip_id)"
        ).to_arrow_table()
    values = np.full(len(clips), np.nan, dtype=np.float32)
    values[rows["number"].to_numpy()] = rows["score"].to_numpy()
    return values
