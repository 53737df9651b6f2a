"""Training of a network that reads in two directions."""

import json
from dataclasses import replace

import pytest
import torch
from several_processes import TOLERANCES, together, weights
from stopped_training import BRIEF, TINY

from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.loss_curve import loss_curve_png
from mediafm_core.model.training.progress_events import Progress
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.pipeline.releases.candidates import Candidate

WITHOUT_DROPOUT = TINY.model_copy(
    update={"dropout": 0.0, "input_dropout": 0.0, "modality_dropout": 0.0}
)
# Keys have no gradient but rounding: a term that all scores share does not change their softmax.
WITHOUT_GRADIENT = ".attention.self.key.bias"


def test_every_parameter_is_trained(make_catalogue, tmp_path) -> None:
    data = make_catalogue(40, 35)
    one = train(data, TINY, BRIEF.model_copy(update={"steps": 2}), tmp_path).network
    more = train(data, TINY, BRIEF.model_copy(update={"steps": 9}), tmp_path).network
    after = more.state_dict()
    for name, before in one.named_parameters():
        assert (before != after[name]).any(), name
    for name, before in one.named_buffers():
        assert torch.equal(before, after[name]), name


def test_the_best_weights_on_unseen_titles_are_kept_and_reported(make_catalogue, tmp_path) -> None:
    data = make_catalogue(*range(20, 34))
    events: list[object] = []
    settings = BRIEF.model_copy(update={"patience": 2, "steps": 40})
    result = train(data, TINY, settings, tmp_path, events.append)
    best = min(result.curve, key=lambda point: point.validation_loss)
    assert result.validation == "held-out titles"
    assert result.kept_step == best.step
    assert set(result.baselines) == {"chance"}
    record = json.loads((result.folder / "training.json").read_text())
    kept = next(point for point in record["curve"] if point["step"] == best.step)
    assert kept["validation_accuracy"] == best.validation_accuracy
    assert 0 <= best.validation_accuracy <= 1
    card = (result.folder / "README.md").read_text()
    assert f"The future of {best.validation_accuracy:.1%} of the shots" in card
    assert "past against future" in card
    latest = [event for event in events if isinstance(event, Progress)][-1]
    assert f"validation accuracy {result.curve[-1].validation_accuracy:.1%}" in latest.lines()[0]
    assert loss_curve_png(result.curve, result.baselines).startswith(b"\x89PNG")


def test_without_held_out_titles_the_last_weights_are_kept(make_catalogue, tmp_path) -> None:
    result = train(make_catalogue(30, 9), TINY, BRIEF, tmp_path)
    assert result.validation == "same titles"
    assert result.kept_step == BRIEF.steps
    assert "the last weights were kept" in (result.folder / "README.md").read_text()


@pytest.mark.parametrize("shots", [1, 3])
def test_titles_without_a_past_can_be_trained_on(make_catalogue, tmp_path, shots: int) -> None:
    result = train(make_catalogue(shots), TINY, BRIEF, tmp_path)
    assert result.baselines == {}
    assert {point.validation_loss for point in result.curve} == {0.0}
    card = (result.folder / "README.md").read_text()
    assert "too short to have past and future" in card
    assert "0.0000" not in card
    record = Candidate(result.folder).record
    assert record.validation_loss is None
    assert "too short" in record.evidence


def test_without_a_past_the_last_weights_are_kept(make_catalogue, tmp_path) -> None:
    settings = BRIEF.model_copy(update={"patience": 1, "steps": 9})
    result = train(make_catalogue(*[3] * 10), TINY, settings, tmp_path)
    assert result.validation == "held-out titles"
    assert result.kept_step == 9


def test_two_processes_equal_two_accumulated_batches(make_catalogue, tmp_path) -> None:
    """Each compares the futures of its own batch."""
    made = make_catalogue(30, 9, *range(5, 15))
    data = TrainingData(
        [replace(title, global_vector=None) for title in made.titles], 6, made.space
    )
    settings = TrainingSettings(
        steps=4, titles_per_batch=4, crop_shots=12, validate_every=2, optimiser="adamw"
    )
    alone = train(
        data, WITHOUT_DROPOUT, settings.model_copy(update={"accumulation": 2}), tmp_path / "one"
    )
    together(2, _train_a_part, data, settings, tmp_path / "two")
    (folder,) = (tmp_path / "two").iterdir()
    left, right = weights(alone.folder), weights(folder)
    for name in left:
        if not name.endswith(WITHOUT_GRADIENT):
            assert (left[name] - right[name]).abs().max() <= TOLERANCES["adamw"], name
    record = json.loads((folder / "training.json").read_text())
    for point, expected in zip(record["curve"], alone.curve, strict=True):
        assert point == pytest.approx(expected.as_record(), abs=1e-5)


def _train_a_part(world: World, data: TrainingData, settings: TrainingSettings, out) -> None:
    train(data, WITHOUT_DROPOUT, settings, out, world=world)


def test_a_training_can_start_from_a_model(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 25)
    settings = BRIEF.model_copy(update={"steps": 15})
    first = train(data, TINY, settings, tmp_path)
    again = settings.model_copy(update={"start_from": first.folder, "seed": 3})
    second = train(data, TINY.model_copy(update={"input_dropout": 0.3}), again, tmp_path)
    assert second.curve[0].training_loss < first.curve[0].training_loss
    whole = TINY.model_copy(update={"attention": "bidirectional"})
    with pytest.raises(ConfigurationError, match="with attention two_directions"):
        train(data, whole, again, tmp_path)


def test_a_weight_of_zero_is_refused(make_catalogue, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"objective\.past_future_weight is 0") as caught:
        train(
            make_catalogue(5),
            TINY,
            BRIEF,
            tmp_path,
            objective=ObjectiveSettings(past_future_weight=0),
        )
    assert len(str(caught.value)) <= 300
