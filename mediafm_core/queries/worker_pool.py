"""Pool of worker processes that run users' queries.

A query cannot crash this process, exhaust its memory or change its state. A worker is started at
the first query (0.3 s of CPU time) and reused for the next ones, which then take a few milliseconds
more than in this process. Concurrent threads use a worker each; two idle workers are kept.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import pyarrow as pa

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.queries.framing import NO_PARAMETER, from_bytes, read_frame, to_bytes, write_frame
from mediafm_core.store.store import Store

Parameters = Sequence[Any] | Mapping[str, Any]

_MAX_IDLE = 2
_ERRORS = {"MediaFMError": MediaFMError, "StoreError": StoreError}
_lock = threading.Lock()
_idle: list["_QueryWorker"] = []


def run(
    kind: Literal["sql", "clips", "examples"],
    text: str,
    store: Store,
    parameters: Parameters | None = None,
    table: pa.Table | None = None,
) -> pa.Table:
    """Run a query or a condition on a catalogue.

    Args:
        kind: the meaning of `text`: a query ("sql"); a condition on the catalogue's clips ("clips")
            or on the rows of `table` ("examples").
        text: in DuckDB's SQL.
        store: of the catalogue.
        parameters: values for `?` or `$1` (a sequence) or `$name` (a mapping).
        table: rows, for "examples"; their numbers are its last column.

    Returns:
        The result; `title_id, clip_id` of the clips; or the numbers of the rows.

    Raises:
        QueryError: the query fails; the text is DuckDB's reason, without a period.
        MediaFMError: the query is not allowed, or exceeds a limit.
        StoreError: there is no catalogue.
    """
    settings = load_settings(store=store.files.location)
    head = {
        "kind": kind,
        "text": text,
        "store": store.files.location,
        "named": isinstance(parameters, Mapping),
    }
    request = [
        json.dumps(head).encode(),
        to_bytes(_as_table(parameters)),
        to_bytes(table) if table is not None else b"",
    ]
    while True:
        worker = _acquire()
        try:
            result = worker.answer(request, settings)
        except (QueryError, MediaFMError):
            _release(worker)
            raise
        except BaseException as error:
            worker.end()
            if not isinstance(error, EOFError | OSError):
                raise
            if worker.ended_while_idle:
                continue  # the query has not started: run it on another worker
            raise _end_error(worker, settings) from None
        _release(worker)
        return result


class QueryError(Exception):
    """DuckDB's reason for a failed query."""


class _QueryWorker:
    """Handle on a worker process, which runs one query at a time."""

    def __init__(self) -> None:
        requests, request_end = os.pipe()
        answer_end, answers = os.pipe()
        life, self._life = os.pipe()
        ends = (requests, answers, life)
        self.owner = os.getpid()
        self.environment = _settings_of_environment()
        self.timed_out = False
        self._answered = 0
        self._at_work = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mediafm_core.queries.worker", *map(str, ends)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=ends,
        )
        for end in ends:
            os.close(end)
        self._requests = os.fdopen(request_end, "wb")
        self._answers = os.fdopen(answer_end, "rb")

    @property
    def is_usable(self) -> bool:
        """Return True if it runs, was started by this process and has the current settings."""
        return (
            self.owner == os.getpid()
            and self._process.poll() is None
            and self.environment == _settings_of_environment()
        )

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal."""
        return self._process.poll()

    @property
    def ended_while_idle(self) -> bool:
        """Return True if it has ended after an answer and before it started the next query."""
        return self._answered > 0 and not self._at_work

    def answer(self, request: Sequence[bytes | pa.Buffer], settings: Settings) -> pa.Table:
        """Send a request and wait for the answer.

        Raises:
            QueryError, MediaFMError: from the worker.
            EOFError, OSError: the worker has ended.
        """
        self._at_work = False
        for frame in request:
            write_frame(self._requests, frame)
        self._outcome()  # the catalogue is open; the time limit excludes downloads for that
        self._at_work = True
        timer = threading.Timer(settings.queries.time_s, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            self._outcome()
            result = from_bytes(read_frame(self._answers))
            self._answered += 1
            return result
        finally:
            timer.cancel()

    def _outcome(self) -> None:
        """Read an outcome; raise the error in it, if there is one."""
        outcome = json.loads(read_frame(self._answers))
        if "error" not in outcome:
            return
        self._answered += 1
        if outcome["error"]:
            raise _ERRORS[outcome["error"]](outcome["text"])
        raise QueryError(outcome["text"])

    def _time_out(self) -> None:
        self.timed_out = True
        self._process.kill()

    def end(self) -> None:
        """Kill the worker and close the pipes to it."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for file in (self._requests, self._answers):
            with suppress(OSError):  # flushing fails if the worker has ended
                file.close()
        with suppress(OSError):
            os.close(self._life)


def _settings_of_environment() -> dict[str, str]:
    """Return the environment variables that determine settings and access to a store."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("MEDIAFM_", "AWS_")) or name in ("HOME", "TMPDIR")
    }


def _acquire() -> _QueryWorker:
    """Return an idle worker, or a new one."""
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.is_usable:
                return worker
            worker.end()
    return _QueryWorker()


def _release(worker: _QueryWorker) -> None:
    """Keep a worker for the next query, or end it if enough are idle."""
    with _lock:
        if len(_idle) < _MAX_IDLE:
            _idle.append(worker)
            return
    worker.end()


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


def _as_table(parameters: Parameters | None) -> pa.Table:
    """Convert parameters to a table of one row, with their names or numbers as column names."""
    named = (
        parameters.items()
        if isinstance(parameters, Mapping)
        else ((str(number), value) for number, value in enumerate(parameters or ()))
    )
    arrays = {}
    for name, value in named:
        try:
            arrays[name] = pa.array([value])
        except (pa.ArrowException, OverflowError) as error:
            raise MediaFMError(
                f"The parameter {name} has an unsupported type ({type(value).__name__}): pass a "
                "number, a string, a time or a list of these."
            ) from error
    return pa.Table.from_arrays([*arrays.values(), pa.array([True])], [*arrays, NO_PARAMETER])


def _end_error(worker: _QueryWorker, settings: Settings) -> MediaFMError:
    """Return the error for a worker that has ended during a query."""
    limits = settings.queries
    if worker.timed_out:
        return MediaFMError(
            f"The query took longer than {limits.time_s:g} s: make it smaller, or raise "
            "queries.time_s."
        )
    code = worker.exit_code
    cause = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return MediaFMError(
        f"The query ended its process ({cause}), perhaps because it needed more than "
        f"{limits.memory_gib:g} GiB of memory: make it smaller, or raise queries.memory_gib."
    )
