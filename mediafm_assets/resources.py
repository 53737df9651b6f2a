"""The one resource: the core's `Platform`, with the settings of the environment."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache

import dagster as dg

from mediafm_assets.partitions import is_over_titles
from mediafm_core.config import load_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.preparation import prepare

PlatformResource = dg.ResourceParam[Platform]
"""Annotates an asset's parameter `platform`."""


@dg.resource(description="Settings, store and networks of a run, from MEDIAFM_* and its file.")
def platform_from_environment(context: dg.InitResourceContext) -> Iterator[Platform]:
    """The platform of a run; each network is loaded at most once in its life.

    A run over titles keeps to the model that serves when it starts: a release that comes meanwhile
    is taken up by the next run.
    """
    platform = Platform(load_settings())
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
