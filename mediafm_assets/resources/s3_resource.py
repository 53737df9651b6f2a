"""Dagster's own S3 resource, with this project's settings. Imported only where S3 is used."""

from typing import Any

from dagster_aws.s3 import S3Resource

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.storage.s3_client import s3_client


class ConfiguredS3(S3Resource):
    """The `S3Resource` of dagster-aws, whose client has the settings' time-outs, retries and keys.

    The fields are what the UI shows of a resource: keys are none of them.
    """

    def get_client(self) -> Any:
        """A client of S3, as `mediafm_core` uses it."""
        return s3_client(load_settings().s3)


def configured_s3(settings: Settings) -> ConfiguredS3:
    """The resource `s3` with what may be shown of the settings."""
    return ConfiguredS3(
        endpoint_url=settings.s3.endpoint_url,
        region_name=settings.s3.region,
        max_attempts=settings.s3.max_attempts,
    )
