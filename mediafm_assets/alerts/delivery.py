"""Tell people that something has failed: by log, webhook, command or a function of one's own."""

import importlib
import logging
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from mediafm_core.config.orchestration_settings import AlertSettings
from mediafm_core.errors import ConfigurationError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5  # doubles with each attempt
_PASSING = {408, 429}  # and 5xx: the next attempt may succeed
_REMEDIES = {
    401: "renew the secret in `alerts.webhook_url`",
    403: "renew the secret in `alerts.webhook_url`",
    404: "check the path of `alerts.webhook_url`",
    410: "the webhook was taken away: make another and set `alerts.webhook_url`",
}


class Alert(BaseModel):
    """What people are told.

    Attributes:
        title: a few words.
        text: what failed, of which titles, and why; complete without the other fields, since some
            services show nothing else.
        job: the Dagster job.
        run_id: the Dagster run.
        link: address of the run in Dagster's UI; empty where that is not known.
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


def _post(alert: Alert, settings: AlertSettings) -> None:
    import httpx2

    from mediafm_core.runtime.http_limits import post

    if settings.webhook_url is None:  # the settings refuse this
        raise ConfigurationError("The alert has no webhook: set `alerts.webhook_url`.")
    address = settings.webhook_url.get_secret_value()
    body = alert.model_dump_json().encode()
    # Path and query are the secret of most webhooks: only the host is ever named. Errors are
    # raised where no error of the client, which may hold them, is the context.
    where = f"The alert about run {alert.run_id} was not delivered: {urlsplit(address).hostname}"
    fault = ""
    for attempt in range(settings.max_retries + 1):
        if attempt:
            time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
        status = None
        try:
            status = post(address, body, settings.timeout_s)
        except httpx2.TimeoutException:
            fault = f"did not answer in {settings.timeout_s:g} s"
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            fault = f"cannot be reached ({type(error).__name__})"
        if status is None:
            continue
        if 200 <= status < 300:
            return
        fault = f"answered {status}"
        if status not in _PASSING and status < 500:
            remedy = _REMEDIES.get(status, "check `alerts.webhook_url`")
            if status < 400:
                remedy = "it points elsewhere: set `alerts.webhook_url` to the final address"
            raise ConfigurationError(f"{where} {fault}: {remedy}.")
    raise ConfigurationError(
        f"{where} {fault}, {settings.max_retries} retries: check `alerts.webhook_url` and the "
        "network."
    )


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
        f"The alert about run {alert.run_id} was not delivered: {program} {fault}: mend "
        "`alerts.command`, trying it by hand with JSON on its input."
    ) from None


def _call(name: str, alert: Alert) -> None:
    function = _function(name)
    try:
        function(alert)
    except Exception as error:  # whatever it raises, the alert was not delivered
        raise ConfigurationError(
            f"The alert about run {alert.run_id} was not delivered: {name} raised "
            f"{type(error).__name__}: mend the function that `alerts.target` names."
        ) from error


def _function(name: str) -> Callable[[Alert], object]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"`alerts.target` names {name}, which cannot be imported ({error}): mend the name, or "
            "put the module on PYTHONPATH."
        ) from None
    if not callable(found):
        raise ConfigurationError(f"`alerts.target` names {name}, which is no function.")
    return found
