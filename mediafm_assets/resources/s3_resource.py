"""Dagster's S3 resource with this project's settings. Imported only if S3 is used."""

from typing import Any

from dagster_aws.s3 import S3Resource

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.storage.s3_client import s3_client


class ConfiguredS3(S3Resource):
    """`S3Resource` of dagster-aws whose client has the settings' time-outs, retries and keys.

    The UI shows the fields of a resource, so keys are not among them.
    """

    def get_client(self) -> Any:
        """Return the S3 client that `mediafm_core` uses."""
        return s3_client(load_settings().s3)


def configured_s3(settings: Settings) -> ConfiguredS3:
    """Return the resource `s3` with the settings that the UI may show."""
    return ConfiguredS3(
        endpoint_url=settings.s3.endpoint_url,
        region_name=settings.s3.region,
        max_attempts=settings.s3.max_attempts,
    )
