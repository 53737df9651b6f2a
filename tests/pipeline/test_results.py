"""Results do not depend on the division of the work, and tables agree with their files."""

import duckdb
import numpy as np
import pyarrow.parquet as pq
from films import ingest_titles

from mediafm_core.clips.pooling import overlap_weights, pool
from mediafm_core.pipeline.catalogue_training import adopt_model
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.release import release
from mediafm_core.vectors import to_numpy

TOLERANCE = 1e-4


def contextual(platform: Platform, title_id: str) -> np.ndarray:
    table = platform.store.read("contextual_embeddings", title_id, platform.serving_model or "")
    return to_numpy(table["embedding"])


def ingest_elsewhere(catalogue, store, title_ids, **overrides) -> Platform:
    """Ingest the same titles into another store, with the model of the first."""
    model = catalogue.platform().network.folder
    platform = catalogue._replace(store=store).platform(**overrides)
    release(platform, adopt_model(platform, model))
    ingest_titles(platform, title_ids)
    return platform


def test_one_title_alone_gives_what_it_gives_among_others(ingested, tmp_path):
    alone = ingest_elsewhere(ingested, tmp_path / "alone", ["coffee"])
    found, expected = contextual(alone, "coffee"), contextual(ingested.platform(), "coffee")
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_batch_size_does_not_matter(ingested, tmp_path):
    single = {name: {"batch_size": 1} for name in ("video", "audio", "text")}
    platform = ingest_elsewhere(ingested, tmp_path / "single", ["cat", "coffee"], **single)
    for title_id in ("cat", "coffee"):
        for asset in ("video_embeddings", "audio_embeddings", "fused_embeddings"):
            found = to_numpy(platform.store.read(asset, title_id)["embedding"])
            expected = to_numpy(ingested.platform().store.read(asset, title_id)["embedding"])
            np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        np.testing.assert_allclose(
            contextual(platform, title_id),
            contextual(ingested.platform(), title_id),
            atol=TOLERANCE,
        )


def test_clip_rows_are_the_pooled_slices_of_the_files(ingested):
    platform = ingested.platform()
    with duckdb.connect(str(platform.store.features), read_only=True) as connection:
        for title_id in ("cat", "coffee"):
            clips = connection.sql(
                "SELECT clip_id, start_s, end_s, embedding FROM clips JOIN clip_features "
                "USING (title_id, clip_id) WHERE title_id = ? ORDER BY clip_id",
                params=[title_id],
            ).to_arrow_table()
            shots = pq.read_table(platform.store.path("shots", title_id))
            weights = overlap_weights(clips, shots)
            np.testing.assert_allclose(
                to_numpy(clips["embedding"]),
                pool(contextual(platform, title_id), weights),
                atol=1e-5,
            )


def test_files_record_their_encoders_and_models(ingested):
    platform = ingested.platform()
    record = platform.store.record("fused_embeddings", "coffee")
    assert record is not None
    assert record.details["ranges"] == {
        "video": [0, 1280],
        "audio": [1280, 1792],
        "text": [1792, 2176],
    }
    assert record.details["encoders"]["video"] == str(platform.video_encoder.identity)
    assert set(record.inputs) == {"video_embeddings", "audio_embeddings", "text_embeddings"}
