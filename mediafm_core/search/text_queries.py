"""Queries in words: by the words that are said, by what they mean, and by what is shown.

    words      plain words of the query in the timed text; every profile
    meaning    the query's vector by the text encoder against those of the shots' timed text
    picture    the query's vector in the space that a video encoder shares with texts (open_clip)
               against those of the shots' pictures

A clip's score is the sum of what the ways give it. Words count as they are, about 1 where all of
them are said. Of cosines, which lie close together, it counts where a clip stands on the way from
the mean of all clips, 0, to the best of them, 1; a clip without any counts as the mean. So
magnitudes are kept, which sums of ranks would lose: a clip that shares no more than an article with
the query does not get past one that means it (Bruch, Gai and Ingber 2023, doi:10.1145/3596512,
compare the two).
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

Way = Literal["words", "meaning", "picture"]
WAYS: tuple[Way, ...] = get_args(Way)

_TITLES_AT_A_TIME = 256
_SCORED = pa.schema(
    [("title_id", pa.string()), ("shot_index", pa.int32()), ("score", pa.float32())]
)


def scores(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    clips: Clips,
    allowed: np.ndarray,
    query: str,
    ways: Sequence[Way] | None = None,
) -> dict[Way, np.ndarray]:
    """How well clips fit a query in words, in each way.

    Args:
        connection: from `open_features`.
        store: where the shots' vectors are.
        settings: name the encoders.
        clips: of the connection.
        allowed: bool `[n]`: the clips that count.
        query: any text but blank.
        ways: which; None takes all that the settings' encoders offer.

    Returns:
        float32 `[n]` for each way; NaN where a clip has none: no text, none of the words, or no
        vectors of the settings' encoder.

    Raises:
        MediaFMError: a blank query, or an unknown way.
        ConfigurationError: an encoder cannot work here, or the video encoder reads no texts.
    """
    if not query.strip():
        raise MediaFMError("The text to search for is blank: give at least one word.")
    titles = pc.unique(clips.table["title_id"].filter(pa.array(allowed))).sort().to_pylist()
    found: dict[Way, np.ndarray] = {}
    with registered(connection, "numbered", numbered(clips)):
        for way in _usable(settings, ways):
            if way == "words":
                table = scores_by_words(connection, query)
            else:
                measure = _by_meaning if way == "meaning" else _by_picture
                shots = list(measure(connection, store, settings, titles, query))
                table = _best_shots(connection, pa.Table.from_batches(shots, _SCORED))
            found[way] = _per_clip(connection, table, clips)
            found[way][~allowed] = np.nan
    return found


def combined(found: dict[Way, np.ndarray]) -> Candidates:
    """The clips that any way found, with their scores."""
    total = np.zeros(len(next(iter(found.values()))), dtype=np.float32)
    seen = np.zeros(len(total), dtype=bool)
    for way, values in found.items():
        known = ~np.isnan(values)
        total[known] += values[known] if way == "words" else _above_mean(values[known])
        seen |= known
    rows = np.flatnonzero(seen)
    return Candidates(np.zeros(len(rows), np.int64), rows, total[rows])


def _above_mean(cosines: np.ndarray) -> np.ndarray:
    """Where values stand between their mean, 0, and the largest of them, 1."""
    if not len(cosines):
        return cosines
    best, mean = cosines.max(), cosines.mean(dtype=np.float64).astype(np.float32)
    if best <= mean:
        return np.ones_like(cosines)
    return (cosines - mean) / (best - mean)


def _usable(settings: Settings, ways: Sequence[Way] | None) -> Sequence[Way]:
    joint = isinstance(video_encoder(settings), JointEncoder)
    if ways is None:
        return [way for way in WAYS if joint or way != "picture"]
    unknown = [way for way in ways if way not in WAYS]
    if unknown or not ways:
        raise MediaFMError(
            f"{', '.join(map(repr, unknown)) or 'Nothing'} is no way to search: take of "
            f"{', '.join(WAYS)}."
        )
    if "picture" in ways and not joint:
        raise ConfigurationError(
            "The video encoder has no space in common with texts, so that words find no pictures: "
            "set `video.name` to open_clip, or search by words and meaning."
        )
    return list(dict.fromkeys(ways))


def _by_meaning(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    titles: Sequence[str],
    query: str,
) -> Iterator[pa.RecordBatch]:
    """The cosine of each shot's text; a text that was published finds its vector by its digest."""
    encoder = text_encoder(settings)
    vector = unit_length(encoder.encode([query.strip()]))[0]
    missing = _Missing("text", str(encoder.identity), len(titles))
    for title_id, shots in _published(connection, titles, "text", r"regexp_matches(text, '\S')"):
        table = _embeddings(store, "text_embeddings", title_id, str(encoder.identity))
        texts = pc.utf8_trim_whitespace(shots["text"]).to_pylist()
        digests = [input_digest(text.encode()) for text in texts]
        vectors = np.zeros((len(texts), len(vector)), dtype=np.float32)
        known = EarlierVectors(table).fill(vectors, digests)
        if not known.all():
            missing.titles.append(title_id)
        yield _scored(title_id, shots["shot_index"], vectors, vector, known)
    missing.tell()


