"""Retry of a step after an error that may pass, such as a full disk or unreachable storage.

A title's own fault quarantines it and is not retried; other errors that a retry cannot change raise
`Failure(allow_retries=False)`. Dagster's `RetryPolicy` would be enough if it did not treat an
interrupt as an error that may pass, and restart the interrupted step.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

MOST_RETRIES = 2
_FIRST_DELAY_S = 20.0
_JITTER = 0.25  # of the delay, so that runs that failed together are not retried together


@contextmanager
def retried(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Make Dagster retry a step when the block fails.

    Raises:
        RetryRequested: in place of any error but a `Failure` that allows no retries.
    """
    try:
        yield
    except dg.Failure as error:
        if not error.allow_retries:
            raise
        raise _retry(context) from error
    except Exception as error:
        raise _retry(context) from error


def _retry(context: dg.AssetExecutionContext) -> dg.RetryRequested:
    delay = _FIRST_DELAY_S * 2**context.retry_number
    jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - not used for a secret
    return dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=delay * jitter)
