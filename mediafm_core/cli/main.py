"""The command line `mediafm`.

A command's module is imported when the command is called, so that `mediafm --help` is immediate.
Other packages add commands through the entry-point group `mediafm.commands`; this is how `run`,
`train` and `ui` come from the package that knows Dagster.
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

# Name of each command to its place and the line that `--help` shows.
_COMMANDS = {
    "clean": ("mediafm_core.cli.upkeep:clean", "Remove features that nobody needs any more."),
    "doctor": ("mediafm_core.cli.doctor:doctor", "Check this machine and say what to mend."),
    "embed": ("mediafm_core.cli.query:embed", "The vector of a span of a title."),
    "evaluate": (
        "mediafm_core.cli.evaluate:evaluate",
        "Measure on labels what context and modalities are worth.",
    ),
    "export": ("mediafm_core.cli.export:export", "Write a training set: labels and vectors."),
    "index": ("mediafm_core.cli.search:index", "Build an index for search in a large catalogue."),
    "models": ("mediafm_core.cli.models:models", "The trained models, and which of them serves."),
    "retire": ("mediafm_core.cli.upkeep:retire", "Remove titles that have left the inbox."),
    "search": ("mediafm_core.cli.search:search", "The clips that words tell of."),
    "similar": ("mediafm_core.cli.search:similar", "The clips nearest to a span of a title."),
    "sql": ("mediafm_core.cli.query:sql", "Query the catalogue."),
    "verify": (
        "mediafm_core.cli.verify:verify",
        "Compare every file of the store with what was written.",
    ),
    "status": ("mediafm_core.cli.status:status", "What is present, missing or stale, and why."),
}


class Commands(click.Group):
    """Commands found by name, imported when they are needed; errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands, the built-in ones and those of other packages."""
        return sorted({*_COMMANDS, *entry_points(group=ENTRY_POINTS).names})

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """The command of a name."""
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
        """The list of commands in `--help`, without importing the built-in ones."""
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
        """Run the command; an error of ours becomes one line and exit code 1.

        An interrupt becomes one line and exit code 130 (SIGINT) or 143 (SIGTERM).
        """
        with stopping_on_signals():
            try:
                with _short_usage_errors():
                    return super().invoke(ctx)
            except BaseException as error:
                # Libraries turn an interrupt into errors of their own, DuckDB for one.
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
    """Shorten what click says of a command line: it repeats arguments of any length."""
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
    help=f"Show where an error came from (or set {DEBUG_VARIABLE}=1).",
)
@click.version_option(package_name="mediafm")
def main(debug: bool) -> None:  # noqa: ARG001 - read by `Commands.invoke`
    """Contextual features for every clip of a catalogue of films."""
    # Read when torch is first imported. By default OpenMP's idle threads spin, which on shared
    # cores costs the shot detector up to 2.6 times its CPU time and makes nothing faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
