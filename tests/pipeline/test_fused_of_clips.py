"""Fused vectors of clips: switched on and off by the setting, without a network."""

import duckdb
import numpy as np
import pytest
from films import ingest_titles

import mediafm_core
from mediafm_core.clips.pooling import overlap_weights, pool
from mediafm_core.errors import StoreError
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.equality import differences
from mediafm_core.vectors import to_numpy

ON = {"publishing": {"fused_vectors": True}}


def columns(platform: Platform) -> list[str]:
    with duckdb.connect(str(platform.store.features), read_only=True) as connection:
        return [name for name, *_ in connection.execute("DESCRIBE clip_features").fetchall()]


def computed(platform: Platform, *title_ids: str) -> set[tuple[str, str]]:
    outcomes = ingest_titles(platform, title_ids)
    return {key for key, outcome in outcomes.items() if outcome.status == "computed"}


def test_switching_pools_clips_again_and_nothing_else(catalogue, ingested) -> None:
    off, on = catalogue.platform(), catalogue.platform(**ON)
    assert {each.state for each in catalogue_states(on)} == {"stale"}
    before = off.store.record("clip_features", "coffee", off.serving_model)

    assert computed(on, "coffee") == {("coffee", "clip_features")}
    assert "fused" not in columns(on)  # cat has none yet
    with pytest.raises(StoreError, match=r"1 of 2 published titles .*\(cat is one\)"):
        mediafm_core.similar("coffee", 0, 4.5, by="fused", store=catalogue.store)

    assert computed(on, "cat") == {("cat", "clip_features")}
    assert columns(on)[-1] == "fused"
    after = on.store.record("clip_features", "coffee", on.serving_model)
    assert before is not None
    assert after is not None
    assert before.data_version != after.data_version
    space = on.store.record("fused_embeddings", "coffee")
    assert space is not None
    assert after.details["fused"] == {
        "dimension": 2176,
        **{name: space.details[name] for name in ("encoders", "ranges")},
    }
    (nearest,) = mediafm_core.similar(
        "coffee", 0, 4.5, by="both", k=1, store=catalogue.store
    ).to_pylist()
    assert (nearest["title_id"], nearest["clip_id"]) == ("coffee", "a")

    assert computed(off, "cat", "coffee") == {
        ("cat", "clip_features"),
        ("coffee", "clip_features"),
    }
    assert off.store.record("clip_features", "coffee", off.serving_model).data_version == (
        before.data_version
    )
    assert differences(off.store, ingested.platform().store) == []


def test_the_vectors_are_the_pooled_fused_ones(catalogue) -> None:
    platform = catalogue.platform(**ON)
    ingest_titles(platform, ["cat", "coffee"])
    for title_id in ("cat", "coffee"):
        clips = mediafm_core.sql(
            "SELECT clip_id, start_s, end_s, fused FROM clips JOIN clip_features "
            "USING (title_id, clip_id) WHERE title_id = ? ORDER BY start_s",
            [title_id],
            store=catalogue.store,
        )
        fused = to_numpy(platform.store.read("fused_embeddings", title_id)["embedding"])
        weights = overlap_weights(clips, platform.store.read("shots", title_id))
        np.testing.assert_array_equal(to_numpy(clips["fused"]), pool(fused, weights))
        spans = list(zip(clips["start_s"].to_pylist(), clips["end_s"].to_pylist(), strict=True))
        embedded = mediafm_core.embed_many(title_id, spans, vectors="fused", store=catalogue.store)
        np.testing.assert_array_equal(to_numpy(clips["fused"]), embedded)
