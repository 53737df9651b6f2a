"""A change makes only the assets stale that depend on it."""

import shutil

import pytest
from films import ingest_titles, write_manifest

from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import catalogue_states

ALL = set(SPECS)
AFTER_FUSION = {"fused_embeddings", "contextual_embeddings", "scenes", "clip_features"}


def computed(outcomes: dict) -> dict[str, set[str]]:
    """Return the assets that were computed, by title."""
    found: dict[str, set[str]] = {}
    for (title_id, asset), outcome in outcomes.items():
        if outcome.status == "computed":
            found.setdefault(title_id, set()).add(asset)
    return found


def states(platform) -> dict[str, str]:
    return {each.title_id: each.state for each in catalogue_states(platform)}


def test_a_second_run_computes_nothing(catalogue):
    platform = catalogue.platform()
    assert states(platform) == {"cat": "present", "coffee": "present"}
    assert computed(ingest_titles(platform, ["cat", "coffee"])) == {}


def test_changed_captions_do_not_decode_again(catalogue):
    captions = catalogue.inbox / "coffee" / "captions.en.vtt"
    captions.write_text("WEBVTT\n\n00:01.000 --> 00:03.000\nSomething else entirely.\n")
    platform = catalogue.platform()
    assert states(platform) == {"cat": "present", "coffee": "stale"}
    expected = {"title", "timed_text", "text_embeddings", *AFTER_FUSION}
    assert computed(ingest_titles(platform, ["cat", "coffee"])) == {"coffee": expected}


def test_changed_clips_are_pooled_again_and_nothing_else(catalogue):
    (catalogue.inbox / "coffee" / "clips.csv").write_text("clip_id,start_s,end_s\nx,1,2\n")
    platform = catalogue.platform()
    assert computed(ingest_titles(platform, ["cat", "coffee"])) == {
        "coffee": {"title", "clip_features"}
    }


def test_a_changed_synopsis_changes_context(catalogue):
    write_manifest(catalogue.inbox / "cat", synopsis="Something else.")
    expected = {
        "title",
        "title_metadata_embedding",
        "contextual_embeddings",
        "clip_features",
    }
    assert computed(ingest_titles(catalogue.platform(), ["cat", "coffee"])) == {"cat": expected}


def test_a_changed_tag_of_no_consequence_changes_nothing_but_the_title(catalogue):
    write_manifest(catalogue.inbox / "cat", rights="ours")
    assert computed(ingest_titles(catalogue.platform(), ["cat"])) == {"cat": {"title"}}


def test_touched_files_with_the_same_content_change_nothing_but_the_title(catalogue):
    media = catalogue.inbox / "cat" / "media.mp4"
    media.write_bytes(media.read_bytes())
    assert computed(ingest_titles(catalogue.platform(), ["cat"])) == {"cat": {"title"}}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            {"keyframes": {"jpeg_quality": 50}},
            {"shots", "keyframes", "soundtrack", "video_embeddings", *AFTER_FUSION},
        ),
        ({"clips": {"proposed_s": 3.0}}, {"clip_features"}),
        ({"clips": {"proposed_s": 5.0, "proposed_at": "seconds"}}, {"clip_features"}),
    ],
)
def test_a_changed_setting_makes_dependent_assets_stale(catalogue, override, expected):
    platform = catalogue.platform(**override)
    assert states(platform)["cat"] == "stale"
    done = computed(ingest_titles(platform, ["cat"]))["cat"]
    assert done == expected


def test_a_store_without_scenes_gets_them_for_every_title(catalogue):
    platform = catalogue.platform()
    shutil.rmtree(catalogue.store / "scenes")
    assert states(platform) == {"cat": "stale", "coffee": "stale"}
    found = {each.title_id: each.assets for each in catalogue_states(platform)}
    assert found["cat"]["contextual_embeddings"] == "present"
    assert found["cat"]["clip_features"] == "stale", "its input is missing"
    again = {name: {"scenes"} for name in ("cat", "coffee")}
    assert computed(ingest_titles(platform, ["cat", "coffee"])) == again
    assert states(platform) == {"cat": "present", "coffee": "present"}


def test_a_lost_artefact_is_computed_again(catalogue):
    (catalogue.store / "audio_embeddings" / "cat.parquet").unlink()
    platform = catalogue.platform()
    found = {each.title_id: each for each in catalogue_states(platform)}
    assert found["cat"].assets["audio_embeddings"] == "missing"
    # What was built on it has the same version again, so nothing follows.
    assert computed(ingest_titles(platform, ["cat", "coffee"])) == {"cat": {"audio_embeddings"}}
