"""The tables of `features.duckdb`, and how they are filled from Parquet.

`<store>/features.duckdb` holds one model version at a time, in these tables (plain DuckDB types,
no extension needed; `h` is the width of the model):

    catalogue       model_version, dimension, schema_version, titles             one row
    titles          title_id (key), name, kind, language, synopsis, tags VARCHAR[], duration_s,
                    shots, clips, model_version, data_version, title_version
    shots           title_id, shot_index, start_s, end_s, start_frame, end_frame, text,
                    has_video, has_audio, has_text, embedding FLOAT[h]           in context
    clips           title_id, clip_id, start_s, end_s, proposed, first_shot, last_shot,
                    labels MAP(VARCHAR, VARCHAR): labels['genre'] is one of them
    clip_features   title_id, clip_id, model_version, embedding FLOAT[h]
    title_features  title_id, model_version, embedding FLOAT[h]                  the [CLS] vector

`titles.data_version` is the data version of the title's clip features and `title_version` that of
its manifest and media; together they say whether the title's rows are up to date.

Tables have no promised order: ask for one with ORDER BY.
"""

VERSION = 1  # of these tables; a file of another version is built anew

CREATE = """
CREATE TABLE catalogue (
    model_version VARCHAR NOT NULL, dimension INTEGER NOT NULL,
    schema_version INTEGER NOT NULL, titles INTEGER NOT NULL);
CREATE TABLE titles (
    title_id VARCHAR PRIMARY KEY, name VARCHAR, kind VARCHAR, language VARCHAR, synopsis VARCHAR,
    tags VARCHAR[], duration_s DOUBLE NOT NULL, shots INTEGER NOT NULL, clips INTEGER NOT NULL,
    model_version VARCHAR NOT NULL, data_version VARCHAR NOT NULL, title_version VARCHAR NOT NULL);
CREATE TABLE shots (
    title_id VARCHAR NOT NULL, shot_index INTEGER NOT NULL, start_s DOUBLE NOT NULL,
    end_s DOUBLE NOT NULL, start_frame BIGINT NOT NULL, end_frame BIGINT NOT NULL, text VARCHAR,
    has_video BOOLEAN, has_audio BOOLEAN, has_text BOOLEAN, embedding FLOAT[{dimension}] NOT NULL);
CREATE TABLE clips (
    title_id VARCHAR NOT NULL, clip_id VARCHAR NOT NULL, start_s DOUBLE NOT NULL,
    end_s DOUBLE NOT NULL, proposed BOOLEAN NOT NULL, first_shot INTEGER NOT NULL,
    last_shot INTEGER NOT NULL, labels MAP(VARCHAR, VARCHAR) NOT NULL);
CREATE TABLE clip_features (
    title_id VARCHAR NOT NULL, clip_id VARCHAR NOT NULL, model_version VARCHAR NOT NULL,
    embedding FLOAT[{dimension}] NOT NULL);
CREATE TABLE title_features (
    title_id VARCHAR NOT NULL, model_version VARCHAR NOT NULL,
    embedding FLOAT[{dimension}] NOT NULL);
"""

# Folder names such as `name=value` must not become columns.
INSERT_SHOTS = """
INSERT INTO shots
SELECT title_id, shot_index, start_s, end_s, start_frame, end_frame, text,
       has_video, has_audio, has_text, contextual.embedding
FROM read_parquet($shots, hive_partitioning=false) AS shots
JOIN read_parquet($timed_text, hive_partitioning=false) AS timed_text USING (title_id, shot_index)
JOIN read_parquet($fused_embeddings, hive_partitioning=false) AS fused USING (title_id, shot_index)
JOIN read_parquet($contextual_embeddings, hive_partitioning=false) AS contextual
     USING (title_id, shot_index)
ORDER BY title_id, shot_index
"""
INSERT_CLIPS = """
INSERT INTO clips
SELECT title_id, clip_id, start_s, end_s, proposed, first_shot, last_shot, labels
FROM read_parquet($clip_features, hive_partitioning=false) ORDER BY title_id, start_s, clip_id
"""
INSERT_CLIP_FEATURES = """
INSERT INTO clip_features
SELECT title_id, clip_id, $model, embedding
FROM read_parquet($clip_features, hive_partitioning=false) ORDER BY title_id, start_s, clip_id
"""
INSERT_TITLE_FEATURES = """
INSERT INTO title_features
SELECT title_id, $model, embedding
FROM read_parquet($title_embeddings, hive_partitioning=false) ORDER BY title_id
"""
INSERT_TITLES = """
INSERT INTO titles
SELECT manifests.* EXCLUDE (data_version, title_version), shots.n, coalesce(clips.n, 0),
       $model, data_version, title_version
FROM manifests
JOIN (SELECT title_id, count(*) AS n FROM read_parquet($shots, hive_partitioning=false)
      GROUP BY title_id) AS shots USING (title_id)
LEFT JOIN (SELECT title_id, count(*) AS n FROM read_parquet($clip_features, hive_partitioning=false)
           GROUP BY title_id) AS clips USING (title_id)
ORDER BY title_id
"""
# A join drops what has no partner: every shot of `shots` must have arrived.
INCOMPLETE_SHOTS = """
WITH wanted AS (SELECT title_id, count(*) AS n
                FROM read_parquet($shots, hive_partitioning=false) GROUP BY title_id),
     found AS (SELECT title_id, count(*) AS n FROM shots
               WHERE title_id IN (SELECT title_id FROM wanted) GROUP BY title_id)
SELECT title_id, wanted.n, coalesce(found.n, 0) FROM wanted LEFT JOIN found USING (title_id)
WHERE wanted.n IS DISTINCT FROM found.n ORDER BY title_id LIMIT 1
"""
BY_TITLE = ("titles", "shots", "clips", "clip_features", "title_features")
