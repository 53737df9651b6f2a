"""`mediafm train`, `models`, `release` and `rollback`, and the jobs of the same purpose."""

import json
import shutil
import subprocess
import sys

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from released_models import release
from trained_store import TrainedStore

from mediafm_assets.assets.model_assets import SERVING_MODEL
from mediafm_assets.definitions import defs
from mediafm_assets.partitions import MODELS, is_over_titles, offer_models
from mediafm_assets.resources.instance import open_instance
from mediafm_assets.sensors.run_requests import titles_under_way
from mediafm_core.cli.main import main
from mediafm_core.pipeline.releases.release import login_name
from mediafm_core.pipeline.serving import release_history, serving_model


@pytest.fixture
def mediafm(trained_store: TrainedStore, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `mediafm ARGUMENTS` on the store of trained models."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MEDIAFM_STORE", str(trained_store.root))
    monkeypatch.setenv("MEDIAFM_INBOX", str(trained_store.inbox))
    settings = trained_store.platform().settings
    for section in ("model", "training"):
        for name, value in getattr(settings, section).model_dump(exclude_defaults=True).items():
            monkeypatch.setenv(f"MEDIAFM_{section}__{name}".upper(), str(value))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


def observations(trained: TrainedStore) -> list[dg.AssetObservation]:
    """Return the observations of `serving_model`, the latest first."""
    with open_instance(trained.store) as instance:
        found = instance.fetch_observations(dg.AssetKey(SERVING_MODEL), limit=10).records
    return [each.asset_observation for each in found if each.asset_observation]


class TestPreset:
    def test_train_takes_the_preset_and_keeps_other_settings(
        self, mediafm, trained_store: TrainedStore
    ):
        result = mediafm("train", "--preset", "published")
        assert result.exit_code == 0, result.output
        (model,) = {each.name for each in trained_store.store.models.iterdir()} - {
            *trained_store.models
        }
        config = json.loads((trained_store.folder(model) / "config.json").read_bytes())
        assert config["attention"] == "bidirectional"
        assert config["hidden_size"] == trained_store.platform().settings.model.hidden
        training = json.loads((trained_store.folder(model) / "training.json").read_bytes())
        assert training["training"]["optimiser"] == "muon"
        assert training["training"]["steps"] == 2

    def test_the_daemon_of_the_ui_gets_the_preset(
        self, mediafm, trained_store: TrainedStore, monkeypatch: pytest.MonkeyPatch
    ):
        given: dict[str, str] = {}

        def serve(_host: str, _port: int, environment: dict[str, str], _token: str) -> int:
            given.update(environment)
            return 0

        monkeypatch.setattr("mediafm_assets.ui.ui_process.serve", serve)
        assert mediafm("ui", "--preset", "published").exit_code == 0
        assert given["MEDIAFM_PRESET"] == "published"
        given.clear()
        assert mediafm("ui").exit_code == 0
        assert given["MEDIAFM_STORE"] == str(trained_store.root)
        assert "MEDIAFM_PRESET" not in given


