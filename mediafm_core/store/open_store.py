"""The store that the settings name."""

from typing import Any

from mediafm_core.config.settings import Settings
from mediafm_core.storage.open_files import open_files
from mediafm_core.store.store import Store


def open_store(settings: Settings, s3_client: Any = None) -> Store:
    """A store in a folder or in S3; nothing is asked of S3 yet.

    Args:
        settings: all settings.
        s3_client: of S3, where one is at hand; made from the settings if needed otherwise.

    Raises:
        ConfigurationError: none is named, or it cannot be one.
    """
    return Store(open_files(settings.require_store(), settings.s3, s3_client))
