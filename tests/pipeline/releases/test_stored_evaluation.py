"""Evaluation of models on the catalogue's labels, and comparison of a candidate."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from marked_catalogue import CLIPS, LABEL, TITLES, MarkedCatalogue, MarkedModels
from released_models import (
    compare_before_release,
    compare_with_serving,
    predicts_masked_shots,
    release,
)
from s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from stored_files import upload_folder

from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model import model_files, saved_model
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases import model_comparison
from mediafm_core.pipeline.releases import release as releases
from mediafm_core.pipeline.releases.candidates import resolve
from mediafm_core.pipeline.releases.model_comparison import difference
from mediafm_core.pipeline.releases.stored_evaluation import (
    NO_LABELS,
    CatalogueEvaluation,
    EvaluationRequest,
    MeasuredLabel,
    evaluate_catalogue,
    picture,
)
from mediafm_core.pipeline.serving import serving_model
from mediafm_core.store import model_store
from mediafm_core.store.features import remove

QUICK = EvaluationRequest(representations=("in_context",))


@pytest.fixture
def models(marked_models: MarkedModels, tmp_path: Path) -> MarkedModels:
    """Return a copy to change, without stored evaluations."""
    return marked_models.copy(tmp_path / "store", compared=False)


def evaluated(platform: Platform, request: EvaluationRequest = QUICK) -> CatalogueEvaluation:
    return evaluate_catalogue(platform, request, lambda _line: None)


def only(found: CatalogueEvaluation) -> MeasuredLabel:
    (measured,) = found.measured
    return measured


def with_labels(root: Path, **labels: str) -> MarkedCatalogue:
    """Make a catalogue whose clips all have these labels."""
    catalogue = MarkedCatalogue(root)
    catalogue.labels = labels
    return catalogue.serving(catalogue.save_model(1))


class TestEvaluation:
    def test_measures_the_model_that_serves(self, models: MarkedModels) -> None:
        asked = EvaluationRequest(representations=("flat", "in_context"))
        found = evaluated(models.platform, asked)
        assert found.models == (models.serving,)
        measured = only(found)
        report = measured.report
        assert (report.label, report.task, report.folds) == (LABEL, "binary", 2)
        assert (report.titles, report.units) == (len(TITLES), len(TITLES) * CLIPS)
        values = {
            row.representation: row.value
            for row in report.evaluation.results
            if row.metric == report.primary_metric
        }
        assert values["in_context"] > 0.9  # the mark is in the vectors, by construction
        store = models.catalogue.store
        assert measured.key.startswith(f"evaluation/{models.serving}/")
        document = json.loads((store.root / measured.key / "evaluation.json").read_bytes())
        assert document["model"]["models"] == [models.serving]
        rows = pq.read_table(store.root / measured.key / "evaluation.parquet")
        assert set(rows["representation"].to_pylist()) == {"flat", "in_context"}
        for name in ("results.png", "differences.png"):
            assert picture(store, measured, name).startswith(b"\x89PNG")

    def test_stored_figures_are_not_measured_again(self, models: MarkedModels) -> None:
        first = only(evaluated(models.platform))
        for folder in models.catalogue.store.models.iterdir():  # nothing can be computed now
            (folder / "model.safetensors").unlink()
        again = only(evaluated(models.platform))
        assert (first.is_new, again.is_new) == (True, False)
        assert (again.key, again.report) == (first.key, first.report)

    def test_other_labels_are_measured_again(self, models: MarkedModels) -> None:
        first = only(evaluated(models.platform))
        models.catalogue.write(TITLES[0], models.serving, edition=2)
        models.catalogue.publish(TITLES[0], model=models.serving)
        again = only(evaluated(models.platform))
        assert again.is_new
        assert again.key != first.key

    def test_a_damaged_result_is_measured_again(self, models: MarkedModels) -> None:
        first = only(evaluated(models.platform))
        path = models.catalogue.root / first.key / "evaluation.json"
        whole = json.loads(path.read_bytes())
        path.write_bytes(path.read_bytes()[:-20])
        again = only(evaluated(models.platform))
        assert again.is_new
        assert again.report.evaluation == first.report.evaluation
        assert json.loads(path.read_bytes())["results"] == whole["results"]

    def test_an_unknown_label(self, models: MarkedModels) -> None:
        with pytest.raises(ConfigurationError, match=f"a label 'mood': there is {LABEL}"):
            evaluated(models.platform, EvaluationRequest(labels=("mood",)))

    def test_an_unknown_model(self, models: MarkedModels) -> None:
        with pytest.raises(ConfigurationError, match="There is no model '0000'"):
            evaluated(
                models.platform,
                EvaluationRequest(models=(resolve(models.catalogue.store, "0000"),)),
            )

    def test_settings_name_labels(self, models: MarkedModels) -> None:
        platform = models.catalogue.platform(evaluation={"labels": ["mood"]})
        with pytest.raises(ConfigurationError, match="a label 'mood'"):
            evaluated(platform)

    def test_in_s3(
        self, models: MarkedModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = only(evaluated(models.platform))
        shutil.rmtree(models.catalogue.root / expected.key)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with s3_server(tmp_path / "server") as server:
            server.bucket("measured")
            upload_folder(server, models.catalogue.root, "s3://measured/store")
            access = {
                "endpoint_url": server.endpoint,
                "region": "us-east-1",
                "access_key_id": ACCESS_KEY,
                "secret_access_key": SECRET_KEY,
                "cache": tmp_path / "cache",
            }
            platform = Platform(
                load_settings(
                    store="s3://measured/store",
                    s3=access,
                    evaluation=models.platform.settings.evaluation,
                )
            )
            first, again = only(evaluated(platform)), only(evaluated(platform))
            assert (first.is_new, again.is_new) == (True, False)
            assert first.report.evaluation == expected.report.evaluation
            assert again.report.evaluation == expected.report.evaluation
            names = {Path(each.key).name for each in platform.store.files.entries(first.key)}
            assert names == {
                *("evaluation.json", "evaluation.parquet", "scores.parquet", "titles.parquet"),
                *("results.png", "differences.png"),
            }


class TestNotMeasurable:
    def test_no_clip_has_labels(self, tmp_path: Path) -> None:
        catalogue = with_labels(tmp_path)
        found = evaluated(catalogue.platform())
        assert (found.why_not, found.measured) == (NO_LABELS, ())
        candidate = catalogue.save_model(2)
        finding = compare_with_serving(catalogue.platform(), candidate).finding
        assert finding.passed is None
        assert f"not measurable: {NO_LABELS}" in finding.sentence
        assert not (tmp_path / "evaluation").exists()

    def test_labels_with_one_value(self, tmp_path: Path) -> None:
        catalogue = with_labels(tmp_path, mood="calm", rating="3")
        found = evaluated(catalogue.platform())
        assert not found.measured
        for label, reason in found.unmeasured:
            assert f"'{label}' is the same for all 36 labelled units" in reason
        finding = compare_with_serving(catalogue.platform(), catalogue.save_model(2)).finding
        assert finding.passed is None
        assert "mood not measurable ('mood' is the same" in finding.sentence

    def test_a_candidate_by_few_titles(self, models: MarkedModels) -> None:
        catalogue = models.catalogue
        remove(catalogue.store, [TITLES[0]])
        found = compare_with_serving(catalogue.platform(), models.blind).finding
        assert found.passed is None
        assert f"{LABEL} not measurable (It rests on too few titles" in found.sentence

    def test_nothing_serves(self, tmp_path: Path) -> None:
        found = evaluated(MarkedCatalogue(tmp_path).platform())
        assert found.why_not is not None
        assert "no model serves" in found.why_not


class TestComparison:
    def test_a_blind_model_is_worse(self, marked_models: MarkedModels) -> None:
        found = compare_with_serving(marked_models.platform, marked_models.blind)
        assert found.finding.passed is False
        assert f"worse by {LABEL}, beyond the interval" in found.finding.sentence
        row = difference(found.measured[0])
        assert row.value is not None
        assert row.high is not None
        assert row.value < row.high < 0
        assert f"{row.value:+.3f} ({row.low:+.3f} to {row.high:+.3f})" in found.finding.sentence
        assert f"It adds nothing to its inputs without a network by {LABEL}." in (
            found.finding.sentence
        )
        beside = difference(found.measured[0], "inputs")
        assert beside.high is not None
        assert beside.high < 0

    def test_an_equal_one_is_not(self, marked_models: MarkedModels) -> None:
        found = compare_with_serving(marked_models.platform, marked_models.equal)
        assert found.finding.passed is True
        row = difference(found.measured[0])
        assert row.low is not None
        assert row.high is not None
        assert row.low <= 0 <= row.high

    def test_it_is_read_from_the_store(self, marked_models: MarkedModels) -> None:
        found = compare_with_serving(marked_models.platform, marked_models.blind)
        assert [each.is_new for each in found.measured] == [False]

    def test_the_serving_model_is_compared_with_the_one_before(self, models: MarkedModels) -> None:
        release(models.platform, models.blind)
        found = compare_with_serving(models.platform, models.blind)
        assert found.reference == models.serving
        assert found.finding.passed is False

    def test_the_first_model_has_nothing_beside_it(self, models: MarkedModels) -> None:
        found = compare_with_serving(models.platform, models.serving)
        assert found.reference is None
        assert found.finding.passed is None

    def test_a_serving_model_that_cannot_be_loaded(self, models: MarkedModels) -> None:
        weights = models.catalogue.store.models / models.serving / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        found = compare_with_serving(models.platform, models.equal).finding
        assert found.passed is None
        assert "not measurable" in found.sentence
        assert "truncated or damaged" in found.sentence


class TestBeforeRelease:
    def test_a_warning_forbids_nothing(self, marked_models: MarkedModels) -> None:
        digest = marked_models.blind.partition("@")[2]
        by_labels, by_validation_loss = compare_before_release(marked_models.platform, digest)
        assert by_labels.line.startswith(f"Warning: {marked_models.blind} in context minus ")
        assert by_validation_loss.line.startswith(
            f"Warning: {marked_models.blind}: validation loss"
        )

    def test_settings_can_forbid_it(self, marked_models: MarkedModels) -> None:
        platform = marked_models.catalogue.platform(evaluation={"refuse_worse": True})
        with pytest.raises(ConfigurationError, match=r"evaluation\.refuse_worse forbids"):
            compare_before_release(platform, marked_models.blind)
        assert compare_before_release(platform, marked_models.equal)[0].passed is True
        assert serving_model(platform.store) == marked_models.serving

    def test_the_serving_model_is_not_compared(self, marked_models: MarkedModels) -> None:
        assert compare_before_release(marked_models.platform, marked_models.serving) == []

    def test_a_candidate_that_release_refuses_is_refused_first(self, models: MarkedModels) -> None:
        (models.catalogue.store.models / models.equal / "optimiser.pt").write_bytes(b"")
        with pytest.raises(ConfigurationError, match=r"optimiser\.pt, a pickle"):
            compare_before_release(models.platform, models.equal)


def test_a_model_is_found_read_loaded_and_hashed_once_on_its_way_to_serve(
    models: MarkedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its version through comparison and release to the network of the next title."""
    place = models.catalogue.store.models
    calls: Counter[tuple[str, Path]] = Counter()

    def count(module: ModuleType, name: str, path_of: Callable[..., Path]) -> None:
        function = getattr(module, name)

        def counted(*arguments: Any) -> Any:
            calls[name, path_of(*arguments)] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, counted)

    count(model_store, "model_names", lambda store: store.models)
    count(model_files, "read_json", lambda folder, name: folder / name)
    count(model_files, "sha256_of_file", lambda path: path)
    count(saved_model, "load_file", lambda path: path)
    platform = models.platform
    found = resolve(platform.store, models.equal)
    findings = model_comparison.compare_before_release(platform, found)
    assert [finding.passed for finding in findings] == [True, True]
    assert releases.release(platform, found).is_new
    assert str(platform.network.identity) == models.equal

    of_models = {
        (name, folder / file): 1
        for folder in (place / models.equal, place / models.serving)
        for name, file in (
            ("read_json", "config.json"),
            ("read_json", "training.json"),
            ("sha256_of_file", "config.json"),
            ("sha256_of_file", "model.safetensors"),
            ("load_file", "model.safetensors"),
        )
    }
    assert calls == {("model_names", place): 1, **of_models}


