"""Training: reproducible, able to learn, without a model after a failure."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training.progress_events import Phase, Progress, Started
from mediafm_core.model.training.training import train, with_steps
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.model.training.validation import split_titles

TINY = ModelSettings(hidden=32, layers=2, heads=2, feed_forward=64, dropout=0.1, max_shots=40)
BRIEF = TrainingSettings(
    steps=6, titles_per_batch=3, crop_shots=12, validate_every=3, optimiser="muon"
)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()


def test_a_seed_repeats_a_run_bit_for_bit(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9)
    torch.manual_seed(1)
    first = train(data, TINY, BRIEF, tmp_path / "a")
    torch.manual_seed(2)
    second = train(data, TINY, BRIEF, tmp_path / "b")
    other = train(data, TINY, BRIEF.model_copy(update={"seed": 5}), tmp_path / "c")

    assert first.identity == second.identity
    assert all(
        torch.equal(tensor, weights(second.network)[name])
        for name, tensor in weights(first.network).items()
    )
    assert first.curve == second.curve
    assert first.identity != other.identity


def test_global_state_is_restored(make_catalogue, tmp_path) -> None:
    data = make_catalogue(20)
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    training = BRIEF.model_copy(update={"steps": 1})
    train(data, TINY, training, tmp_path, threads=threads + 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_few_titles_are_memorised(make_catalogue, tmp_path) -> None:
    """The shots of these titles are random: only memorisation predicts them."""
    data = make_catalogue(8, 7, 6, 8)
    model = ModelSettings(
        attention="bidirectional",
        hidden=64,
        layers=2,
        heads=4,
        feed_forward=128,
        dropout=0,
        max_shots=8,
    )
    training = TrainingSettings(
        steps=250,
        titles_per_batch=8,
        crop_shots=8,
        validate_every=50,
        optimiser="muon",
        muon_learning_rate=1e-2,
        adamw_learning_rate=1e-2,
        weight_decay=0,
    )
    result = train(data, model, training, tmp_path)

    assert result.validation == "same titles"
    assert 1 - result.curve[-1].validation_loss > 0.9
    assert result.curve[-1].validation_loss < min(result.baselines.values())


def test_parameter_groups_cover_the_network_once(trained) -> None:
    groups = {group.optimiser: group for group in trained.groups}
    parameters = list(trained.network.parameters())
    assert sum(group.tensors for group in trained.groups) == len(parameters)
    assert sum(group.parameters for group in trained.groups) == sum(p.numel() for p in parameters)
    # Per layer: query, key, value, attention output, feed-forward in and out.
    assert groups["Muon"].tensors == 6 * TINY.layers
    assert groups["Muon"].parameters == TINY.layers * (4 * 32 * 32 + 2 * 32 * 64)
    # Projections of content and metadata, two of each head of past and future, boundary head.
    assert groups["AdamW"].tensors == 7


def test_every_parameter_is_trained(make_catalogue, tmp_path) -> None:
    data = make_catalogue(40, 35)
    model = TINY.model_copy(update={"attention": "bidirectional"})
    one = train(data, model, BRIEF.model_copy(update={"steps": 2}), tmp_path)
    more = train(data, model, BRIEF.model_copy(update={"steps": 30}), tmp_path)
    for name, _ in one.network.named_parameters():
        changed = weights(one.network)[name] != weights(more.network)[name]
        assert changed.any(), name
    # Crops are at random places of the sequence, so every position is trained.
    positions = next(
        tensor - weights(more.network)[name]
        for name, tensor in weights(one.network).items()
        if name.startswith("positions.")
    )
    assert (positions.abs().amax(dim=1) > 1e-4).all()


def test_progress_and_curve(make_catalogue, tmp_path) -> None:
    events = []
    result = train(make_catalogue(20, 9), TINY, BRIEF, tmp_path, events.append)
    reports = [event for event in events if not isinstance(event, Phase)]
    started = reports.pop(0)
    assert isinstance(started, Started)
    assert (started.step, started.steps, started.titles, started.shots) == (0, 6, 2, 29)
    assert started.groups == result.groups
    assert all(isinstance(report, Progress) for report in reports)
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert {report.steps for report in reports} == {6}
    assert [point.step for point in result.curve] == [3, 6]
    assert reports[1].validation_loss is None
    assert reports[-1].validation_loss == result.curve[-1].validation_loss
    expected = np.mean([report.training_loss for report in reports[3:]])
    assert result.curve[-1].training_loss == pytest.approx(expected)
    assert result.shots_per_second > 0


def test_phases_are_reported(make_catalogue, tmp_path) -> None:
    events = []
    train(
        make_catalogue(20, 9), TINY, BRIEF, tmp_path, events.append, checkpoints=tmp_path / "states"
    )
    lines = [event.lines()[0] for event in events if isinstance(event, Phase)]
    phases = [line for line in lines if line[:10] != "validating" or line == "validating 0 %"]
    assert phases == [
        "preparing the network",
        "preparing validation",
        "validating 0 %",
        "validating 0 %",
        "saving the model",
        "done",
    ]


def test_titles_and_not_shots_are_held_out(make_catalogue) -> None:
    data = make_catalogue(*range(5, 25))
    training, validation, kind = split_titles(data, BRIEF)
    assert kind == "held-out titles"
    assert len(validation) == 4
    assert sorted(training + validation) == list(range(20))
    assert split_titles(data, BRIEF) == (training, validation, kind)
    reseeded = split_titles(data, BRIEF.model_copy(update={"seed": 1}))[1]
    assert set(reseeded) != set(validation)


def test_held_out_titles_do_not_reach_the_weights(make_catalogue, tmp_path) -> None:
    data = make_catalogue(*range(5, 17))
    _, validation, _ = split_titles(data, BRIEF)
    other = make_catalogue(*range(5, 17), seed=9)
    swapped = [other.titles[i] if i in validation else title for i, title in enumerate(data.titles)]
    # With patience they choose the step that is kept, and have no other effect.
    training = BRIEF.model_copy(update={"patience": 0})
    first = train(data, TINY, training, tmp_path / "a")
    second = train(TrainingData(swapped, 6, data.space), TINY, training, tmp_path / "b")
    learnt, again = first.network.state_dict(), second.network.state_dict()
    reached = {name for name in learnt if not torch.equal(learnt[name], again[name])}
    # The content head, which validation does not measure, learns from them on purpose.
    assert reached <= {name for name in learnt if name.startswith("content_head.")}
    assert first.curve[-1].validation_loss != second.curve[-1].validation_loss


def test_few_titles_are_validated_on_themselves(trained) -> None:
    assert trained.validation == "same titles"
    assert trained.validation_titles == ["title0", "title1"]
    assert "the loss on unseen titles is unknown" in (trained.folder / "README.md").read_text()


def test_a_title_of_one_shot_can_be_trained_on(make_catalogue, tmp_path) -> None:
    result = train(make_catalogue(1), TINY, BRIEF, tmp_path)
    assert np.isfinite(result.curve[-1].validation_loss)
    assert result.baselines == {}


def test_the_record_has_settings_and_data_versions(trained) -> None:
    record = json.loads((trained.folder / "training.json").read_text())
    assert record["identity"] == trained.identity.model_dump()
    assert record["titles"] == {"title0": "version0", "title1": "version1"}
    assert record["shots"] == 39
    assert record["training"] == BRIEF.recorded(exclude={"start_from"})
    assert record["started_from"] is None
    assert record["kept_step"] == 6
    assert record["model"]["hidden"] == 32
    assert [point["step"] for point in record["curve"]] == [3, 6]


@pytest.mark.parametrize(
    ("optimiser", "named"), [("muon", "muon_learning_rate.* or training.adamw"), ("adamw", "adamw")]
)
def test_a_loss_that_is_not_finite_stops_cleanly(
    make_catalogue, tmp_path, optimiser: str, named: str
) -> None:
    # Learning rates so high that the weights overflow.
    rates = {"muon_learning_rate": 1e38, "adamw_learning_rate": 1e38}
    wild = BRIEF.model_copy(update={**rates, "steps": 20, "optimiser": optimiser})
    with pytest.raises(
        ConfigurationError, match=rf"loss is nan at step \d+: lower training.{named}"
    ):
        train(make_catalogue(20), TINY, wild, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({}, {"crop_shots": 41}, "training.crop_shots is 41 and model.max_shots only 40"),
        ({"heads": 3}, {}, "model.hidden is 32, which 3 heads cannot share"),
    ],
)
def test_contradicting_settings_are_refused(
    make_catalogue, tmp_path, model, training, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train(
            make_catalogue(5),
            TINY.model_copy(update=model),
            BRIEF.model_copy(update=training),
            tmp_path,
        )


@pytest.mark.parametrize(
    ("set_to", "shots", "steps"),
    [(None, 30, 20), (None, 2000, 52), (None, 90_000, 300), (7, 30, 7)],
)
def test_the_number_of_steps_follows_the_catalogue_unless_it_is_set(
    set_to: int | None, shots: int, steps: int
) -> None:
    data = SimpleNamespace(shots=np.array([shots // 2, shots // 2]))
    training = TrainingSettings(steps=set_to, titles_per_batch=8, crop_shots=96)
    assert with_steps(training, data).steps == steps
    assert with_steps(with_steps(training, data), data).steps == steps
