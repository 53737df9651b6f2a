"""The one resource: the core's `Platform`, built from the settings of the environment."""

import dagster as dg
from pydantic import PrivateAttr

from mediafm_core.config import load_settings
from mediafm_core.pipeline.platform import Platform


class PlatformResource(dg.ConfigurableResource):
    """Settings, store and networks of a run.

    Inbox and store come from `MEDIAFM_INBOX` and `MEDIAFM_STORE` unless they are given here. Each
    network is loaded at most once in the life of this resource, that is: once in a run.
    """

    inbox: str | None = None
    store: str | None = None

    _platform: Platform | None = PrivateAttr(default=None)

    @property
    def platform(self) -> Platform:
        """The platform, built when first asked for."""
        if self._platform is None:
            self._platform = Platform(load_settings(inbox=self.inbox, store=self.store))
        return self._platform

    @classmethod
    def around(cls, platform: Platform) -> "PlatformResource":
        """A resource that hands out an existing platform, with the networks it has loaded."""
        resource = cls()
        resource._platform = platform
        return resource