class TestMaskedShots:
    @pytest.mark.parametrize(
        ("loss", "passed", "sentence"),
        [
            (0.19, True, "validation loss 0.1900 on held-out titles"),
            (0.203, True, "best baseline 0.2500 (interpolation)"),
            (0.21, False, "worse than mediafm-7@"),
            (0.26, False, "worse than the best baseline and worse than mediafm-7@"),
        ],
    )
    def test_loss_against_the_baselines_and_the_serving_model(
        self, models: MarkedModels, loss: float, passed: bool, sentence: str
    ) -> None:
        candidate = models.catalogue.save_model(3, loss=loss)
        found = predicts_masked_shots(models.platform, candidate)
        assert found.passed is passed
        assert sentence in found.sentence

    @pytest.mark.parametrize(
        "change",
        [
            {"validation_titles": [TITLES[1]]},
            {"validation": "same titles"},
            {"training": {"seed": 1}},
            {"objective": {"mask_share": 0.3}},
            {"titles": dict.fromkeys(TITLES, "2")},
        ],
    )
    def test_other_masked_shots_are_not_compared(
        self, models: MarkedModels, change: dict[str, object]
    ) -> None:
        path = models.catalogue.store.models / models.serving / "training.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
        candidate = models.catalogue.save_model(3, loss=0.24)
        found = predicts_masked_shots(models.platform, candidate)
        assert found.passed is True
        assert models.serving not in found.sentence

    def test_a_serving_model_that_is_damaged(self, models: MarkedModels) -> None:
        (models.catalogue.store.models / models.serving / "training.json").write_text("{")
        assert predicts_masked_shots(models.platform, models.equal).passed is True
