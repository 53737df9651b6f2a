"""Delivery of alerts about failed runs: by log, webhook, command or a function of the user."""

import importlib
import logging
import subprocess
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from mediafm_core.config.orchestration_settings import AlertSettings
from mediafm_core.errors import ConfigurationError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5  # doubles with each attempt
_TEMPORARY = {408, 429}  # and 5xx: the next attempt may succeed
_REMEDIES = {
    401: "renew the secret in `alerts.webhook_url`",
    403: "renew the secret in `alerts.webhook_url`",
    404: "check the path of `alerts.webhook_url`",
    410: "the webhook was taken away: make another and set `alerts.webhook_url`",
}


class Alert(BaseModel):
    """The notice of a failed run.

    Attributes:
        title: a few words.
        text: what failed, of which titles, and why; complete without the other fields, since some
            services show nothing else.
        job: the Dagster job.
        run_id: the Dagster run.
        link: address of the run in Dagster's UI; empty if it is unknown.
        when: the moment of the failure.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    text: str
    job: str
    run_id: str
    link: str
    when: datetime


def send(alert: Alert, settings: AlertSettings) -> None:
    """Deliver an alert to the target that the settings name; `none` delivers it nowhere.

    Raises:
        ConfigurationError: it was not delivered, with what to do about it.
    """
    match settings.target:
        case "none":
            pass
        case "log":
            logger.error("%s %s", alert.text, alert.link)
        case "webhook":
            _post(alert, settings)
        case "command":
            _run(alert, settings)
        case name:
            _call(name, alert)


class _Answer(NamedTuple):
    """Result of one attempt to post an alert.

    Attributes:
        status: of HTTP; None if no answer came.
        fault: in words that follow the name of the host.
    """

    status: int | None
    fault: str

    @property
    def is_temporary(self) -> bool:
        """True if the next attempt may succeed."""
        return self.status is None or self.status in _TEMPORARY or self.status >= 500


def _post(alert: Alert, settings: AlertSettings) -> None:
    from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

    if settings.webhook_url is None:  # the settings refuse this
        raise ConfigurationError("The alert has no webhook: set `alerts.webhook_url`.")
    address = settings.webhook_url.get_secret_value()
    body = alert.model_dump_json().encode()
    attempts = Retrying(
        stop=stop_after_attempt(settings.max_retries + 1),
        wait=wait_exponential(multiplier=_FIRST_PAUSE_S),
        retry=retry_if_result(lambda answer: answer.is_temporary),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    answer: _Answer = attempts(_attempt, address, body, settings.timeout_s)
    status = answer.status
    if status is not None and 200 <= status < 300:
        return
    # Path and query are the secret of most webhooks, so only the host is named.
    where = f"The alert about run {alert.run_id} was not delivered: {urlsplit(address).hostname}"
    if status is None or answer.is_temporary:
        raise ConfigurationError(
            f"{where} {answer.fault}, {settings.max_retries} retries: check `alerts.webhook_url` "
            "and the network."
        )
    remedy = _REMEDIES.get(status, "check `alerts.webhook_url`")
    if status < 400:
        remedy = "it points elsewhere: set `alerts.webhook_url` to the final address"
    raise ConfigurationError(f"{where} {answer.fault}: {remedy}.")


def _attempt(address: str, body: bytes, timeout_s: float) -> _Answer:
    """Post once; errors of the client, which may hold the address, end here."""
    import httpx2

    from mediafm_core.runtime.http_limits import post

    try:
        status = post(address, body, timeout_s)
    except httpx2.TimeoutException:
        return _Answer(None, f"did not answer in {timeout_s:g} s")
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        return _Answer(None, f"cannot be reached ({type(error).__name__})")
    return _Answer(status, f"answered {status}")


def _run(alert: Alert, settings: AlertSettings) -> None:
    program = settings.command[0]
    try:
        subprocess.run(
            settings.command,
            input=alert.model_dump_json().encode(),
            timeout=settings.timeout_s,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        fault = f"ended with status {error.returncode}"
    except subprocess.TimeoutExpired:
        fault = f"took longer than {settings.timeout_s:g} s"
    except OSError as error:
        fault = f"cannot be started ({error.strerror})"
    else:
        return
    raise ConfigurationError(
        f"The alert about run {alert.run_id} was not delivered: {program} {fault}: fix "
        "`alerts.command`, trying it by hand with JSON on its input."
    ) from None


def _call(name: str, alert: Alert) -> None:
    function = _function(name)
    try:
        function(alert)
    except Exception as error:  # whatever it raises, the alert was not delivered
        raise ConfigurationError(
            f"The alert about run {alert.run_id} was not delivered: {name} raised "
            f"{type(error).__name__}: fix the function that `alerts.target` names."
        ) from error


def _function(name: str) -> Callable[[Alert], object]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"`alerts.target` names {name}, which cannot be imported ({error}): fix the name, or "
            "put the module on PYTHONPATH."
        ) from None
    if not callable(found):
        raise ConfigurationError(f"`alerts.target` names {name}, which is no function.")
    return found
