"""Dagster's web server behind the guard, with the options of `dagster-webserver`.

    python -m mediafm_assets.ui.ui_server -m mediafm_assets.definitions --host 0.0.0.0 --port 3000

serves Dagster's UI to its owner only (`mediafm_assets.ui.ui_guard`). Beyond this machine it needs
the setting `ui.token`. `mediafm ui` runs it together with Dagster's daemon:
`python -m mediafm_assets.ui.ui_server dev` is `dagster dev` with this server.
"""

import ipaddress
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from mediafm_assets.dagster_internals import run_dagster_dev, run_dagster_webserver
from mediafm_core.config.access_settings import UISettings
from mediafm_core.config.setting_names import variable_of
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError

TOKEN_VARIABLE = variable_of("ui.token")
_MODULE = "mediafm_assets.ui.ui_server"
_TOKEN_BYTES = 24
_TOKEN_PIPE = "--token-pipe"  # noqa: S105 - an option, read before Dagster's own
_DEVELOPMENT = "dev"


def is_loopback(host: str) -> bool:
    """Return True if a server that listens on a host can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def token_for(settings: UISettings, host: str) -> str | None:
    """Return the configured token, or a new one if the UI listens beyond this machine."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    return None if is_loopback(host) else secrets.token_urlsafe(_TOKEN_BYTES)


def address(settings: UISettings, host: str, port: int, token: str | None) -> str:
    """Return the address to open in a browser; it contains a new token, but no configured one."""
    wildcard = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    name = socket.gethostname() if wildcard else f"[{host}]" if ":" in host else host
    query = f"/?token={token}" if token and settings.token is None else ""
    return f"http://{name}:{port}{query}"


def token_pipe(token: str) -> int:
    """Return the reading end of a pipe with a token, so that no process list shows the token."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(token)
    return reading


def main(arguments: Sequence[str]) -> None:
    """Serve the UI; with `dev` as the first argument, together with Dagster's daemon."""
    development = arguments[:1] == [_DEVELOPMENT]
    rest = list(arguments[1:] if development else arguments)
    pipe = None
    if rest[:1] == [_TOKEN_PIPE]:
        pipe = int(rest[1])
        rest = rest[2:]
    if development:
        _serve_development(rest, pipe)
    else:
        _serve(rest, pipe)


def _serve_development(arguments: Sequence[str], pipe: int | None) -> None:
    """Run `dagster dev` with the guarded server in place of Dagster's own."""
    named = [_TOKEN_PIPE, str(pipe)] if pipe is not None else []
    # Dagster recommends another command, which is for projects of another layout.
    warnings.filterwarnings("ignore", message="Function `dev_command` is superseded")
    inherited = [] if pipe is None else [pipe]
    run_dagster_dev(arguments, [_MODULE, *named], inherited, name="mediafm ui")


def _serve(arguments: Sequence[str], pipe: int | None) -> None:
    """Run `dagster-webserver` with the guard around its application."""
    settings = load_settings().ui
    os.environ.pop(TOKEN_VARIABLE, None)
    token = settings.token.get_secret_value() if settings.token else None
    if pipe is not None:
        with os.fdopen(pipe) as reading:
            token = reading.read()

    def serve_guarded(
        application: Callable[[], Any], host: str, port: int, path_prefix: str, log_level: str
    ) -> None:
        import uvicorn

        from mediafm_assets.ui.ui_guard import Guard

        if token is None and not is_loopback(host):
            raise click.UsageError(
                f"Beyond this machine ({host}) the UI needs a token: set {TOKEN_VARIABLE}, or "
                "listen on 127.0.0.1."
            )
        guard = Guard(application(), [*settings.hosts, socket.gethostname(), host], token)
        click.echo(f"Serving Dagster's UI on http://{host}:{port}{path_prefix}", err=True)
        # The access log would contain the token of the first request.
        uvicorn.run(guard, host=host, port=port, log_level=log_level, access_log=False)

    run_dagster_webserver(arguments, serve_guarded, name=_MODULE)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
