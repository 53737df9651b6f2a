"""The command line `mediafm`.

A command's module is imported when the command is called, so that `mediafm --help` is immediate.
Other packages add commands through the entry-point group `mediafm.commands`; in this way
`mediafm_assets`, which uses Dagster, adds `run`, `train`, `release`, `rollback` and `ui`.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import click

from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.readable import LONGEST_LINE, shortened
from mediafm_core.runtime.error_causes import Cause, fault_of, machine_sentence
from mediafm_core.runtime.interruption import (
    closing_line,
    exit_code,
    interrupted,
    stopping_on_signals,
)

_ROOM_FOR_OPTION = 60  # characters that click puts before the message of an option
ENTRY_POINTS = "mediafm.commands"
DEBUG_VARIABLE = "MEDIAFM_DEBUG"

# For each command: its location, and its line in `--help`.
_COMMANDS = {
    "clean": ("mediafm_core.cli.upkeep:clean", "Garbage-collect features of earlier models."),
    "doctor": ("mediafm_core.cli.doctor:doctor", "Check this machine and print remedies."),
    "embed": ("mediafm_core.cli.query:embed", "Print the vector of a span of a title."),
    "evaluate": (
        "mediafm_core.cli.evaluate:evaluate",
        "Evaluate representations by probes on labels.",
    ),
    "export": ("mediafm_core.cli.export:export", "Write a training set of labels and vectors."),
    "index": ("mediafm_core.cli.search:index", "Build a vector index for a large catalogue."),
    "models": ("mediafm_core.cli.models:models", "List trained models, or print a model card."),
    "retire": (
        "mediafm_core.cli.upkeep:retire",
        "Remove titles whose folders have left the inbox.",
    ),
    "search": ("mediafm_core.cli.search:search", "Search clips by text."),
    "similar": (
        "mediafm_core.cli.search:similar",
        "Find the clips most similar to a span of a title.",
    ),
    "sql": ("mediafm_core.cli.query:sql", "Query the catalogue in SQL."),
    "verify": (
        "mediafm_core.cli.verify:verify",
        "Verify the digests of the store's files.",
    ),
    "status": (
        "mediafm_core.cli.status:status",
        "Show what is present, missing or stale, and why.",
    ),
}


class Commands(click.Group):
    """Group of commands that are imported when they are called, with errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, built-in ones and those of other packages."""
        return sorted({*_COMMANDS, *entry_points(group=ENTRY_POINTS).names})

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Return the command with a name; None if there is none."""
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        for entry_point in entry_points(group=ENTRY_POINTS, name=cmd_name):
            try:
                loaded: click.Command = entry_point.load()
                return loaded
            except (ImportError, AttributeError) as error:
                return _unavailable(cmd_name, error)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in `--help`, without importing the built-in ones."""
        rows = []
        for name in self.list_commands(ctx):
            if name in _COMMANDS:
                rows.append((name, _COMMANDS[name][1]))
            elif command := self.get_command(ctx, name):
                rows.append((name, command.get_short_help_str(limit=200)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the options before the command; see `click.Command.make_context`."""
        with _short_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of this project becomes one line and exit code 1.

        An interrupt becomes one line and exit code 130 (SIGINT) or 143 (SIGTERM).
        """
        with stopping_on_signals():
            try:
                with _short_usage_errors():
                    return super().invoke(ctx)
            except BaseException as error:
                # Libraries such as DuckDB turn an interrupt into an error of their own.
                if interrupted() or isinstance(error, KeyboardInterrupt):
                    code = exit_code()
                    click.echo(closing_line(), err=True)
                    sys.exit(code)
                if ctx.params["debug"] or isinstance(error, click.ClickException):
                    raise
                if isinstance(error, MediaFMError):
                    raise click.ClickException(str(error)) from None
                fault = fault_of(error)
                if fault.cause is Cause.MACHINE:  # DuckDB's or SQLite's error of a full disk
                    raise click.ClickException(machine_sentence(fault)) from None
                raise


@contextmanager
def _short_usage_errors() -> Iterator[None]:
    """Shorten the messages of click, which repeat arguments of any length."""
    try:
        yield
    except click.ClickException as error:
        short = shortened(error.message, LONGEST_LINE - _ROOM_FOR_OPTION)
        error.message = short  # type: ignore[misc]  # every error keeps its kind and context
        raise


def _unavailable(name: str, error: Exception) -> click.Command:
    def fail() -> None:
        raise ConfigurationError(f"`mediafm {name}` cannot be loaded: {error}.") from error

    return click.Command(
        name,
        callback=fail,
        help=f"(cannot be loaded: {error})",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--debug",
    is_flag=True,
    default=lambda: os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"),
    help=f"Print the traceback of an error (or set {DEBUG_VARIABLE}=1).",
)
@click.version_option(package_name="mediafm")
def main(debug: bool) -> None:  # noqa: ARG001 - read by `Commands.invoke`
    """Compute and query contextual features for the clips of a film catalogue."""
    # torch reads it when it is first imported. By default OpenMP's idle threads spin, which on
    # shared cores costs the shot detector up to 2.6 times its CPU time and makes nothing faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
