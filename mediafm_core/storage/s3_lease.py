"""Lock among processes on many machines, kept in one small object of S3.

The object names the holder of the lock. Every write is conditional on the object's state
(`If-None-Match: *` or `If-Match`), so only one of several processes succeeds. The holder renews the
lease by writing the object again. When it has not done so for the time of a lease, by the server's
clock, the holder counts as dead and another process takes over. The machines' clocks are not
compared: a holder that could not renew in time measures that by its monotonic clock, and stops.
"""

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from mediafm_core.errors import StorageError
from mediafm_core.storage.s3_client import is_changed, is_missing, read_object

logger = logging.getLogger(__name__)

_RENEWALS = 4  # in the time of a lease
_CLOCK_STEP_S = 1.0  # S3 dates objects in whole seconds
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 2.0  # between two looks at a lock that another holds


class _LockObject(BaseModel):
    """Content of the object: the holder, None if the lock is free, and the length of its lease."""

    holder: str | None
    seconds: float
    written: str = ""


@dataclass(frozen=True)
class _Seen:
    """State of the object: holder of the lock, entity tag, and age by the server's clock."""

    holder: str | None
    seconds: float
    tag: str
    age_s: float


class Lease:
    """A lock of one process.

    Args:
        client: of S3.
        bucket: where the object is.
        key: of the object.
        seconds: after which the lock of a process that died is free.
        max_attempts: tries to read the object whole.
    """

    def __init__(
        self, client: Any, bucket: str, key: str, seconds: float, max_attempts: int
    ) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._seconds = seconds
        self._max_attempts = max_attempts
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        self._tag = ""
        self._valid_until = 0.0
        self._left = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, and hold it for the duration of the block."""
        self._acquire()
        renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._left.set()
            renewing.join()
            self._release()

    def require(self) -> None:
        """Refuse to continue if another process may hold the lock by now.

        Raises:
            StorageError: it was not renewed in time.
        """
        if time.monotonic() >= self._valid_until:
            raise StorageError(
                f"The lock s3://{self._place['Bucket']}/{self._place['Key']} could not be renewed "
                f"within {self._seconds:g} s, so that another process may hold it: run again."
            )

    def _acquire(self) -> None:
        look_s = _FIRST_LOOK_S
        tag, since = "", 0.0  # of the object, and when it was first seen with this tag
        while True:
            seen = self._look()
            if seen and seen.tag != tag:
                tag, since = seen.tag, time.monotonic()
            free = (
                seen is None
                or seen.holder is None
                # If the server's clock was set back: for how long this process has seen the tag.
                or max(seen.age_s, time.monotonic() - since) > seen.seconds + _CLOCK_STEP_S
            )
            if free and self._write(self._holder, seen.tag if seen else None):
                return
            self._left.wait(look_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            look_s = min(2 * look_s, _LONGEST_LOOK_S)

    def _renew(self) -> None:
        while not self._left.wait(self._seconds / _RENEWALS):
            try:
                if not self._write(self._holder, self._tag):
                    self._valid_until = 0.0
                    return
            except (ClientError, BotoCoreError) as error:  # the next renewal tries again
                logger.warning("a lock could not be renewed: %s", type(error).__name__)

    def _release(self) -> None:
        try:
            self._write(None, self._tag)
        except (ClientError, BotoCoreError) as error:
            logger.warning("a lock is free only after its lease: %s", type(error).__name__)

    def _look(self) -> _Seen | None:
        try:
            found, body = read_object(self._client, self._max_attempts, **self._place)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        try:
            held = _LockObject.model_validate_json(body)
        except ValueError:  # the empty lock file of a store that was copied from a disk
            held = _LockObject(holder=None, seconds=0)
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_s = (now - found["LastModified"]).total_seconds()
        return _Seen(held.holder, held.seconds, found["ETag"], age_s)

    def _write(self, holder: str | None, tag: str | None) -> bool:
        """Write the object if its state is still the seen one; return True on success."""
        # `written` is unique, so that each renewal changes the tag.
        content = _LockObject(holder=holder, seconds=self._seconds, written=uuid.uuid4().hex)
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        started = time.monotonic()
        try:
            made = self._client.put_object(
                **self._place, Body=content.model_dump_json().encode(), **condition
            )
            self._tag = made["ETag"]
        except ClientError as error:
            if not (is_changed(error) or is_missing(error)):
                raise
            # The first try of a retried request may have succeeded although its answer was lost.
            seen = self._look()
            if seen is None or seen.holder != holder or holder is None:
                return False
            self._tag = seen.tag
        self._valid_until = started + self._seconds
        return True
