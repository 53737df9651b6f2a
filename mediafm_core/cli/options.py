"""Options that commands share: location of the catalogue, times, and JSON output."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from mediafm_core.config.presets import PRESET_NAMES

Command = TypeVar("Command", bound=Callable[..., Any])

VECTOR_CHOICES = ("context", "fused", "both")  # without the import of numpy

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


_inbox = click.option(
    "--inbox",
    metavar="PLACE",
    help="Folder, or s3://bucket/prefix, with a folder per title [MEDIAFM_INBOX].",
)
_store = click.option(
    "--store",
    metavar="PLACE",
    help="Folder, or s3://bucket/prefix, for all computed files [MEDIAFM_STORE].",
)
_preset = click.option(
    "--preset",
    type=click.Choice(PRESET_NAMES),
    help="Defaults of model, objective and training [MEDIAFM_PRESET].",
)


def catalogue_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--inbox` and `--store` to a command, which gets the validated settings as `settings`.

    An option overrides the environment (`MEDIAFM_INBOX`, `MEDIAFM_STORE`) and the settings file.
    This must be the decorator nearest to the function; options above it are passed as usual.
    """
    return _inbox(_store(_with_settings(command, ("inbox", "store"))))


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--preset` to those of `catalogue_options`, for a command that may train a network."""
    return _inbox(_store(_preset(_with_settings(command, ("inbox", "store", "preset")))))


def _with_settings(command: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """Pass the settings, overridden by the options of these names, in place of the options."""

    @functools.wraps(command)
    def with_settings(*args: Any, **kwargs: Any) -> Any:
        from mediafm_core.config.settings import load_settings

        given = {name: kwargs.pop(name) for name in names}
        return command(*args, settings=load_settings(**given), **kwargs)

    return with_settings


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def vectors_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--vectors`, the choice of `mediafm_core.clips.vector_choice`."""
    return click.option(
        "--vectors",
        type=click.Choice(VECTOR_CHOICES),
        default="context",
        show_default=True,
        help="In context, fused without context, or both.",
    )(command)


class Seconds(click.ParamType):
    """Parameter type of a time: seconds (`61.5`) or a clock time (`1:01.5`, `0:01:01.5`)."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds of a value from the command line."""
        if isinstance(value, int | float):
            return float(value)
        clock = _CLOCK.fullmatch(value)
        if clock:
            hours, minutes, seconds = clock.groups(default="0")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a time: give seconds or h:mm:ss.", param, ctx)
