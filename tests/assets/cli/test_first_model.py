"""`mediafm run --model`: a catalogue's first run serves a network that others have trained."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster_catalogue import DagsterCatalogue
from damaged_models import DAMAGE
from films import SAMPLES, make_title
from trained_store import TrainedStore

from mediafm_assets.resources.instance import open_instance
from mediafm_core.cli.main import main
from mediafm_core.pipeline.serving import release_history, serving_model
from mediafm_core.store.features import catalogue
from mediafm_core.store.store import Store

Run = Callable[..., Result]
NAMELESS = [name for name in DAMAGE if name != "another's name"]  # a folder may have any name


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `mediafm run ARGUMENTS` on a new catalogue of one short film."""
    make_title(
        tmp_path / "first" / "inbox",
        "raccoon",
        SAMPLES / "the_raccoon_who_missed_the_train",
        seconds=4.0,
    )
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MEDIAFM_INBOX", str(tmp_path / "first" / "inbox"))
    monkeypatch.setenv("MEDIAFM_STORE", str(tmp_path / "first" / "store"))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["run", *map(str, arguments)])

    return invoke


@pytest.fixture
def model(trained_store: TrainedStore, tmp_path: Path) -> Path:
    """Return a model of another catalogue, in a folder with any name."""
    trained = trained_store.folder(trained_store.models[0])
    return Path(shutil.copytree(trained, tmp_path / "from others"))


def was_trained(store: Store) -> bool:
    """Return True if Dagster has recorded a training."""
    with open_instance(store) as instance:
        found = instance.fetch_materializations(dg.AssetKey("mediafm_model"), limit=1).records
    return bool(found) or (store.root / "training").exists()


def seen_by_readers(store: Store) -> tuple[str, list[str]]:
    """Return the published model and its titles."""
    published = catalogue(store)
    assert published is not None
    return published.model, sorted(published.versions)


def test_a_first_run_serves_the_model_of_others_and_trains_nothing(
    run: Run, model: Path, dagster_catalogue: DagsterCatalogue, tmp_path: Path
) -> None:
    store = Store(tmp_path / "first" / "store")
    done = run("--model", model)
    assert done.exit_code == 0, done.output
    identity = json.loads((model / "training.json").read_bytes())["identity"]
    served = f"mediafm-{identity['version']}@{identity['digest']}"
    assert f"{served} serves as the catalogue's first model." in done.stdout
    [release] = release_history(store)
    assert (release.model, release.previous) == (served, None)
    assert release.reason == f"setting serving_model: {model}"
    assert not was_trained(store)
    assert [folder.name for folder in store.models.iterdir()] == [served]
    assert seen_by_readers(store) == (served, ["raccoon"])

    platform = dagster_catalogue.platform()
    other = platform.store.models / str(platform.serving_model)
    again = run("--model", other)
    assert again.exit_code == 0, again.output
    assert f"{other.name} serves in place of {served}: `mediafm rollback`" in again.stdout
    assert [each.model for each in release_history(store)] == [served, other.name]
    assert not was_trained(store)
    assert seen_by_readers(store) == (other.name, ["raccoon"])

    same = run("--model", other)
    assert "serves" not in same.stdout
    assert len(release_history(store)) == 2


class TestRefusals:
    """A refused model leaves no trace, and no title is read."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, run: Run, tmp_path: Path):
        yield
        store = Store(tmp_path / "first" / "store")
        assert serving_model(store) is None
        assert not store.models.exists() or not list(store.models.iterdir())
        assert not (store.root / "shots").exists()

    @pytest.mark.parametrize("damage", NAMELESS)
    def test_a_damaged_folder(self, run: Run, model: Path, damage: str) -> None:
        harm, message = DAMAGE[damage]
        harm(model)
        refused = run("--model", model)
        assert refused.exit_code == 1
        assert re.search(message, refused.stderr), refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    def test_a_missing_folder(self, run: Run, tmp_path: Path, monkeypatch) -> None:
        refused = run("--model", tmp_path / "nowhere")
        assert refused.exit_code == 2
        assert "nowhere' does not exist" in refused.stderr
        monkeypatch.setenv("MEDIAFM_SERVING_MODEL", str(tmp_path / "nowhere"))
        refused = run()
        assert refused.exit_code == 1
        assert "nowhere is no trained model, it has no training.json" in refused.stderr

    def test_another_encoder(self, run: Run, trained_store: TrainedStore) -> None:
        encoders = {"video": "eyes-1@aa", "audio": "ears-1@bb", "text": "letters-1@cc"}
        other = trained_store.with_another_configuration(encoder_identities=encoders)
        refused = run("--model", trained_store.folder(other))
        assert refused.exit_code == 1
        assert "is not compatible with the encoders of the settings (" in refused.stderr
        assert "train a model on this catalogue or set the encoders" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1

    def test_an_older_version(self, run: Run, model: Path) -> None:
        record = json.loads((model / "training.json").read_bytes())
        record["identity"]["version"] = "3"
        (model / "training.json").write_text(json.dumps(record))
        refused = run("--model", model)
        assert refused.exit_code == 1
        assert "holds a model of version 3 and this MediaFM reads version" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
