"""Dagster's web server behind the guard, as `dagster-webserver` takes its options.

    python -m mediafm_assets.ui.ui_server -m mediafm_assets.definitions --host 0.0.0.0 --port 3000

serves what `dagster-webserver` would, to its owner alone (`mediafm_assets.ui.ui_guard`). Beyond
this machine it needs the setting `ui.token`. `mediafm ui` runs it together with Dagster's daemon:
`python -m mediafm_assets.ui.ui_server dev` is `dagster dev` with this server.
"""

import ipaddress
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from mediafm_core.config.access_settings import UISettings
from mediafm_core.config.setting_names import variable_of
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError

TOKEN_VARIABLE = variable_of("ui.token")
_TOKEN_BYTES = 24
_TOKEN_PIPE = "--token-pipe"  # noqa: S105 - an option, read before Dagster's own
_DEVELOPMENT = "dev"


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on a host is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def token_for(settings: UISettings, host: str) -> str | None:
    """Return the configured token, or a new one where the UI listens beyond this machine."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    return None if is_loopback(host) else secrets.token_urlsafe(_TOKEN_BYTES)


def address(settings: UISettings, host: str, port: int, token: str | None) -> str:
    """Return what to open in a browser; a configured token, which its owner has, is not in it."""
    wildcard = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    name = socket.gethostname() if wildcard else f"[{host}]" if ":" in host else host
    query = f"/?token={token}" if token and settings.token is None else ""
    return f"http://{name}:{port}{query}"


def token_pipe(token: str) -> int:
    """Return the reading end of a pipe that holds a token: no process list shows it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(token)
    return reading


def main(arguments: Sequence[str]) -> None:
    """Serve; with `dev` first, together with Dagster's daemon."""
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
    from dagster._cli import dev

    start = dev.open_ipc_subprocess
    named = [_TOKEN_PIPE, str(pipe)] if pipe is not None else []
    server = (["mediafm_assets.ui.ui_server", *named], [] if pipe is None else [pipe])
    # What Dagster starts besides is refused here: it might be its own server under another name.
    commands = {"dagster_webserver": server, "dagster._daemon": (["dagster._daemon"], [])}

    def start_guarded(command: list[str], pass_fds: Sequence[int] = (), **options: Any) -> Any:
        python, dash_m, module, *rest = command
        ours, ends = commands[module]
        return start([python, dash_m, *ours, *rest], pass_fds=[*pass_fds, *ends], **options)

    dev.open_ipc_subprocess = start_guarded  # type: ignore[assignment]
    # Dagster recommends another command, which is for projects laid out by it.
    warnings.filterwarnings("ignore", message="Function `dev_command` is superseded")
    dev.dev_command.main(list(arguments), prog_name="mediafm ui")


def _serve(arguments: Sequence[str], pipe: int | None) -> None:
    """Run `dagster-webserver` with the guard around its application."""
    from dagster_webserver import cli

    settings = load_settings().ui
    os.environ.pop(TOKEN_VARIABLE, None)
    token = settings.token.get_secret_value() if settings.token else None
    if pipe is not None:
        with os.fdopen(pipe) as reading:
            token = reading.read()

    def host_guarded(
        context: Any,
        host: str | None,
        port: int | None,
        path_prefix: str,
        log_level: str,
        live_data_poll_rate: int | None = None,
    ) -> None:
        import uvicorn

        from mediafm_assets.ui.ui_guard import Guard

        host, port = host or cli.DEFAULT_WEBSERVER_HOST, port or cli.DEFAULT_WEBSERVER_PORT
        if token is None and not is_loopback(host):
            raise click.UsageError(
                f"Beyond this machine ({host}) the UI needs a token: set {TOKEN_VARIABLE}, or "
                "listen on 127.0.0.1."
            )
        app = cli.create_app_from_workspace_process_context(
            context, path_prefix, live_data_poll_rate, lifespan=cli._lifespan
        )
        guard = Guard(app, [*settings.hosts, socket.gethostname(), host], token)
        click.echo(f"Serving Dagster's UI on http://{host}:{port}{path_prefix}", err=True)
        # Its log of requests would hold the token of the first one.
        uvicorn.run(guard, host=host, port=port, log_level=log_level, access_log=False)

    cli.host_dagster_ui_with_workspace_process_context = host_guarded  # type: ignore[assignment]
    cli.dagster_webserver.main(
        list(arguments),
        prog_name="mediafm_assets.ui.ui_server",
        auto_envvar_prefix="DAGSTER_WEBSERVER",
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
