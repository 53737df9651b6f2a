"""Constructor of `Files` for a location from the settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.config.location import S3Location
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles

if TYPE_CHECKING:
    from mediafm_core.config.store_settings import S3Settings


def open_files(location: Path | S3Location, settings: "S3Settings", client: Any = None) -> Files:
    """Return the files at a location, without a request to S3.

    Args:
        location: a folder, or a prefix of a bucket.
        settings: of S3.
        client: of S3; None makes one from the settings.

    Raises:
        ConfigurationError: the settings of S3 cannot be used.
    """
    if isinstance(location, Path):
        return LocalFiles(location)
    from mediafm_core.storage.s3 import S3Files  # imports boto3, which local files do without

    return S3Files(location, settings, client)
