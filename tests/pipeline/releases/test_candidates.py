"""Candidates: their list with the evidence for each, and training of a damaged one again."""

import json
from datetime import UTC, datetime

import pytest
from damaged_models import DAMAGE
from released_models import release
from trained_store import TrainedStore

from mediafm_core.errors import MediaFMError
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training import training, training_loop
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.releases.candidates import (
    Candidate,
    DamagedCandidate,
    list_candidates,
)
from mediafm_core.pipeline.serving import (
    serving_model,
)


def test_a_training_run_yields_a_candidate_and_releases_nothing(trained_store: TrainedStore):
    assert serving_model(trained_store.store) is None
    found = list_candidates(trained_store.store)
    assert {each.identity for each in found} == set(trained_store.models)
    for each in found:
        assert isinstance(each, Candidate)
        assert (each.record.titles, each.record.shots, each.record.steps) == (2, 24, 2)
        assert each.record.validation == "same titles"
        assert each.record.created_at <= datetime.now(UTC)


def test_the_loss_is_that_of_the_weights_that_were_kept(trained_store: TrainedStore):
    path = trained_store.folder(trained_store.models[0]) / "training.json"
    curve = [
        {"step": step, "training_loss": 0.9, "validation_loss": loss}
        for step, loss in ((10, 0.5), (20, 0.4), (30, 0.6))
    ]
    record = {**json.loads(path.read_bytes()), "curve": curve, "kept_step": 20}
    path.write_text(json.dumps(record))
    found = Candidate(path.parent).record
    assert (found.steps, found.validation_loss) == (20, 0.4)


def test_the_newest_comes_first(trained_store: TrainedStore):
    days = {}
    for day, model in enumerate(trained_store.models):
        path = trained_store.folder(model) / "training.json"
        record = {**json.loads(path.read_bytes()), "created_at": f"2026-03-0{day + 1}T10:00"}
        path.write_text(json.dumps(record))
        days[model] = day
    found = [days[each.identity] for each in list_candidates(trained_store.store)]
    assert found == [2, 1, 0]


@pytest.mark.parametrize("damage", sorted(DAMAGE.keys() - {"truncated", "altered"}))
def test_a_damaged_one_is_listed_with_its_reason_beside_the_others(
    trained_store: TrainedStore, damage: str
):
    harm, message = DAMAGE[damage]
    harm(trained_store.folder(trained_store.models[1]))
    found = list_candidates(trained_store.store)
    [bad] = [each for each in found if isinstance(each, DamagedCandidate)]
    with pytest.raises(MediaFMError, match=message):
        raise MediaFMError(bad.reason)
    assert len(found) == 3


def test_a_damaged_one_stops_no_training(trained_store: TrainedStore):
    (trained_store.folder(trained_store.models[0]) / "training.json").write_text("{")
    assert train_model(trained_store.platform(2)).identity == trained_store.models[1]


@pytest.mark.parametrize("damage", ["truncated", "altered", "no weights", "no configuration"])
def test_a_damaged_one_is_trained_again(
    trained_store: TrainedStore, damage: str, caplog: pytest.LogCaptureFixture
):
    harm, _ = DAMAGE[damage]
    model = trained_store.models[0]
    harm(trained_store.folder(model))
    again = train_model(trained_store.platform())
    assert again.identity == model
    assert again.seconds is not None
    assert f"is trained again: {trained_store.folder(model)}" in caplog.text
    assert release(trained_store.platform(), model).is_new


def test_one_of_another_version_is_trained_again(trained_store: TrainedStore):
    first = trained_store.models[0]
    path = trained_store.folder(first) / "training.json"
    record = json.loads(path.read_bytes())
    record["identity"]["version"] = "1"
    path.write_text(json.dumps(record))
    again = train_model(trained_store.platform())
    assert (again.identity, again.seconds is None) == (first, False)
    assert train_model(trained_store.platform()).seconds is None, "and not once more"


def test_a_model_of_another_precision_is_another_one(
    trained_store: TrainedStore, monkeypatch: pytest.MonkeyPatch
):
    """That happens where a store moves to a machine with a GPU."""
    monkeypatch.setattr(training_loop, "fast_precision", lambda *_: "bfloat16")
    monkeypatch.setattr(training, "fast_precision", lambda *_: "bfloat16")
    other = train_model(trained_store.platform())
    assert other.identity not in trained_store.models
    assert other.training["arithmetic"] == "bfloat16"
    assert train_model(trained_store.platform()).seconds is None


def test_from_pretrained_reads_the_folder_and_finds_no_pickle(trained_store: TrainedStore):
    folder = trained_store.folder(trained_store.models[0])
    network = MediaFM.from_pretrained(folder, local_files_only=True)
    assert network.config.encoder_identities == dict(
        json.loads((folder / "config.json").read_bytes())["encoder_identities"]
    )
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "config.json", "model.safetensors", "training.json")
    }
