"""Settings of what Dagster does: runs, sensors, alerts."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, model_validator

from mediafm_core.config.section import Section


class RunSettings(Section):
    """Division of work into Dagster runs, and limits of their time."""

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
        description="hours per title after which the daemon ends a run",
    )
    max_hours: float = Field(
        168.0, gt=0, le=2160, description="hours after which the daemon ends any run"
    )
    stalled_s: float = Field(
        1800.0,
        ge=10,
        le=7 * 24 * 3600,
        description="seconds without progress after which the daemon ends a run over titles, or "
        "one that trains",
    )


class SensorSettings(Section):
    """Sensors of Dagster's daemon, which start work by themselves."""

    running: bool = Field(True, description="run without being switched on in the UI")
    arrivals_every_s: PositiveInt = Field(
        15, le=86_400, description="seconds between two scans of the inbox"
    )
    settle_s: float = Field(
        10.0,
        ge=0,
        le=86_400,
        description="seconds for which a changed title folder must have stayed the same before a "
        "run",
    )
    sweep_every_s: PositiveInt = Field(
        30,
        le=86_400,
        description="seconds between two searches for missing and stale artefacts",
    )
    automation: bool = Field(
        False,
        description="let Dagster's automation condition refresh stale artefacts; the "
        "sweep covers the rest",
    )
    automation_every_s: PositiveInt = Field(
        30, le=86_400, description="seconds between two evaluations of the condition"
    )
    sweep_after_s: float = Field(
        120.0,
        ge=0,
        le=7 * 86_400,
        description="seconds after a change before the sweep takes over from the condition",
    )
    runs_per_tick: PositiveInt = Field(
        20, le=500, description="largest number of runs that one tick requests"
    )


class AlertSettings(Section):
    """Alerts about failed Dagster runs."""

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
