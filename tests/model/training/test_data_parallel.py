"""Data-parallel training over gloo on the loopback interface."""

import json
import sys
from pathlib import Path

import psutil
import pytest
from several_processes import TOLERANCES, together, weights

import mediafm_core.cli.train_worker
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training import launch
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.progress_events import CurvePoint, Event, Phase, Progress, Started
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.platform import Platform

TINY = ModelSettings(
    attention="bidirectional",
    hidden=32,
    layers=2,
    heads=2,
    feed_forward=64,
    dropout=0,
    max_shots=40,
)
SETTINGS = TrainingSettings(
    steps=6, titles_per_batch=4, crop_shots=12, validate_every=3, muon_learning_rate=1e-3
)


# Keys have no gradient but rounding: a term that all scores share does not change their softmax.
WITHOUT_GRADIENT = ".attention.self.key.bias"


def assert_close(one: Path, other: Path, optimiser: str) -> None:
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys()
    for name in left:
        if name.endswith(WITHOUT_GRADIENT):
            continue
        difference = (left[name] - right[name]).abs().max()
        assert difference <= TOLERANCES[optimiser], f"{name}: {difference:.1e}"


def test_accumulated_batches_equal_one_large_one(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9, 17)
    whole = train(data, TINY, SETTINGS, tmp_path)
    parts = train(data, TINY, SETTINGS.model_copy(update={"accumulation": 4}), tmp_path)
    assert_close(whole.folder, parts.folder, SETTINGS.optimiser)
    for one, other in zip(whole.curve, parts.curve, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_two_processes_equal_one(make_catalogue, tmp_path) -> None:
    data = make_catalogue(30, 9, *range(5, 15))  # enough titles to hold some out
    settings = SETTINGS.model_copy(update={"optimiser": "muon"})
    alone = train(data, TINY, settings, tmp_path / "one")
    together(2, train_a_part, data, settings, tmp_path / "two")

    (folder,) = (tmp_path / "two").iterdir()  # written once
    assert_close(alone.folder, folder, "muon")
    record = json.loads((folder / "training.json").read_text())
    for point, expected in zip(record["curve"], alone.curve, strict=True):
        assert CurvePoint(**point) == pytest.approx(expected, abs=1e-5)
    assert record["padding_share"] <= alone.padding_share  # each pads its own half


def test_processes_with_other_data_or_settings_do_not_train_together(
    make_catalogue, tmp_path
) -> None:
    data = make_catalogue(30, 9)
    together(2, train_with_own_seed, data, SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())


def train_a_part(world: World, data: TrainingData, settings: TrainingSettings, out: Path) -> None:
    train(data, TINY, settings, out, world=world)


def train_with_own_seed(
    world: World, data: TrainingData, settings: TrainingSettings, out: Path
) -> None:
    with pytest.raises(ConfigurationError, match="have different data or settings"):
        train(data, TINY, settings.model_copy(update={"seed": world.rank}), out, world=world)


def test_a_lost_process_ends_the_others_and_the_training_can_be_resumed(trained_store) -> None:
    """The processes are started by torch's launcher, as `mediafm train` and Dagster do it."""
    platform = trained_store.platform()
    training = platform.settings.training.model_copy(
        update={"processes": 2, "steps": 20, "validate_every": 20, "checkpoint_every": 1}
    )
    platform = Platform(platform.settings.model_copy(update={"training": training}))
    before = set(trained_store.store.models.iterdir())
    others = set(psutil.Process().children(recursive=True))  # servers of other tests
    started: list[psutil.Process] = []

    def kill_one(event: Event) -> None:
        if isinstance(event, Progress) and event.step == 3 and not started:
            children = psutil.Process().children(recursive=True)
            started.extend(each for each in children if each not in others)
            workers = [
                each for each in started if "mediafm_core.cli.train_worker" in each.cmdline()
            ]
            workers[-1].kill()

    with pytest.raises(ConfigurationError, match="without an error; train again to resume"):
        train_model(platform, kill_one)
    _, alive = psutil.wait_procs(started, timeout=300)
    assert not alive
    assert len(started) >= 3  # the launcher and two processes
    assert set(trained_store.store.models.iterdir()) == before

    together(2, train_store, platform)
    (trained,) = set(trained_store.store.models.iterdir()) - before
    assert not (trained_store.root / "training").exists()
    assert json.loads((trained / "training.json").read_text())["training"]["processes"] == 2
    assert train_model(platform).identity == trained.name  # not trained again


def train_store(world: World, platform: Platform) -> None:
    events: list[Event] = []
    train_model(platform, events.append, world)
    events = [event for event in events if not isinstance(event, Phase)]
    if world.is_first:
        assert isinstance(events[0], Started)
        assert 2 <= events[0].step < 20
        assert (events[0].processes, events[-1].step) == (2, 20)


def test_output_and_errors_of_a_process_are_passed_on(
    trained_store, tmp_path, capfd, monkeypatch
) -> None:
    settings = trained_store.platform(seed=9).settings
    file = tmp_path / "settings.json"
    file.write_text(settings.model_dump_json())
    with pytest.raises(SystemExit, match="0"):
        mediafm_core.cli.train_worker.main(["--json", "--settings", str(file)])
    events: list[Event] = []
    finished = launch.train_in_processes(
        settings, events.append, command=saying(capfd.readouterr().out, 0)
    )
    assert events[0] == Phase("reading the catalogue")
    events = [event for event in events if not isinstance(event, Phase)]
    assert [event.step for event in events] == [0, 1, 2]
    assert isinstance(events[0], Started)
    assert events[0].groups[0].optimiser == "AdamW"
    assert (trained_store.store.models / finished.identity).is_dir()

    for path in trained_store.store.path("fused_embeddings", "x").parent.iterdir():
        path.unlink()
    with pytest.raises(SystemExit, match="1"):
        mediafm_core.cli.train_worker.main(["--json", "--settings", str(file)])
    with pytest.raises(ConfigurationError, match="holds no fused titles to train on"):
        launch.train_in_processes(settings, command=saying(capfd.readouterr().out, 1))


def saying(words: str, code: int) -> list[str]:
    """Return the command of a process that prints `lines`."""
    return [sys.executable, "-c", f"import sys; print({words!r}); sys.exit({code})"]
