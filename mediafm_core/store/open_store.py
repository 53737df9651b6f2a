"""Constructor of the store that the settings name."""

from typing import Any

from mediafm_core.config.settings import Settings
from mediafm_core.storage.open_files import open_files
from mediafm_core.store.store import Store


def open_store(settings: Settings, s3_client: Any = None) -> Store:
    """Return a store in a folder or in S3, without a request to S3.

    Args:
        settings: all settings.
        s3_client: of S3; None makes one from the settings if needed.

    Raises:
        ConfigurationError: none is named, or it cannot be one.
    """
    return Store(open_files(settings.require_store(), settings.s3, s3_client))
