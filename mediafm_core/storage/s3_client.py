"""S3 client with the settings' time-outs and retries, and its errors as messages for people.

Transient faults (503, throttling, time-outs, broken connections) are retried with back-off and
jitter (`s3_retries`); lasting ones (no access, no bucket) are not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mediafm_core.config.store_settings import S3Settings
from mediafm_core.errors import ConfigurationError, MediaFMError, StorageError
from mediafm_core.storage.s3_retries import (
    PASSING,
    answer_passes,
    note_tries,
    pause_s,
    retry_passing_faults,
    tries_of,
)

CONNECTIONS = 16  # files, and parts of a large one, travel at the same time
_NO_BUCKET = {"NoSuchBucket"}
_OTHER_REGION = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocation"}
_NOT_FOUND = {"404", "NoSuchKey", "NotFound"}
_PRECONDITION = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_REFUSED_STATUS = {401, 403}


@lru_cache
def s3_client(settings: S3Settings) -> Any:
    """Return a client, the same one for the same settings; threads may share it.

    It sends no request.

    Raises:
        ConfigurationError: an unusable address, or no region where one is needed.
    """
    keys = {}
    if settings.access_key_id and settings.secret_access_key:
        keys = {
            "aws_access_key_id": settings.access_key_id.get_secret_value(),
            "aws_secret_access_key": settings.secret_access_key.get_secret_value(),
        }
    try:
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            config=Config(
                connect_timeout=settings.connect_timeout_s,
                read_timeout=settings.read_timeout_s,
                retries={"mode": "standard", "total_max_attempts": 1},
                s3={"addressing_style": settings.addressing},
                max_pool_connections=CONNECTIONS,
            ),
            **keys,
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"S3 cannot be used with these settings ({_reason(error)}): correct the section s3."
        ) from None
    retry_passing_faults(client, settings.max_attempts)
    return client


def read_object(client: Any, max_attempts: int, **request: Any) -> tuple[dict[str, Any], bytes]:
    """Read a small object whole: the response and its content. A cut transfer is tried again.

    Args:
        client: of S3.
        max_attempts: transfers that are begun, the first one included.
        request: of `get_object`.
    """
    tries = 0
    while True:
        response = client.get_object(**request)
        try:
            return response, response["Body"].read()
        except PASSING as error:
            tries += 1
            if tries >= max_attempts:
                note_tries(error, tries)
                raise
        time.sleep(pause_s(tries))


@contextmanager
def readable_errors(place: str, client: Any) -> Iterator[None]:
    """Turn errors of boto3 into ours.

    Args:
        place: the requested object, `s3://bucket/key`.
        client: that sent the request.

    Raises:
        ConfigurationError: the bucket, the keys, their permissions or the settings are at fault.
        StorageError: the service does not answer as it should, after all retries.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _sentence(error, place, client) from None


def is_missing(error: ClientError) -> bool:
    """Return True if an object does not exist, while its bucket does."""
    return _code(error) in _NOT_FOUND


def is_changed(error: ClientError) -> bool:
    """Return True if an object is not in the state that a request requires, or is being changed."""
    return _code(error) in _PRECONDITION


def _sentence(error: Exception, place: str, client: Any) -> MediaFMError:
    endpoint = client.meta.endpoint_url
    if isinstance(error, PASSING):
        return StorageError(
            f"{place} cannot be reached at {endpoint} in {_count(tries_of(error))} "
            f"({type(error).__name__}): check the network and the service, then run again."
        )
    if not isinstance(error, ClientError):
        return ConfigurationError(
            f"{place} cannot be read from {endpoint} ({_reason(error)}): correct section s3 of "
            "the settings or AWS's own."
        )
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NO_BUCKET:
        bucket = place.removeprefix("s3://").partition("/")[0]
        return ConfigurationError(
            f"There is no bucket {bucket} at {endpoint}: create it, or correct inbox and store."
        )
    if code in _OTHER_REGION:
        return ConfigurationError(
            f"{place} is in another region ({code}): set s3.region to the bucket's."
        )
    if answer_passes(error.response):
        tries = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) + 1
        return StorageError(
            f"{endpoint} answers {code} for {place} after {_count(tries)}: wait until the service "
            "recovers, then run again."
        )
    if status in _REFUSED_STATUS:
        return ConfigurationError(
            f"{endpoint} refuses {error.operation_name} of {place} ({code}): check the keys and "
            "their permissions (docs/reference/storage.md lists them)."
        )
    return ConfigurationError(
        f"{endpoint} cannot do {error.operation_name} of {place} ({code}): check that it supports "
        "S3's conditional writes."
    )


def _count(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _reason(error: Exception) -> str:
    """Return the first line of an error without addresses that are signed with keys."""
    return f"{type(error).__name__}: {str(error).partition('?')[0].splitlines()[0]}"
