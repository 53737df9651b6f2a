"""BM25 keyword search over the timed text of clips.

Okapi BM25 (Robertson and Zaragoza 2009, doi:10.1561/1500000019) over the timed text of a clip's
shots, divided by the inverse document frequencies of all words of the query: 1 where each of them
occurs once in a text of average length, and near 0 where only common words occur. Words are runs of
letters and digits, without case and accents, and without stemming.
"""

import duckdb
import pyarrow as pa

_SATURATION, _LENGTH = 1.2, 0.75  # the usual values of k1 and b

_WORDS = r"regexp_extract_all(lower(strip_accents({text})), '[\p{{L}}\p{{N}}]+')"
_SCORES = f"""
WITH texts AS (
    SELECT title_id, clip_id,
           {_WORDS.format(text="string_agg(shots.text, ' ')")} AS words
    FROM clips JOIN shots USING (title_id)
    WHERE shots.shot_index BETWEEN clips.first_shot AND clips.last_shot AND shots.text IS NOT NULL
    GROUP BY title_id, clip_id),
average AS (SELECT count(*) AS texts, avg(len(words)) AS length FROM texts),
terms AS (SELECT DISTINCT unnest({_WORDS.format(text="$query")}) AS word),
occurrences AS (
    SELECT title_id, clip_id, length, word, count(*) AS times
    FROM (SELECT title_id, clip_id, len(words) AS length, unnest(words) AS word FROM texts)
    SEMI JOIN terms USING (word)
    GROUP BY ALL),
rarity AS (
    SELECT word, ln(1 + (average.texts - clips + 0.5) / (clips + 0.5)) AS value
    FROM (SELECT word, count(occurrences.word) AS clips
          FROM terms LEFT JOIN occurrences USING (word) GROUP BY word) CROSS JOIN average)
SELECT title_id, clip_id, sum(
    rarity.value * times * ({_SATURATION} + 1)
    / (times + {_SATURATION} * (1 - {_LENGTH} + {_LENGTH} * occurrences.length / average.length))
    )::FLOAT / (SELECT sum(value) FROM rarity)::FLOAT AS score
FROM occurrences JOIN rarity USING (word) CROSS JOIN average
GROUP BY title_id, clip_id
"""  # noqa: S608 - of constants


def scores_by_words(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Score the clips whose text contains words of a query.

    Args:
        connection: Connection from `open_features`.
        query: Any text.

    Returns:
        `title_id, clip_id, score`, a row per clip with at least one of the words.
    """
    return connection.sql(_SCORES, params={"query": query}).to_arrow_table()