def _by_picture(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    settings: Settings,
    titles: Sequence[str],
    query: str,
) -> Iterator[pa.RecordBatch]:
    """The cosine of each shot's pictures; of titles that are cut as they were published."""
    encoder = video_encoder(settings)
    assert isinstance(encoder, JointEncoder)  # noqa: S101 - `_usable` has seen to it
    vector = unit_length(encoder.encode_texts([query.strip()]))[0]
    missing = _Missing("video", str(encoder.identity), len(titles))
    for title_id, shots in _published(connection, titles, "start_s, end_s", "true"):
        table = _embeddings(store, "video_embeddings", title_id, str(encoder.identity))
        if table is None or not store.read("shots", title_id).select(["start_s", "end_s"]).equals(
            shots.select(["start_s", "end_s"])
        ):
            missing.titles.append(title_id)
            continue
        vectors, present = to_numpy(table["embedding"]), table["present"].to_numpy()
        yield _scored(title_id, table["shot_index"], vectors, vector, present)
    missing.tell()


class _Missing:
    """Titles that one way cannot see, told in one line."""

    def __init__(self, modality: str, encoder: str, of: int) -> None:
        self.titles: list[str] = []
        self._modality, self._encoder, self._of = modality, encoder, of

    def tell(self) -> None:
        if self.titles:
            named = ", ".join(self.titles[:3]) + (", …" if len(self.titles) > 3 else "")
            logger.warning(
                "%d of %d titles lack %s vectors of %s for shots that readers see (%s): "
                "`mediafm run` makes them.",
                *(len(self.titles), self._of, self._modality, self._encoder, named),
            )


def _published(
    connection: duckdb.DuckDBPyConnection, titles: Sequence[str], columns: str, condition: str
) -> Iterator[tuple[str, pa.Table]]:
    """Rows of shots that readers see, title by title."""
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
    """A title's vectors by an encoder; None where there are none or another one made them."""
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
    """The cosines of those shots that are present; their vectors have unit length."""
    cosines = (vectors @ query)[present]
    shots = shot_index.combine_chunks().filter(pa.array(present))
    columns = [pa.repeat(title_id, len(shots)), shots, pa.array(cosines)]
    return pa.record_batch(columns, schema=_SCORED)


def _best_shots(connection: duckdb.DuckDBPyConnection, shots: pa.Table) -> pa.Table:
    """Of each clip, the score of its best shot: `title_id, clip_id, score`."""
    with registered(connection, "scored", shots):
        return connection.sql(
            "SELECT title_id, clip_id, max(score) AS score FROM clips JOIN scored USING (title_id) "
            "WHERE shot_index BETWEEN first_shot AND last_shot GROUP BY title_id, clip_id"
        ).to_arrow_table()


def _per_clip(connection: duckdb.DuckDBPyConnection, found: pa.Table, clips: Clips) -> np.ndarray:
    """Scores by the clips' numbers, float32 `[n]`, NaN where there is none."""
    with registered(connection, "found", found):
        rows = connection.sql(
            "SELECT number, score FROM found JOIN numbered USING (title_id, clip_id)"
        ).to_arrow_table()
    values = np.full(len(clips), np.nan, dtype=np.float32)
    values[rows["number"].to_numpy()] = rows["score"].to_numpy()
    return values
