"""The one resource: the core's `Platform`, with the settings of the environment."""

import dagster as dg

from mediafm_core.config import load_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.preparation import prepare

PlatformResource = dg.ResourceParam[Platform]
"""Annotates an asset's parameter `platform`."""


@dg.resource(description="Settings, store and networks of a run, from MEDIAFM_* and its file.")
def platform_from_environment(_context: dg.InitResourceContext) -> Platform:
    """The platform of a run; each network is loaded at most once in its life."""
    platform = Platform(load_settings())
    prepare(platform)
    return platform
