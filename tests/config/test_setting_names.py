"""A misspelt name of a setting is an error with a suggestion, wherever it is written."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mediafm_core.cli.main import main
from mediafm_core.config.removed_settings import REMOVED_SETTINGS
from mediafm_core.config.setting_names import setting_names, variable_of
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MEDIAFM_STROE", "MEDIAFM_STORE"),
        ("mediafm_stroe", "MEDIAFM_STORE"),
        ("MEDIAFM_TRAINING__STPES", "MEDIAFM_TRAINING__STEPS"),
        ("MEDIAFM_TRAINNING__STEPS", "MEDIAFM_TRAINING__STEPS"),
        ("MEDIAFM_TRAINING_STEPS", "MEDIAFM_TRAINING__STEPS"),
        ("MEDIAFM_S3__REGOIN", "MEDIAFM_S3__REGION"),
    ],
)
def test_a_misspelt_variable(variable: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    with pytest.raises(ConfigurationError, match=rf"{variable}: did you mean {meant}\b"):
        load_settings()


def test_a_variable_of_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIAFM_NIGHTLY_JOB", "secret")
    result = CliRunner().invoke(main, ["status", "--store", str(tmp_path)])
    assert result.exit_code == 1
    assert "MEDIAFM_NIGHTLY_JOB: unset it" in result.stderr
    assert "secret" not in result.stderr


def test_variables_that_are_no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mediafm.toml"
    file.write_text("")
    monkeypatch.setenv("MEDIAFM_DEBUG", "1")
    monkeypatch.setenv("MEDIAFM_SHARED", "/films")
    monkeypatch.setenv("MEDIAFM_CONFIG", str(file))
    load_settings()


def test_every_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(setting_names(Settings))
    assert {"store", "training", "training.steps", "s3.cache"} <= set(names)
    monkeypatch.setenv(variable_of("training.steps"), "7")
    monkeypatch.setenv(variable_of("clips"), '{"proposed_s": 12}')
    settings = load_settings()
    assert (settings.training.steps, settings.clips.proposed_s) == (7, 12.0)


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("stroe = 'x'", "stroe", "store"),
        ("[training]\nstpes = 3", "training.stpes", "training.steps"),
        ("[trainning]\nsteps = 3", "trainning", "training"),
        ("[training.steps]\nx = 3", "training.steps", None),
    ],
)
def test_a_misspelt_name_in_the_file(
    text: str, name: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mediafm.toml"
    file.write_text(text)
    monkeypatch.setenv("MEDIAFM_CONFIG", str(file))
    expected = rf"{name}.*mediafm\.toml.*did you mean {meant}\b" if meant else f"{name}.*integer"
    with pytest.raises(ConfigurationError, match=expected):
        load_settings()


def test_a_misspelt_name_inside_a_variable_of_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAFM_TRAINING", '{"stpes": 3}')
    with pytest.raises(ConfigurationError, match=r"'training\.stpes': did you mean"):
        load_settings()


@pytest.mark.parametrize("value", ["[[", "[" * 100_000, '{"steps": '])
def test_a_variable_that_is_no_json_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAFM_EVALUATION__LABELS", value)
    message = r"^MEDIAFM_EVALUATION__LABELS holds no JSON that can be read \(.*\): correct it"
    with pytest.raises(ConfigurationError, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("model.prediction", "copy", "predicted by a linear map, as published"),
        ("model.surroundings", "2", "no features are added"),
        ("objective.modality_dropout", "0.1", r"model\.modality_dropout drops"),
    ],
)
@pytest.mark.parametrize("place", ["variable", "section", "file"])
def test_a_removed_setting_is_refused_with_what_holds_instead(
    name: str,
    value: str,
    instead: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    section, _, key = name.partition(".")
    if place == "variable":
        monkeypatch.setenv(variable_of(name), value)
    elif place == "section":
        monkeypatch.setenv(variable_of(section), f'{{"{key}": "{value}"}}')
    else:
        file = tmp_path / "mediafm.toml"
        file.write_text(f'[{section}]\n{key} = "{value}"')
        monkeypatch.setenv("MEDIAFM_CONFIG", str(file))
    with pytest.raises(ConfigurationError, match=instead) as caught:
        load_settings()
    assert str(caught.value).startswith(f"The setting {name}")
    assert str(caught.value).endswith(("remove it.", "unset it."))


def test_no_setting_is_both_there_and_removed() -> None:
    assert not set(REMOVED_SETTINGS) & set(setting_names(Settings))
