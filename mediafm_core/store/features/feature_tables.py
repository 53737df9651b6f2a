"""Tables that readers see, and the queries that make their rows from artefacts.

`<store>/features.duckdb` shows one model version, in these tables (plain DuckDB types, no extension
needed; `h` is the width of the model):

    catalogue       model_version, dimension, schema_version, titles             one row
    titles          title_id (key), name, kind, language, synopsis, tags VARCHAR[], duration_s,
                    shots, clips, model_version, data_version, title_version
    shots           title_id, shot_index, start_s, end_s, start_frame, end_frame, text,
                    has_video, has_audio, has_text, scene_index, scene_probability,
                    embedding FLOAT[h]                                           in context
    scenes          title_id, scene_index, start_s, end_s, first_shot, last_shot, shots,
                    start_probability
    clips           title_id, clip_id, start_s, end_s, proposed, first_shot, last_shot,
                    labels MAP(VARCHAR, VARCHAR): labels['genre'] is one of them
    clip_features   title_id, clip_id, model_version, embedding FLOAT[h]; with fused vectors also
                    fused FLOAT[f], the pooled fused vector of the clip's shots
    fused_space     modality, encoder, start, stop: columns [start, stop) of each modality in
                    `fused`; only with fused vectors
    title_features  title_id, model_version, embedding FLOAT[h]                  the [CLS] vector

`titles.data_version` is the data version of the title's clip features and `title_version` that of
its manifest and media; together they say whether the title's rows are up to date.

`fused` and `fused_space` exist where every title has them (setting `publishing.fused_vectors`), so
that no query mixes clips with and without.

The order of rows is not defined: use ORDER BY.

A shard holds the rows of some titles in three Parquet files, `titles`, `shots` and `clips`; vectors
of titles and clips are columns of theirs, and scenes are groups of shots, so that the seven tables
are views over three files.
"""

from typing import NamedTuple

VERSION = 2  # of these tables; a file of another version is rebuilt
_FIRST_WITH_SCENES = 2

TABLES = ("catalogue", "titles", "shots", "scenes", "clips", "clip_features", "title_features")

FUSED = "fused"  # column of pooled fused vectors, and their space in the details of a record

FILES = {
    "titles": "title_id",
    "shots": "title_id, shot_index",
    "clips": "title_id, start_s, clip_id",
}
"""The files of a shard, and the order of their rows."""


class View(NamedTuple):
    """A view of readers: the file of a shard that it reads, its columns, and their grouping."""

    file: str
    columns: str
    grouping: str = ""


_VIEWS = {
    "titles": View(
        "titles",
        "title_id, name, kind, language, synopsis, tags, duration_s, shots, clips, "
        "{model} AS model_version, data_version, title_version",
    ),
    "shots": View(
        "shots",
        "title_id, shot_index, start_s, end_s, start_frame, end_frame, text, has_video, "
        "has_audio, has_text, {scenes}embedding::FLOAT[{dimension}] AS embedding",
    ),
    "scenes": View(
        "shots",
        "title_id, scene_index, min(start_s) AS start_s, max(end_s) AS end_s, "
        "min(shot_index) AS first_shot, max(shot_index) AS last_shot, "
        "count(*)::INTEGER AS shots, arg_min(scene_probability, shot_index) AS start_probability",
        "GROUP BY title_id, scene_index",
    ),
    "clips": View(
        "clips",
        "title_id, clip_id, start_s, end_s, proposed, first_shot, last_shot, labels",
    ),
    "clip_features": View(
        "clips",
        "title_id, clip_id, {model} AS model_version, embedding::FLOAT[{dimension}] AS embedding"
        "{fused}",
    ),
    "title_features": View(
        "titles",
        "title_id, {model} AS model_version, embedding::FLOAT[{dimension}] AS embedding",
    ),
}


