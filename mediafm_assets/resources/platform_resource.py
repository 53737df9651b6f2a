"""The resources: the core's `Platform` with the settings of the environment, S3, and options."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, NamedTuple

import dagster as dg

from mediafm_assets.assets.partitions import is_over_titles
from mediafm_assets.resources.launcher import note_worker
from mediafm_assets.resources.run_limits import heartbeat
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import ConfigurationError, IdentityMismatchError, MediaFMError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.work import prepare

PlatformResource = dg.ResourceParam[Platform]
"""Annotates an asset's parameter `platform`."""


class Options(NamedTuple):
    """Options of a run over titles, from its launch configuration.

    Attributes:
        force: compute again what is up to date.
    """

    force: bool = False


OptionsResource = dg.ResourceParam[Options]
"""Annotates an asset's parameter `options`."""

_RECYCLE_S, _CONNECTIONS = 3600, 20
_DESCRIPTION = "Settings, store and networks of a run, from MEDIAFM_* and its file."
_NO_RETRY = {"dagster/max_retries": "0"}  # of the whole run, by the daemon


@dg.resource(
    description="Options of a run over titles, one place for all of its assets.",
    config_schema={
        "force": dg.Field(
            bool,
            default_value=False,
            description="compute again what is up to date: same inputs, encoder and code",
        )
    },
)
def options_of_run(context: dg.InitResourceContext) -> Options:
    """The options that the run was launched with."""
    return Options(**context.resource_config)


def options_config(options: Options) -> dict[str, Any]:
    """Return the launch configuration for these options."""
    return {"resources": {"options": {"config": options._asdict()}}}


@dg.resource(description=_DESCRIPTION)
def platform_from_environment(context: dg.InitResourceContext) -> Iterator[Platform]:
    """The platform of a run; each network is loaded at most once in its life."""
    yield from _platform(context)


@dg.resource(description=_DESCRIPTION, required_resource_keys={"s3"})
def platform_over_s3(context: dg.InitResourceContext) -> Iterator[Platform]:
    """The same where inbox or store is in S3, with the client of the resource `s3`."""
    yield from _platform(context, context.resources.s3)


def resources(settings: Settings) -> dict[str, Any]:
    """All resources by their keys; dagster-aws is imported only where S3 is used."""
    if not settings.uses_s3:
        return {"platform": platform_from_environment}
    from mediafm_assets.resources.s3_resource import configured_s3

    return {"platform": platform_over_s3, "s3": configured_s3(settings)}


def _platform(context: dg.InitResourceContext, s3_client: Any = None) -> Iterator[Platform]:
    """A run over titles keeps to the model that serves when it starts.

    A release that comes meanwhile is taken up by the next run.
    """
    if context.instance is not None:
        # On PostgreSQL a connection for every statement otherwise: 39 ms for an event, 16 with it.
        context.instance.optimize_for_webserver(
            statement_timeout=0, pool_recycle=_RECYCLE_S, max_overflow=_CONNECTIONS
        )
        if context.run is not None:
            note_worker(context.instance, context.run)
    try:
        platform = Platform(load_settings(), s3_client=s3_client)
        prepare(platform)
    except MediaFMError as error:
        _log_refusal(context, error)
        raise error.with_traceback(None) from None
    keeping = context.run is not None and is_over_titles(context.run.tags)
    with ExitStack() as stack:
        if keeping:
            stack.enter_context(platform.one_model())
        if context.run is not None and context.instance is not None:
            limit_s = platform.settings.run.stalled_s
            stack.enter_context(heartbeat(context.instance, context.run.run_id, limit_s))
        yield platform


def _log_refusal(context: dg.InitResourceContext, error: MediaFMError) -> None:
    """Log why a run cannot start; it is not started again where that cannot help."""
    if context.log is not None:
        context.log.error(str(error))
    of_settings = isinstance(error, ConfigurationError | IdentityMismatchError)
    if of_settings and context.instance is not None and context.run is not None:
        context.instance.add_run_tags(context.run.run_id, _NO_RETRY)


@lru_cache(maxsize=1)
def watching_platform() -> Platform:
    """The platform of the sensors: kept between ticks, with what it has read of the store.

    Settings are read once; reload the code location after changing them.
    """
    return Platform(load_settings())


def not_set_up(settings: Settings) -> str:
    """Return a sentence that names the settings without which there is no catalogue; or ""."""
    folders = {"MEDIAFM_INBOX": settings.inbox, "MEDIAFM_STORE": settings.store}
    missing = [name for name, place in folders.items() if place is None]
    if not missing:
        return ""
    names = " and ".join(missing)
    return f"Not set: {names}. Set {'them' if missing[1:] else 'it'} and start Dagster again."
