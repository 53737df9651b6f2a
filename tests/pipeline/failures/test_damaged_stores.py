"""Faults outside the input: damaged stores, odd folders, unexpected errors, missing files."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from films import SAMPLES, ingest_titles, make_title, write_manifest

from mediafm_core.errors import StoreError, TitleError
from mediafm_core.pipeline import materialise as materialising
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.planning.title_selection import select_titles
from mediafm_core.pipeline.publishing import publish_titles
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.releases.release import release
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_arrow, to_numpy


def states(platform) -> dict[str, str]:
    return {each.title_id: each.state for each in catalogue_states(platform)}


@pytest.mark.parametrize(
    "lost",
    [
        "soundtrack/cat.flac",
        "title_embeddings/{model}/cat.parquet",
        "contextual_embeddings/{model}/cat.parquet",
        "scenes/{model}/cat.parquet",
    ],
)
def test_a_missing_file_is_computed_again(catalogue, ingested, lost):
    platform = catalogue.platform()
    path = catalogue.store / lost.format(model=platform.serving_model)
    path.unlink()
    platform.store.features.unlink()
    assert states(platform)["cat"] != "present"
    ingest_titles(platform, ["cat", "coffee"])
    assert states(platform)["cat"] == "present"
    assert differences(Store(ingested.store), platform.store) == []


@pytest.mark.parametrize("damaged", ["title/cat.json", "shots/cat.parquet", "soundtrack/cat.json"])
def test_a_damaged_file_is_computed_again_without_stopping_other_titles(catalogue, damaged):
    path = catalogue.store / damaged
    path.write_bytes(path.read_bytes()[:100])
    platform = catalogue.platform()
    found = {each.title_id: each for each in catalogue_states(platform)}
    assert (found["cat"].assets[path.parent.name], found["coffee"].state) == ("missing", "present")
    ingest_titles(platform, ["cat", "coffee"])
    assert states(platform) == {"cat": "present", "coffee": "present"}


def damage_a_fused_vector(store: Store) -> Path:
    """Change a number of the second shot of `cat`, like a fault of a disk or of memory."""
    table = store.read("fused_embeddings", "cat")
    vectors = to_numpy(table["embedding"]).copy()
    vectors[1, 3] = np.nan
    place = table.column_names.index("embedding")
    record = store.record("fused_embeddings", "cat")
    store.write(record, table.set_column(place, "embedding", to_arrow(vectors)))
    return store.path("fused_embeddings", "cat")


def test_a_damaged_vector_is_refused_with_the_file_to_delete(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    path = damage_a_fused_vector(platform.store)
    remedy = r"run `mediafm run --titles cat --retry`"
    with pytest.raises(TitleError, match=f"not finite at shot 1 .*delete {path} and {remedy}"):
        train_model(platform)
    variant = platform.serving_model
    (catalogue.store / "contextual_embeddings" / variant / "cat.parquet").unlink()
    with pytest.raises(StoreError, match="cat: fused_embeddings could not be read and were remov"):
        materialise(platform, ("contextual_embeddings",), "cat")
    selected = select_titles(platform, ["cat"]).work
    assert selected == ["cat"]
    ingest_titles(platform, selected)
    assert states(platform) == {"cat": "present", "coffee": "present"}
    assert train_model(platform).seconds is not None


def test_a_folder_repaired_during_the_work_is_tried_again(catalogue, monkeypatch):
    def mend_and_fail(work):
        (catalogue.inbox / "cat" / "captions.en.vtt").write_text("WEBVTT\n")
        raise materialising.TitleError("cat: captions were broken when they were read.")

    (catalogue.store / "timed_text" / "cat.parquet").unlink()
    monkeypatch.setitem(materialising._COMPUTE, "timed_text", mend_and_fail)
    platform = catalogue.platform()
    assert materialise(platform, ("timed_text",), "cat")[0].status == "quarantined"
    assert select_titles(platform).work == ["cat"]


def test_odd_names_in_the_inbox_do_not_stop_other_titles(catalogue):
    odd = os.fsdecode(os.fsencode(str(catalogue.inbox)) + b"/caf\xe9")
    Path(odd).mkdir()
    (catalogue.inbox / "lost+found").mkdir()
    platform = catalogue.platform()
    assert select_titles(platform).work == []
    found = states(platform)
    assert found["caf\\xe9"] == found["lost+found"] == "quarantined"
    json.dumps(found).encode()


@pytest.mark.parametrize("title_id", ["../cat", "/etc/passwd", "a/../../b", "..."])
def test_a_partition_key_that_is_a_path_reaches_no_file(catalogue, title_id):
    victim = catalogue.store / "cat.json"
    victim.write_text("{}")
    for assets in (("title",), ("shots", "keyframes", "soundtrack")):
        outcome = materialise(catalogue.platform(), assets, title_id)[0]
        assert outcome.status == "quarantined"
        assert repr(title_id) in outcome.reason
    assert victim.exists()
    assert list(Quarantine(catalogue.platform().store)) == []


def test_a_title_missing_from_the_inbox_does_not_block_a_release(catalogue):
    platform = catalogue.platform(training={"steps": 5, "validate_every": 5})
    shutil.rmtree(catalogue.inbox / "cat")
    old = platform.serving_model
    release(platform, train_model(platform).candidate)
    assert platform.serving_model != old
    ingest_titles(platform, ["coffee"])
    assert str(publish_titles(platform, ["coffee"])) == "unchanged: 1 titles"


def test_the_quarantine_entry_of_a_removed_folder_is_removed(catalogue):
    make_title(catalogue.inbox, "gone", SAMPLES / "a_cat_in_the_city", seconds=1.0)
    (catalogue.inbox / "gone" / "title.json").write_text("no")
    platform = catalogue.platform()
    materialise(platform, ("title",), "gone")
    assert [entry.title_id for entry in Quarantine(platform.store)] == ["gone"]
    shutil.rmtree(catalogue.inbox / "gone")
    select_titles(platform)
    assert list(Quarantine(platform.store)) == []


def test_the_same_training_is_not_done_twice_and_another_synopsis_is_another_training(catalogue):
    platform = catalogue.platform()
    again = train_model(platform)
    assert (again.identity, again.seconds) == (platform.serving_model, None)
    write_manifest(catalogue.inbox / "cat", synopsis="Nothing of the kind.")
    ingest_titles(platform, ["cat"])
    assert train_model(platform).seconds is not None


def test_an_invalid_record_of_a_title_is_written_again(catalogue):
    platform = catalogue.platform()
    found = platform.store.json_record("title", "coffee")
    for part, value in (("hashed", {"media.mp4": {"stamp": 5}}), ("probe", {}), ("manifest", {})):
        platform.store.write_json(found[0], {**found[1], part: value})
        (outcome,) = materialise(platform, ("title",), "coffee", force=True)
        assert outcome.status == "computed"
        assert platform.store.json_record("title", "coffee")[1] == found[1]
