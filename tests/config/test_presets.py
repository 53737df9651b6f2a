"""A preset's values hold where nothing else sets them, and nothing records its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from mediafm_core.cli.main import main
from mediafm_core.config.presets import PRESET_NAMES, PRESETS, with_preset
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.saved_model import load_model
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow, unit_length

SECTIONS = ("model", "objective", "training")


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that writes the TOML file that `MEDIAFM_CONFIG` names."""

    def write(text: str) -> None:
        file = tmp_path / "mediafm.toml"
        file.write_text(text)
        monkeypatch.setenv("MEDIAFM_CONFIG", str(file))

    return write


def values_of(settings: Settings, name: str) -> dict[str, dict[str, Any]]:
    """Return the settings that a preset names, with their values in `settings`."""
    return {
        section: {each: getattr(getattr(settings, section), each) for each in values}
        for section, values in PRESETS[name].items()
    }


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_value_of_a_preset_is_valid_and_differs_in_nothing_else(name: str) -> None:
    settings = load_settings(preset=name)
    assert values_of(settings, name) == PRESETS[name]
    others = settings.model_dump(exclude={"preset", *PRESETS[name]})
    assert others == load_settings().model_dump(exclude={"preset", *PRESETS[name]})
    for section, values in PRESETS[name].items():
        left = getattr(settings, section).model_dump(exclude=set(values))
        assert left == getattr(load_settings(), section).model_dump(exclude=set(values))


def test_presets_and_their_names_are_the_same() -> None:
    assert list(PRESETS) == list(PRESET_NAMES)


@pytest.mark.parametrize("place", ["argument", "variable", "file"])
def test_a_preset_is_named_like_any_setting(
    place: str, settings_file: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "variable":
        monkeypatch.setenv("MEDIAFM_PRESET", "published")
    if place == "file":
        settings_file('preset = "published"')
    given = {"preset": "published"} if place == "argument" else {}
    assert values_of(load_settings(**given), "published") == PRESETS["published"]


def test_values_from_anywhere_override_the_preset(
    settings_file: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file("[training]\nsteps = 7\n[model]\nhidden = 64")
    monkeypatch.setenv("MEDIAFM_PRESET", "published")
    monkeypatch.setenv("MEDIAFM_MODEL__LAYERS", "2")
    monkeypatch.setenv("MEDIAFM_OBJECTIVE", '{"mask_ratio": 0.3}')
    settings = load_settings(training={"optimiser": "adamw"})
    assert (settings.model.hidden, settings.model.layers) == (64, 2)
    assert settings.objective.mask_ratio == 0.3
    assert (settings.training.steps, settings.training.optimiser) == (7, "adamw")
    assert settings.model.attention == "bidirectional"


def test_an_old_name_overrides_the_preset_too(settings_file: Callable[[str], None]) -> None:
    settings_file('preset = "published"\n[objective]\nmask_share = 0.4')
    assert load_settings().objective.mask_ratio == 0.4


def test_an_unknown_preset_is_refused_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^Setting 'preset' cannot .* 'published'; "):
        load_settings(preset="unpublished")
    result = CliRunner().invoke(main, ["train", "--preset", "unpublished"])
    assert result.exit_code == 2
    assert "'unpublished' is not" in result.stderr
    assert "published" in result.stderr.rpartition("not")[2]
    monkeypatch.setenv("MEDIAFM_PRESET", "unpublished")
    with pytest.raises(ConfigurationError, match="'preset' cannot be used"):
        load_settings()


def test_with_preset_overrides_and_keeps_what_it_leaves_open() -> None:
    settings = load_settings(
        model={"hidden": 32}, training={"steps": 5}, objective={"mask_ratio": 0.5}
    )
    changed = with_preset(settings, "published")
    assert values_of(changed, "published") == PRESETS["published"]
    assert (changed.model.hidden, changed.training.steps) == (32, 5)


def test_settings_survive_json_with_their_overrides() -> None:
    settings = load_settings(preset="published", objective={"mask_ratio": 0.3})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


class TestTraining:
    SIZES = {"hidden": 32, "layers": 2, "heads": 2, "feed_forward": 64, "max_shots": 16}  # noqa: RUF012
    STEPS = {"steps": 2, "crop_shots": 8}  # noqa: RUF012

    def train(self, folder: Path, settings: Settings) -> Path:
        rng = np.random.default_rng(0)
        folder.mkdir()
        sources = []
        for name in ("one", "two"):
            path = folder / f"{name}.parquet"
            fused = unit_length(rng.normal(size=(12, 24)))
            pq.write_table(pa.table({"embedding": to_arrow(fused)}), path)
            sources.append(TitleSource(name, path, "1"))
        ranges = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
        data = TrainingData(sources, 6, FusedSpace(ranges=ranges))
        out = folder / "models"
        model, objective = settings.model, settings.objective
        return train(data, model, settings.training, out, objective=objective).folder

    def test_a_network_of_the_preset_has_the_published_parts_and_no_other(
        self, tmp_path: Path
    ) -> None:
        settings = load_settings(preset="published", model=self.SIZES, training=self.STEPS)
        model = load_model(self.train(tmp_path / "a", settings))
        layers = {"layers", "norm"}
        tokens = {"cls_token", "mask_token", "global_projection", "shot_tokens"}
        names = {name for name, _ in model.network.named_parameters()}
        parts = {name.partition(".")[0] for name in names}
        assert parts == layers | tokens | {"positions", "prediction"}
        assert "positions.embedding.weight" in names
        assert {name for name in names if name.startswith("prediction")} == {
            "prediction.weight",
            "prediction.bias",
        }
        assert {name for name in names if name.startswith("shot_tokens")} == {
            "shot_tokens.projection.weight",
            "shot_tokens.projection.bias",
        }
        optimisers = {each["name"]: each["optimiser"] for each in model.training["groups"]}
        assert optimisers["hidden matrices"] == "Muon"
        assert all("AdamW" in each for name, each in optimisers.items() if "hidden" not in name)
        assert model.training["objective"]["mask_share"] == 0.2

    def test_its_name_is_part_of_no_identity(self, tmp_path: Path) -> None:
        named = load_settings(preset="published", model=self.SIZES, training=self.STEPS)
        spelt = load_settings(
            model={**PRESETS["published"]["model"], **self.SIZES},
            objective=dict(PRESETS["published"]["objective"]),
            training={**PRESETS["published"]["training"], **self.STEPS},
        )
        folders = [
            self.train(tmp_path / name, settings) for name, settings in (("a", named), ("b", spelt))
        ]
        models = [load_model(folder) for folder in folders]
        assert models[0].identity == models[1].identity
        assert "preset" not in (folders[0] / "training.json").read_text()
        assert "preset" not in (folders[0] / "config.json").read_text()
