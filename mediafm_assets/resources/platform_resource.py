"""Resources of runs: the core's `Platform`, the options of a run, and S3."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, NamedTuple

import dagster as dg

from mediafm_assets.dagster_internals import NO_RETRY, keep_connections
from mediafm_assets.partitions import is_over_titles
from mediafm_assets.resources.launcher import note_worker
from mediafm_assets.resources.run_limits import heartbeat
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import ConfigurationError, IdentityMismatchError, MediaFMError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.work import prepare

PlatformResource = dg.ResourceParam[Platform]
"""Type of the parameter `platform` of assets and ops."""


class Options(NamedTuple):
    """Options of a run over titles, from its launch configuration.

    Attributes:
        force: recompute artefacts that are up to date.
    """

    force: bool = False


OptionsResource = dg.ResourceParam[Options]
"""Type of the parameter `options` of assets."""

_DESCRIPTION = "Settings, store and networks of a run, from MEDIAFM_* and the settings file."


@dg.resource(
    description="Options of a run over titles, shared by all of its assets.",
    config_schema={
        "force": dg.Field(
            bool,
            default_value=False,
            description="recompute artefacts that are up to date (same inputs, encoder and code)",
        )
    },
)
def options_of_run(context: dg.InitResourceContext) -> Options:
    """Return the options that the run was launched with."""
    return Options(**context.resource_config)


def options_config(options: Options) -> dict[str, Any]:
    """Return the launch configuration for these options."""
    return {"resources": {"options": {"config": options._asdict()}}}


@dg.resource(description=_DESCRIPTION)
def platform_from_environment(context: dg.InitResourceContext) -> Iterator[Platform]:
    """Yield the platform of a run, which loads each network at most once."""
    yield from _platform(context)


@dg.resource(description=_DESCRIPTION, required_resource_keys={"s3"})
def platform_over_s3(context: dg.InitResourceContext) -> Iterator[Platform]:
    """Yield the platform of a run with the S3 client of the resource `s3`."""
    yield from _platform(context, context.resources.s3)


def resources(settings: Settings) -> dict[str, Any]:
    """Return all resources by their keys; dagster-aws is imported only if S3 is used."""
    if not settings.uses_s3:
        return {"platform": platform_from_environment}
    from mediafm_assets.resources.s3_resource import configured_s3

    return {"platform": platform_over_s3, "s3": configured_s3(settings)}


def _platform(context: dg.InitResourceContext, s3_client: Any = None) -> Iterator[Platform]:
    """Yield the platform; a run over titles pins the model that serves when it starts.

    A release during the run takes effect in the next run.
    """
    if context.instance is not None:
        keep_connections(context.instance)
        if context.run is not None:
            note_worker(context.instance, context.run)
    try:
        platform = Platform(load_settings(), s3_client=s3_client)
        adopted = prepare(platform)
    except MediaFMError as error:
        _log_refusal(context, error)
        raise error.with_traceback(None) from None
    if adopted is not None and adopted.is_new and context.log is not None:
        context.log.info(adopted.sentence)
    pins_model = context.run is not None and is_over_titles(context.run.tags)
    with ExitStack() as stack:
        if pins_model:
            stack.enter_context(platform.one_model())
        if context.run is not None and context.instance is not None:
            limit_s = platform.settings.run.stalled_s
            stack.enter_context(heartbeat(context.instance, context.run.run_id, limit_s))
        yield platform


def _log_refusal(context: dg.InitResourceContext, error: MediaFMError) -> None:
    """Log why a run cannot start; after an error of the settings, the daemon does not retry it."""
    if context.log is not None:
        context.log.error(str(error))
    is_of_settings = isinstance(error, ConfigurationError | IdentityMismatchError)
    if is_of_settings and context.instance is not None and context.run is not None:
        context.instance.add_run_tags(context.run.run_id, NO_RETRY)


@lru_cache(maxsize=1)
def watching_platform() -> Platform:
    """Return the platform of the sensors, which keeps its caches of the store between ticks.

    It reads the settings once: reload the code location after changing them.
    """
    return Platform(load_settings())


def not_set_up(settings: Settings) -> str:
    """Return a sentence that names the missing settings of a catalogue; "" if none is missing."""
    folders = {"MEDIAFM_INBOX": settings.inbox, "MEDIAFM_STORE": settings.store}
    missing = [name for name, place in folders.items() if place is None]
    if not missing:
        return ""
    names = " and ".join(missing)
    return f"Not set: {names}. Set {'them' if missing[1:] else 'it'} and start Dagster again."
