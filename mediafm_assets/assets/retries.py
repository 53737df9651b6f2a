"""Try a step again after what may pass: a full disk that is being cleaned, storage out of reach.

A title's own faults quarantine it and are not tried again; other errors that a second try cannot
change say so with `Failure(allow_retries=False)`. Dagster's `RetryPolicy` would do, if it did not
take an interrupt for a fault that may pass and start the interrupted step again.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

MOST_RETRIES = 2
_FIRST_DELAY_S = 20.0
_JITTER = 0.25  # share of the delay, so that runs that failed together do not come back together


@contextmanager
def retried(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Ask Dagster to run a step again when it fails.

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
    jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
    return dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=delay * jitter)
