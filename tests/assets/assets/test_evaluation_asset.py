"""The asset `evaluation`, the checks of a candidate, and the comparison by `mediafm release`."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from marked_catalogue import CLIPS, LABEL, TITLES, MarkedCatalogue, MarkedModels

from mediafm_assets.assets.evaluation_asset import EVALUATION, MODEL, hidden_shots_are_predicted
from mediafm_assets.assets.evaluation_asset import in_context_as_good_as_serving as by_labels
from mediafm_assets.dagster_internals import DATA_VERSION_TAG
from mediafm_assets.definitions import defs
from mediafm_assets.resources.instance import open_instance
from mediafm_core.cli.main import main
from mediafm_core.pipeline.serving import release_history
from mediafm_core.readable import as_markdown

METRIC = "average_precision"
QUICK = {"representations": ["flat", "in_context"], "folds": 2, "bootstrap": 100}


@pytest.fixture
def models(marked_models: MarkedModels, tmp_path: Path) -> MarkedModels:
    """Return a copy that tests may change."""
    return marked_models.copy(tmp_path / "store")


@pytest.fixture
def mediafm(models: MarkedModels, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs `mediafm ARGUMENTS` on the catalogue."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("MEDIAFM_STORE", str(models.catalogue.root))
    monkeypatch.setenv("MEDIAFM_INBOX", str(models.catalogue.root / "inbox"))
    monkeypatch.setenv("MEDIAFM_EVALUATION__FOLDS", "2")
    monkeypatch.setenv("MEDIAFM_EVALUATION__BOOTSTRAP", "200")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


def evaluate(
    catalogue: MarkedCatalogue, config: dict[str, object], raises: bool = True
) -> dg.ExecuteInProcessResult:
    """Run the job `evaluate_catalogue`."""
    with open_instance(catalogue.store) as instance:
        return defs.resolve_job_def("evaluate_catalogue").execute_in_process(
            run_config={"ops": {EVALUATION: {"config": config}}},
            instance=instance,
            resources={"platform": catalogue.platform()},
            raise_on_error=raises,
        )


def materialisation(result: dg.ExecuteInProcessResult) -> dg.AssetMaterialization:
    [event] = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(EVALUATION)
    return event.materialization


def figures(materialisation: dg.AssetMaterialization) -> dict[str, object]:
    return {name: each.value for name, each in materialisation.metadata.items()}


def check(
    catalogue: MarkedCatalogue, candidate: str, which: dg.AssetChecksDefinition = by_labels
) -> dg.AssetCheckEvaluation:
    """Run a check after a candidate was trained."""
    everything = dg.Definitions(
        asset_checks=[which],
        jobs=[dg.define_asset_job("check", dg.AssetSelection.checks(which))],
        resources={"platform": catalogue.platform()},
        executor=dg.in_process_executor,
    )
    with open_instance(catalogue.store) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(MODEL, tags={DATA_VERSION_TAG: candidate})
        )
        done = everything.resolve_job_def("check").execute_in_process(instance=instance)
    [found] = done.get_asset_check_evaluations()
    return found


class TestAsset:
    def test_shows_table_plots_and_figures_and_computes_once(self, models: MarkedModels) -> None:
        first = materialisation(evaluate(models.catalogue, QUICK))
        shown = figures(first)
        assert (shown["models"], shown["state"]) == (models.serving, "measured")
        assert (shown["labels"], shown["titles"]) == (1, len(TITLES))
        assert shown["clips"] == len(TITLES) * CLIPS
        assert f"### {LABEL}" in str(shown["table"])
        assert f"| {as_markdown('in_context')} | " in str(shown["table"])
        assert str(shown["plots"]).count("(data:image/png;base64,") == 2
        in_context = shown[f"{LABEL} in_context {METRIC}"]
        flat = shown[f"{LABEL} flat {METRIC}"]
        difference = shown[f"{LABEL} in_context minus flat {METRIC}"]
        assert isinstance(in_context, float)
        assert isinstance(flat, float)
        assert difference == pytest.approx(in_context - flat)
        assert str(shown[f"{LABEL} verdict"]).startswith("In context adds ")
        assert f"{as_markdown(shown[f'{LABEL} verdict'])}" in str(shown["table"])

        for folder in models.catalogue.store.models.iterdir():  # nothing can be computed now
            (folder / "model.safetensors").unlink()
        second = materialisation(evaluate(models.catalogue, QUICK))
        assert (first.tags or {})[DATA_VERSION_TAG] == (second.tags or {})[DATA_VERSION_TAG]
        assert (shown["computed_now"], figures(second)["computed_now"]) == (1, 0)
        assert figures(second) == {**shown, "computed_now": 0}

    def test_no_labels_are_a_result(self, tmp_path: Path) -> None:
        catalogue = MarkedCatalogue(tmp_path)
        catalogue.labels = {}
        catalogue.serving(catalogue.save_model(1))
        done = evaluate(catalogue, {})
        assert done.success
        shown = figures(materialisation(done))
        assert shown["state"] == "not measurable"
        assert "add label columns to clips.csv" in str(shown["reason"])
        assert not [value for value in shown.values() if isinstance(value, int | float)]
        found = check(catalogue, catalogue.save_model(2))
        assert found.passed
        assert found.metadata["state"].value == "not measurable"
        assert "add label columns to clips.csv" in str(found.metadata["finding"].value)

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            (
                {"labels": ["mood"]},
                f"No clip of the catalogue has a label 'mood': there is {LABEL}",
            ),
            ({"labels": [LABEL], "models": ["0000"]}, "There is no model '0000'"),
            ({"representations": ["sharpness"]}, "There is no representation 'sharpness'"),
        ],
    )
    def test_an_unknown_name_fails_with_a_sentence(
        self, models: MarkedModels, config: dict[str, object], reason: str
    ) -> None:
        done = evaluate(models.catalogue, config, raises=False)
        assert not done.success
        data = done.failure_data_for_node(EVALUATION)
        assert data is not None
        assert reason in (data.user_failure_data.description or "")

    def test_an_unknown_task(self, models: MarkedModels) -> None:
        with pytest.raises(dg.DagsterInvalidConfigError):
            evaluate(models.catalogue, {"task": "sorting"})


class TestChecks:
    def test_a_blind_candidate_gets_a_warning(self, models: MarkedModels) -> None:
        found = check(models.catalogue, models.blind)
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert f"worse by {LABEL}, beyond the interval" in str(found.metadata["finding"].value)
        high = found.metadata[f"{LABEL} {METRIC} high"].value
        assert isinstance(high, float)
        assert high < 0
        assert "data:image/png" in str(found.metadata["plots"].value)

    def test_an_equal_candidate_gets_no_warning(self, models: MarkedModels) -> None:
        found = check(models.catalogue, models.equal)
        assert found.passed
        assert found.metadata["state"].value == "passed"
        assert found.metadata["compared_with"].value == models.serving

    def test_masked_shots(self, models: MarkedModels) -> None:
        found = check(models.catalogue, models.blind, hidden_shots_are_predicted)
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "worse than the best baseline" in str(found.metadata["finding"].value)

    def test_a_model_is_checked_when_it_has_been_trained(self, models: MarkedModels) -> None:
        catalogue = models.catalogue
        for title_id in TITLES:
            (catalogue.root / "inbox" / title_id).mkdir(parents=True)
        training = {"steps": 2, "validate_every": 2, "crop_shots": 8}
        with open_instance(catalogue.store) as instance:
            done = defs.resolve_job_def("train_model").execute_in_process(
                instance=instance, resources={"platform": catalogue.platform(training=training)}
            )
        [trained] = done.get_asset_materialization_events()
        candidate = (trained.materialization.tags or {})[DATA_VERSION_TAG]
        found = {each.check_name: each for each in done.get_asset_check_evaluations()}
        assert set(found) == {"in_context_as_good_as_serving", "hidden_shots_are_predicted"}
        shown = found["in_context_as_good_as_serving"].metadata
        assert shown["candidate"].value == candidate
        assert shown["compared_with"].value == models.serving
        assert isinstance(shown[f"{LABEL} {METRIC}"].value, float)


class TestRelease:
    def test_warns_that_a_candidate_is_worse_and_releases_it(
        self, mediafm, models: MarkedModels
    ) -> None:
        shutil.rmtree(models.catalogue.root / EVALUATION)
        result = mediafm("release", models.blind)
        assert result.exit_code == 0, result.output
        by_labels, by_validation_loss, *_ = result.stdout.splitlines()
        assert by_labels.startswith(f"Warning: {models.blind} in context minus {models.serving}")
        assert by_labels.endswith(f"It is worse by {LABEL}, beyond the interval.")
        assert by_validation_loss.startswith(f"Warning: {models.blind}: validation loss 0.3000")
        assert f"{models.blind} is released" in result.stdout
        assert release_history(models.catalogue.store)[-1].model == models.blind

    def test_prints_no_warning_for_an_equal_candidate(self, mediafm, models: MarkedModels) -> None:
        result = mediafm("release", models.equal)
        assert result.exit_code == 0, result.output
        assert "Warning" not in result.stdout
        assert f"average precision of {LABEL} +0.000 (" in result.stdout.splitlines()[0]

    def test_settings_can_refuse_a_worse_candidate(
        self, mediafm, models: MarkedModels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDIAFM_EVALUATION__REFUSE_WORSE", "true")
        result = mediafm("release", models.blind)
        assert result.exit_code == 1
        assert "evaluation.refuse_worse forbids its release" in result.stderr
        assert release_history(models.catalogue.store)[-1].model == models.serving

    def test_can_skip_the_comparison(self, mediafm, models: MarkedModels) -> None:
        result = mediafm("release", "--no-compare", models.blind)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(f"{models.blind} is released")

    def test_the_job_warns_as_well(self, models: MarkedModels) -> None:
        with open_instance(models.catalogue.store) as instance:
            done = defs.resolve_job_def("release_model").execute_in_process(
                run_config={"ops": {"release_candidate": {"config": {"version": models.blind}}}},
                instance=instance,
                resources={"platform": models.catalogue.platform()},
            )
            logs = instance.all_logs(done.run_id)
        warned = [each.user_message for each in logs if each.level == 30]
        assert any(f"worse by {LABEL}" in message for message in warned)
        assert release_history(models.catalogue.store)[-1].model == models.blind
