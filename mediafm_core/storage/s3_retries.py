"""Retries of S3 requests, counted per request.

botocore's own modes `standard` and `adaptive` share a quota among all requests of a client: a
series of faults empties it, and afterwards the next fault is final at its first try. A platform
that runs for days shares one client, so botocore's retries are switched off and every request has
all its tries.
"""

import random
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

PASSING = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
# Transient answers below 500: too many requests, or a body that was damaged or cut in transit.
_PASSING_CODES = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
        *("TooManyRequests", "ServiceUnavailable", "RequestTimeout"),
        *("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"),
    }
)
_TOO_MANY_REQUESTS, _SERVER_FAULT, _NOT_IMPLEMENTED = 429, 500, 501
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 20.0
_TRIES = "tries"


def pause_s(tries: int) -> float:
    """Return the seconds to wait after some tries: doubled with each, with jitter, at most 20."""
    longest = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def retry_passing_faults(client: Any, max_attempts: int) -> None:
    """Retry requests of a client whose own retries are off (`total_max_attempts` 1).

    Args:
        client: of S3.
        max_attempts: tries of one request, the first one included.
    """

    def seconds_until_retry(
        attempts: int,
        response: tuple[Any, Mapping[str, Any]] | None,
        caught_exception: Exception | None,
        **_event: Any,
    ) -> float | None:
        if isinstance(caught_exception, PASSING):
            note_tries(caught_exception, attempts)
            fault_passes, asked_s = True, 0.0
        elif response is not None:
            fault_passes, asked_s = answer_passes(response[1]), _retry_after_s(response[1])
        else:
            return None
        if attempts >= max_attempts or not fault_passes:
            return None
        return max(pause_s(attempts), min(asked_s, _LONGEST_PAUSE_S))

    client.meta.events.register("needs-retry.s3", seconds_until_retry, unique_id="mediafm-retries")


def answer_passes(answer: Mapping[str, Any]) -> bool:
    """Return True for a transient error: 5xx, throttling.

    Args:
        answer: parsed by botocore, or `ClientError.response`.
    """
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(answer.get("Error", {}).get("Code", ""))
    at_fault = status >= _SERVER_FAULT and status != _NOT_IMPLEMENTED
    return at_fault or status == _TOO_MANY_REQUESTS or code in _PASSING_CODES


def note_tries(error: Exception, tries: int) -> None:
    """Store the number of tries with a botocore error, for its message."""
    error.kwargs[_TRIES] = tries  # type: ignore[attr-defined]


def tries_of(error: Exception) -> int:
    """Return the number of tries that were made before a botocore error was raised."""
    return int(getattr(error, "kwargs", {}).get(_TRIES, 1))


def _retry_after_s(answer: Mapping[str, Any]) -> float:
    """Return the seconds of `Retry-After`; 0.0 if there is none, or it is a date."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    value = str(headers.get("retry-after", ""))
    return float(value) if value.isdecimal() else 0.0