def views(version: int, model: str, dimension: int, fused: int) -> dict[str, View]:
    """Return the views over shards, with their columns complete.

    Args:
        version: of the tables when the shards were written; an earlier one has fewer columns.
        model: model version, as an SQL literal.
        dimension: width of its vectors.
        fused: width of the fused vectors of clips; 0 where not every title has them.
    """
    has_scenes = version >= _FIRST_WITH_SCENES
    values = {
        "model": model,
        "dimension": dimension,
        "scenes": "scene_index, scene_probability, " if has_scenes else "",
        "fused": fused_column(fused),
    }
    return {
        name: view._replace(columns=view.columns.format(**values))
        for name, view in _VIEWS.items()
        if has_scenes or name != "scenes"
    }


# Internal tables of the small file, in a schema that SHOW TABLES leaves out.
CREATE = """
CREATE TABLE {database}.catalogue (
    model_version VARCHAR NOT NULL, dimension INTEGER NOT NULL,
    schema_version INTEGER NOT NULL, titles INTEGER NOT NULL);
CREATE SCHEMA {database}.storage;
CREATE TABLE {database}.storage.state (place VARCHAR NOT NULL, served BOOLEAN NOT NULL);
CREATE TABLE {database}.storage.shards (
    name VARCHAR NOT NULL, titles INTEGER NOT NULL, bytes BIGINT NOT NULL,
    superseded VARCHAR[] NOT NULL);
CREATE TABLE {database}.storage.dropped (name VARCHAR NOT NULL, since DOUBLE NOT NULL);
"""
# Only where a shard has fused vectors. The second is shown to readers, as `fused_space`, where all
# shards have them.
FUSED_TABLES = {
    "fused_shards": "name VARCHAR NOT NULL, dimension INTEGER NOT NULL",
    "fused_space": "modality VARCHAR NOT NULL, encoder VARCHAR NOT NULL, "
    "start INTEGER NOT NULL, stop INTEGER NOT NULL",
}


def fused_column(dimension: int) -> str:
    """Return the column of fused vectors, to be appended to others in SQL; "" without them."""
    return f", {FUSED}::FLOAT[{dimension}] AS {FUSED}" if dimension else ""


class FeatureSource(NamedTuple):
    """Columns of an artefact that the tables are made from; None takes all."""

    per_model: bool
    columns: tuple[str, ...] | None = None


ARTEFACTS = {
    "shots": FeatureSource(per_model=False),
    "timed_text": FeatureSource(per_model=False),
    # Not the vectors, which are three times as wide as all the rest.
    "fused_embeddings": FeatureSource(
        per_model=False,
        columns=("title_id", "shot_index", "has_video", "has_audio", "has_text"),
    ),
    "contextual_embeddings": FeatureSource(per_model=True),
    "title_embeddings": FeatureSource(per_model=True),
    "scenes": FeatureSource(
        per_model=True, columns=("title_id", "shot_index", "scene_index", "scene_probability")
    ),
    "clip_features": FeatureSource(per_model=True),
}

SELECT_SHOTS = """
SELECT title_id, shot_index, start_s, end_s, start_frame, end_frame, text,
       has_video, has_audio, has_text, scene_index, scene_probability,
       contextual.embedding::FLOAT[{dimension}] AS embedding
FROM shots
JOIN timed_text USING (title_id, shot_index)
JOIN fused_embeddings USING (title_id, shot_index)
JOIN contextual_embeddings AS contextual USING (title_id, shot_index)
JOIN scenes USING (title_id, shot_index)
ORDER BY title_id, shot_index
"""
SELECT_CLIPS = """
SELECT title_id, clip_id, start_s, end_s, proposed, first_shot, last_shot,
       labels::MAP(VARCHAR, VARCHAR) AS labels, embedding::FLOAT[{dimension}] AS embedding{fused}
FROM clip_features ORDER BY title_id, start_s, clip_id
"""
SELECT_TITLES = """
SELECT manifests.* EXCLUDE (data_version, title_version), shots.n::INTEGER AS shots,
       coalesce(clips.n, 0)::INTEGER AS clips, data_version, title_version,
       embedding::FLOAT[{dimension}] AS embedding
FROM manifests
JOIN title_embeddings USING (title_id)
JOIN (SELECT title_id, count(*) AS n FROM shots GROUP BY title_id) AS shots USING (title_id)
LEFT JOIN (SELECT title_id, count(*) AS n FROM clip_features GROUP BY title_id) AS clips
     USING (title_id)
ORDER BY title_id
"""
