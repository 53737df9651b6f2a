"""Files at a place that the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.config.location import S3Location
from mediafm_core.storage.files import Files
from mediafm_core.storage.local import LocalFiles

if TYPE_CHECKING:
    from mediafm_core.config.store_settings import S3Settings


def open_files(place: Path | S3Location, settings: "S3Settings", client: Any = None) -> Files:
    """The files at a place; nothing is asked of S3 yet.

    Args:
        place: a folder, or a prefix of a bucket.
        settings: of S3.
        client: of S3, where one is at hand; made from the settings otherwise.

    Raises:
        ConfigurationError: the settings of S3 cannot be used.
    """
    if isinstance(place, Path):
        return LocalFiles(place)
    from mediafm_core.storage.s3 import S3Files  # imports boto3, which local files do without

    return S3Files(place, settings, client)