class TestModels:
    def test_the_table(self, mediafm, trained_store: TrainedStore):
        first, second, third = trained_store.models
        release(trained_store.platform(), first)
        release(trained_store.platform(), second, reason="better names", released_by="Åsa")
        result = mediafm("models")
        assert result.exit_code == 0, result.output
        lines = {
            line.split()[0]: line
            for line in result.stdout.splitlines()
            if line.split()[-1:] == ["yes"]
        }
        for model, state in ((first, "previous"), (second, "serving"), (third, "candidate")):
            training = json.loads((trained_store.folder(model) / "training.json").read_bytes())
            assert f" {state} " in lines[model]
            assert f"{training['curve'][-1]['validation_loss']:.4f}" in lines[model]
            assert f"{min(training['baselines'].values()):.4f}" in lines[model]
            assert "same titles" in lines[model]
            assert lines[model].split()[-1] == "yes"
        assert "by Åsa: better names" in result.stdout

    def test_json(self, mediafm, trained_store: TrainedStore):
        release(trained_store.platform(), trained_store.models[1])
        other = trained_store.with_another_configuration(global_size=6)
        (trained_store.folder(trained_store.models[2]) / "config.json").write_text("{")
        rows = {
            row["model"]: row for row in json.loads(mediafm("models", "--json").stdout)["models"]
        }
        assert {model: (row["state"], row["fits"]) for model, row in rows.items()} == {
            trained_store.models[0]: ("candidate", True),
            trained_store.models[1]: ("serving", True),
            trained_store.models[2]: ("damaged", False),
            other: ("candidate", False),
        }
        assert "config.json is damaged" in rows[trained_store.models[2]]["reason"]
        assert "width 6 against 384" in rows[other]["reason"]
        assert rows[trained_store.models[0]]["steps"] == 2

    def test_a_model_of_another_version(self, mediafm, trained_store: TrainedStore):
        folder = trained_store.folder(trained_store.models[0])
        earlier = folder.rename(folder.with_name(f"mediafm-3@{folder.name.partition('@')[2]}"))
        record = json.loads((earlier / "training.json").read_bytes())
        record["identity"]["version"] = "3"
        (earlier / "training.json").write_text(json.dumps(record))
        rows = json.loads(mediafm("models", "--json").stdout)["models"]
        (row,) = (row for row in rows if row["model"] == earlier.name)
        assert (row["state"], row["fits"]) == ("candidate", False)
        assert "of version 3 and this MediaFM reads version 7: train a new one" in row["reason"]
        refused = mediafm("release", earlier.name)
        assert refused.exit_code != 0
        assert "train a new one with `mediafm train --release`" in refused.output

    def test_the_model_card(self, mediafm, trained_store: TrainedStore):
        card = trained_store.folder(trained_store.models[0]) / "README.md"
        digest = trained_store.models[0].partition("@")[2]
        result = mediafm("models", digest[:8])
        assert result.stdout == card.read_text()
        assert json.loads(mediafm("models", digest, "--json").stdout)["model_card"] == (
            card.read_text()
        )

    def test_no_model_at_all(self, mediafm, trained_store: TrainedStore):
        for model in trained_store.models:
            shutil.rmtree(trained_store.folder(model))
        result = mediafm("models", "--store", str(trained_store.root))
        assert "No model in" in result.stdout
        assert result.exit_code == 0

    def test_no_weights_and_no_torch(self, trained_store: TrainedStore):
        for model in trained_store.models:
            (trained_store.folder(model) / "model.safetensors").write_bytes(b"")
        code = (
            "import sys; from mediafm_core.cli.main import main; "
            f"main(['models', '--store', {str(trained_store.root)!r}], standalone_mode=False); "
            "print(*sys.modules, file=sys.stderr)"
        )
        listed = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        assert all(model in listed.stdout for model in trained_store.models)
        assert not {"torch", "transformers", "dagster"} & set(listed.stderr.split())


class TestRelease:
    def test_release_and_rollback_are_recorded_and_observed(
        self, mediafm, trained_store: TrainedStore
    ):
        first, second, _ = trained_store.models
        for model in (first, second):
            digest = model.partition("@")[2]
            result = mediafm("release", digest[:8], "-m", f"try {digest}", "--by", "Åsa")
            assert result.exit_code == 0, result.output
            assert f"{model} is released: try {digest}" in result.stdout
            assert "`mediafm run`" in result.stdout
        result = mediafm("rollback", "--reason", "worse names")
        assert result.exit_code == 0, result.output
        assert f"Rolled back from {second} to {first}." in result.stdout

        seen = observations(trained_store)
        assert [each.tags["dagster/data_version"] for each in seen] == [first, second, first]
        metadata = {name: each.value for name, each in seen[0].metadata.items()}
        made = release_history(trained_store.store)[-1]
        assert metadata == {
            "model": first,
            "released_at": made.released_at.timestamp(),
            "released_by": login_name(),
            "reason": "worse names",
            "previous": second,
            "releases": 3,
        }

        table = mediafm("models", "--releases").stdout
        assert "worse names" in table
        rows = json.loads(mediafm("models", "--releases", "--json").stdout)["releases"]
        assert [row["model"] for row in rows] == [first, second, first]
        assert rows[0]["restores"] == 0

    def test_a_release_of_the_serving_model_prints_it(self, mediafm, trained_store: TrainedStore):
        mediafm("release", trained_store.models[0])
        before = trained_store.pointer
        result = mediafm("release", trained_store.models[0])
        assert (result.exit_code, trained_store.pointer) == (0, before)
        assert f"{trained_store.models[0]} is the serving model already." in result.stdout

    def test_a_refusal_is_one_line(self, mediafm, trained_store: TrainedStore):
        for arguments in (("release", "0000"), ("rollback",)):
            result = mediafm(*arguments)
            assert result.exit_code == 1
            assert result.stderr.startswith("Error: ")
            assert result.stderr.count("\n") == 1
        assert trained_store.pointer == b""
        assert observations(trained_store) == []


