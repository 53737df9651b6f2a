"""Old names of settings work for one version, and stored files and digests keep them."""

import json
import logging
import warnings
from pathlib import Path

import pytest

from mediafm_core.config import renamed_settings
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.renamed_settings import OLD_NAMES, old_setting_names
from mediafm_core.config.setting_names import setting_names, variable_of
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import digest_of_settings

WARNING = "Setting objective.mask_share is now objective.mask_ratio: the old name goes with "


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear the record of warnings, so that each test logs them as a new process does."""
    monkeypatch.setattr(renamed_settings, "_logged", set())


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno == logging.WARNING]


def test_in_the_table_old_names_are_gone_and_new_ones_exist() -> None:
    names = set(setting_names(Settings))
    for section, renamed in OLD_NAMES.items():
        assert getattr(Settings(), section).section == section
        for new, old in renamed.items():
            assert f"{section}.{new}" in names
            assert f"{section}.{old}" not in names


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("[objective]\nmask_share = 0.3", {}),
        ("", {"MEDIAFM_OBJECTIVE__MASK_SHARE": "0.3"}),
        ("", {"mediafm_objective__mask_share": "0.3"}),
        ("", {"MEDIAFM_OBJECTIVE": '{"mask_share": 0.3}'}),
    ],
)
def test_an_old_name_in_file_or_environment_is_logged_once(
    text: str,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "mediafm.toml"
    file.write_text(text)
    monkeypatch.setenv("MEDIAFM_CONFIG", str(file))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load_settings().objective.mask_ratio == 0.3
    assert load_settings().objective.mask_ratio == 0.3
    [message] = logged(caplog)
    assert message.startswith(WARNING)


@pytest.mark.parametrize("name", list(old_setting_names()))
def test_every_old_name_has_a_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    section, _, old = name.partition(".")
    new = {each: new for new, each in OLD_NAMES[section].items()}[old]
    value = getattr(getattr(load_settings(), section), new)
    monkeypatch.setenv(variable_of(name), str(value))
    assert getattr(getattr(load_settings(), section), new) == value


def test_keyword_copy_and_attribute_by_an_old_name_are_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=WARNING) as found:
        settings = ObjectiveSettings(mask_share=0.3)
    with pytest.warns(DeprecationWarning, match=WARNING) as copied:
        settings = settings.model_copy(update={"mask_share": 0.4})
    with pytest.warns(DeprecationWarning, match=WARNING) as read:
        assert settings.mask_share == settings.mask_ratio == 0.4
    assert [each.filename for each in (*found, *copied, *read)] == [__file__] * 3


def test_an_old_name_as_a_keyword_of_load_settings(caplog: pytest.LogCaptureFixture) -> None:
    assert not load_settings(model={"structure": False}).model.novelty
    assert logged(caplog) == [
        "Setting model.structure is now model.novelty: the old name goes with version "
        f"{renamed_settings.REMOVED_IN}."
    ]


def test_new_names_warn_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ObjectiveSettings(mask_ratio=0.3).model_copy(update={"mask_ratio": 0.4})
        load_settings(objective={"mask_ratio": 0.3})
    assert logged(caplog) == []


def test_both_names_at_once_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    message = "'objective' cannot be used: mask_share is the old name of mask_ratio, and both are"
    with pytest.raises(ConfigurationError, match=message):
        load_settings(objective={"mask_share": 0.3, "mask_ratio": 0.3})
    file = tmp_path / "mediafm.toml"
    file.write_text("[objective]\nmask_ratio = 0.3")
    monkeypatch.setenv("MEDIAFM_CONFIG", str(file))
    monkeypatch.setenv("MEDIAFM_OBJECTIVE__MASK_SHARE", "0.3")
    with pytest.raises(ConfigurationError, match=message):
        load_settings()


def test_a_bad_value_under_an_old_name_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError, match=r"'objective\.mask_ratio' cannot be used"):
        load_settings(objective={"mask_share": 2})
    assert logged(caplog)[0].startswith(WARNING)


# The defaults of version 0.1.
EARLIER_MODEL = ModelSettings(attention="bidirectional", dropout=0.0)
EARLIER_TRAINING = TrainingSettings(
    steps=200, crop_shots=64, optimiser="muon", adamw_learning_rate=1e-3, weight_decay=0.01
)


class TestRecords:
    """Keys as version 0.1 wrote them before the settings were renamed.

    Settings that were added or removed later change the digests of records.
    """

    MODEL = (
        '{"hidden": 256, "layers": 4, "heads": 4, "feed_forward": 1024, "dropout": 0.0, '
        '"max_shots": 512, "structure": true}'
    )
    OBJECTIVE = '{"mask_share": 0.2, "boundary_weight": 1.0}'
    TRAINING = (
        '{"steps": 200, "titles_per_batch": 8, "crop_shots": 64, "optimiser": "muon", '
        '"muon_learning_rate": 0.001, "adamw_learning_rate": 0.001, "weight_decay": 0.01, '
        '"warmup_share": 0.1, "clip_norm": 1.0, "validation_share": 0.2, "validate_every": 20, '
        '"patience": 10, "precision": "auto", "compile": false, "accumulation": 1, '
        '"processes": 1, "checkpoint_every": 100, "start_from": null, "seed": 0}'
    )

    @pytest.mark.parametrize(
        ("settings", "text", "added"),
        [
            (
                EARLIER_MODEL,
                MODEL,
                {"attention", "input_components", "input_dropout", "modality_dropout"},
            ),
            (
                ObjectiveSettings(),
                OBJECTIVE,
                {"past_future_weight", "past_future_temperature"},
            ),
            (EARLIER_TRAINING, TRAINING, set()),
        ],
    )
    def test_recorded_settings_keep_names_order_and_values(
        self, settings: ModelSettings, text: str, added: set[str]
    ) -> None:
        recorded = settings.recorded()
        assert json.dumps({name: recorded[name] for name in recorded if name not in added}) == text
        assert set(recorded) == set(json.loads(text)) | added

    def test_the_digest_of_recorded_settings_is_that_of_version_0_1(self) -> None:
        assert digest_of_settings(EARLIER_TRAINING.recorded()) == "3b7ca5ad9061f450"
