"""Forced computation of assets that are up to date; the reason for not computing them else."""

import pytest

from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import DECODED, Outcome, materialise
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.store.features import catalogue as readers_catalogue
from mediafm_core.store.records import JSON_ASSETS

GROUPS = [DECODED, *((name,) for name in SPECS if name not in DECODED)]
EMBEDDINGS = ("video_embeddings", "audio_embeddings", "text_embeddings")


def stamp(platform: Platform, asset: str, title_id: str) -> str:
    """Return a value that changes whenever the file of an artefact is written."""
    model = platform.serving_model or ""
    variant = model if SPECS[asset].per_model else ""
    suffix = ".json" if asset in JSON_ASSETS else ".parquet"
    entry = platform.store.files.entry(platform.store.key(asset, title_id, variant, suffix))
    assert entry is not None
    return entry.stamp


def test_everything_is_computed_again_and_nothing_becomes_stale(catalogue):
    platform = catalogue.platform()
    title_id = "coffee"
    before = {name: TitleComparison(platform, title_id).record(name) for name in SPECS}
    stamps = {name: stamp(platform, name, title_id) for name in SPECS}
    for group in GROUPS:
        for outcome in materialise(platform, group, title_id, force=True):
            record, earlier = outcome.record, before[outcome.asset]
            assert record is not None
            assert earlier is not None
            assert outcome.status == outcome.explanation == "computed"
            assert stamp(platform, outcome.asset, title_id) != stamps[outcome.asset]
            assert record.data_version == earlier.data_version
            if outcome.asset in EMBEDDINGS:
                assert record.details["reused"] == 0
    assert select_titles(platform).work == []
    unchanged: list[Outcome] = []
    for group in GROUPS:
        unchanged += materialise(platform, group, title_id)
    assert {outcome.status for outcome in unchanged} == {"unchanged"}


def test_an_unchanged_asset_has_a_reason_and_a_date(catalogue):
    platform = catalogue.platform()
    found = {
        outcome.asset: outcome
        for group in GROUPS
        for outcome in materialise(platform, group, "coffee")
    }
    for name, outcome in found.items():
        assert outcome.explanation.startswith("unchanged: same "), name
        assert f"same code version {SPECS[name].code_version}; computed 20" in outcome.explanation
        assert outcome.explanation.endswith(" UTC")
    encoder = str(platform.text_encoder.identity)
    assert f"same inputs, same {encoder}, " in found["text_embeddings"].explanation
    assert "same folder, " in found["title"].explanation


def test_the_named_titles_are_selected_and_quarantined_ones_are_not(catalogue):
    platform = catalogue.platform()
    assert select_titles(platform).work == []
    assert select_titles(platform, ["coffee"], force=True).work == ["coffee"]
    assert select_titles(platform, force=True).work == ["cat", "coffee"]


@pytest.mark.parametrize("again", [False, True])
def test_readers_get_the_rows_of_a_forced_title_although_versions_are_equal(catalogue, again: bool):
    platform = catalogue.platform()
    publish_titles(platform, ["cat", "coffee"])
    before = readers_catalogue(platform.store)
    publication = publish_titles(platform, ["coffee"], again=again)
    assert publication.changed == int(again)
    assert readers_catalogue(platform.store) == before
