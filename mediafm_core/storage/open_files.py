"""Constructor of `Files` for a place from the settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.config.location import S3Location
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles

if TYPE_CHECKING:
    from mediafm_core.config.store_settings import S3Settings


def open_files(place: Path | S3Location, settings: "S3Settings", client: Any = None) -> Files:
    """Return the files at a place, without a request to S3.

    Args:
        place: a folder, or a prefix of a bucket.
        settings: of S3.
        client: of S3; None makes one from the settings.

    Raises:
        ConfigurationError: the settings of S3 cannot be used.
    """
    if isinstance(place, Path):
        return LocalFiles(place)
    from mediafm_core.storage.s3 import S3Files  # imports boto3, which local files do without

    return S3Files(place, settings, client)
