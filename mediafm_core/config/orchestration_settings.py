"""Settings of what Dagster does: runs, sensors, alerts."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, model_validator

from mediafm_core.config.section import Section


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