class TestTrain:
    def test_yields_a_candidate_and_the_next_command(self, mediafm, trained_store: TrainedStore):
        release(trained_store.platform(), trained_store.models[0])
        before = trained_store.pointer
        result = mediafm("train")
        assert result.exit_code == 0, result.output
        assert trained_store.pointer == before
        assert "It is the serving model already." in result.stdout
        assert "An earlier training with these settings" in result.stdout
        assert "0/" not in result.stdout
        release(trained_store.platform(), trained_store.models[1])
        result = mediafm("train")
        digest = trained_store.models[0].partition("@")[2]
        assert f"mediafm release {digest[:8]}" in result.stdout
        assert serving_model(trained_store.store) == trained_store.models[1]

    def test_can_release_at_once(self, mediafm, trained_store: TrainedStore):
        result = mediafm("train", "--release", "-m", "it is time", "--by", "Åsa")
        assert result.exit_code == 0, result.output
        [made] = release_history(trained_store.store)
        assert (made.model, made.reason) == (trained_store.models[0], "it is time")
        assert made.released_by == "Åsa"

    def test_fails_before_the_training_if_it_could_not_release(
        self, mediafm, trained_store: TrainedStore, monkeypatch: pytest.MonkeyPatch
    ):
        other = trained_store.folder(trained_store.models[1])
        monkeypatch.setenv("MEDIAFM_SERVING_MODEL", str(other))
        result = mediafm("train", "--release")
        assert result.exit_code == 1
        assert "serving_model names" in result.stderr
        assert trained_store.pointer == b""


class TestJobs:
    def execute(
        self, trained: TrainedStore, job: str, op: str, config: dict, model: str | None = None
    ) -> dg.ExecuteInProcessResult:
        with open_instance(trained.store) as instance:
            offer_models(instance, trained.store)
            return defs.resolve_job_def(job).execute_in_process(
                partition_key=model,
                run_config={"ops": {op: {"config": config}}},
                instance=instance,
                resources={"platform": trained.platform()},
                raise_on_error=False,
            )

    def test_release_and_roll_back(self, trained_store: TrainedStore):
        first, second, _ = trained_store.models
        for model in (first, second):
            config = {"version": model, "reason": "from the UI", "released_by": "Åsa"}
            done = self.execute(trained_store, "release_model", "release_candidate", config)
            assert done.success
        made = release_history(trained_store.store)[-1]
        assert (made.model, made.reason, made.released_by) == (second, "from the UI", "Åsa")
        assert self.execute(trained_store, "rollback_model", "restore_previous_release", {}).success
        assert serving_model(trained_store.store) == first
        seen = [each.metadata["model"].value for each in observations(trained_store)]
        assert seen == [first, second, first]

    def test_a_refusal_is_the_reason_of_the_failed_run(self, trained_store: TrainedStore):
        done = self.execute(
            trained_store, "release_model", "release_candidate", {"version": "0000"}
        )
        assert not done.success
        data = done.failure_data_for_node("release_candidate")
        assert data is not None
        assert "There is no model '0000'" in (data.user_failure_data.description or "")
        assert trained_store.pointer == b""

    def test_the_launchpad_offers_the_models_as_partitions(self, trained_store: TrainedStore):
        first, second, _ = trained_store.models
        with open_instance(trained_store.store) as instance:
            assert instance.get_dynamic_partitions(MODELS) == []
        done = self.execute(trained_store, "train_model", "mediafm_model", {})
        with open_instance(trained_store.store) as instance:
            assert set(instance.get_dynamic_partitions(MODELS)) == set(trained_store.models)
        for model in (first, second):
            config = {"reason": "chosen", "compare": False}
            done = self.execute(trained_store, "release_model", "release_candidate", config, model)
            assert done.success
            assert serving_model(trained_store.store) == model
        assert release_history(trained_store.store)[-1].reason == "chosen"

    @pytest.mark.parametrize("chosen", ["nothing", "two models"])
    def test_exactly_one_model_must_be_chosen(self, trained_store: TrainedStore, chosen: str):
        first, second, third = trained_store.models
        model, config = (None, {}) if chosen == "nothing" else (first, {"version": second})
        done = self.execute(trained_store, "release_model", "release_candidate", config, model)
        assert not done.success
        data = done.failure_data_for_node("release_candidate")
        assert data is not None
        reason = data.user_failure_data.description or ""
        assert trained_store.pointer == b""
        if chosen == "nothing":
            assert reason.startswith("No model is chosen")
            assert all(each in reason for each in (first, second, third, "`mediafm models`"))
        else:
            assert reason.endswith("choose one of them.")

    def test_a_release_is_not_a_run_over_titles(self, trained_store: TrainedStore):
        model = trained_store.models[0]
        assert not is_over_titles({"dagster/partition": model})
        assert is_over_titles({"dagster/partition": "cat"})
        with open_instance(trained_store.store) as instance:
            for name in (model, "cat"):
                instance.create_run_for_job(
                    defs.resolve_job_def("release_model"), tags={"dagster/partition": name}
                )
            assert titles_under_way(instance, ["bird", "cat"]) == {"cat"}

    def test_a_trained_model_shows_if_it_is_released(self, trained_store: TrainedStore):
        for config, state in (({}, "candidate"), ({"release": True}, "released")):
            done = self.execute(trained_store, "train_model", "mediafm_model", config)
            [event] = done.get_asset_materialization_events()
            assert event.materialization.metadata["state"].value == state
