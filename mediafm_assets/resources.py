"""The resources: the core's `Platform`, with the settings of the environment, and S3 if used."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import dagster as dg

from mediafm_assets.partitions import is_over_titles
from mediafm_core.config import Settings, load_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.preparation import prepare

PlatformResource = dg.ResourceParam[Platform]
"""Annotates an asset's parameter `platform`."""


_RECYCLE_S, _CONNECTIONS = 3600, 20
_DESCRIPTION = "Settings, store and networks of a run, from MEDIAFM_* and its file."


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
    from mediafm_assets.s3 import configured_s3

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
    platform = Platform(load_settings(), s3_client=s3_client)
    prepare(platform)
    keeping = context.run is not None and is_over_titles(context.run.tags)
    with platform.one_model() if keeping else nullcontext():
        yield platform


@lru_cache(maxsize=1)
def watching_platform() -> Platform:
    """The platform of the sensors: kept between ticks, with what it has read of the store.

    Settings are read once; reload the code location after changing them.
    """
    return Platform(load_settings())
