"""Run queries of people in child processes: none of them can end, fill or change this one.

A child is started at the first query (0.3 s of processor time) and kept for the next ones, which
then take some milliseconds more than in this process. Threads that query at the same time have a
child each; two are kept.
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

_MOST_KEPT = 2
_ERRORS = {"MediaFMError": MediaFMError, "StoreError": StoreError}
_lock = threading.Lock()
_kept: list["_Worker"] = []


def run(
    kind: Literal["sql", "clips", "examples"],
    text: str,
    store: Store,
    parameters: Parameters | None = None,
    table: pa.Table | None = None,
) -> pa.Table:
    """Run a query or a condition on a catalogue.

    Args:
        kind: of `text`: a query ("sql"); a condition on the catalogue's clips ("clips") or on the
            rows of `table` ("examples").
        text: in DuckDB's SQL.
        store: the catalogue's.
        parameters: values for `?` or `$1` (a sequence) or `$name` (a mapping).
        table: rows, for "examples"; their numbers are its last column.

    Returns:
        The result; `title_id, clip_id` of the clips; or the numbers of the rows.

    Raises:
        QueryError: it cannot run; the text is DuckDB's reason, without a period.
        MediaFMError: it may not run, or exceeds a limit; StoreError: there is no catalogue.
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
        child = _take()
        try:
            result = child.answer(request, settings)
        except (QueryError, MediaFMError):
            _keep(child)
            raise
        except BaseException as error:
            child.end()
            if not isinstance(error, EOFError | OSError):
                raise
            if child.has_ended_before:
                continue  # between two queries: another one takes this one
            raise _ended(child, settings) from None
        _keep(child)
        return result


class QueryError(Exception):
    """DuckDB's reason why a query cannot run."""


class _Worker:
    """A child process that runs one query at a time."""

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
    def is_of_use(self) -> bool:
        """Return whether it lives, is this process's own and reads the same settings."""
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
    def has_ended_before(self) -> bool:
        """Return whether it has ended after an answer, before it took up another query."""
        return self._answered > 0 and not self._at_work

    def answer(self, request: Sequence[bytes | pa.Buffer], settings: Settings) -> pa.Table:
        """Send a request and wait for the answer.

        Raises:
            QueryError, MediaFMError: the child's.
            EOFError, OSError: the child has ended.
        """
        self._at_work = False
        for frame in request:
            write_frame(self._requests, frame)
        self._outcome()  # the catalogue is open, which may have taken copies from afar
        self._at_work = True
        watch = threading.Timer(settings.queries.time_s, self._time_out)
        watch.daemon = True
        watch.start()
        try:
            self._outcome()
            result = from_bytes(read_frame(self._answers))
            self._answered += 1
            return result
        finally:
            watch.cancel()

    def _outcome(self) -> None:
        """Take a report; raise the error that it names."""
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
        """Kill it, and close the pipes to it."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for file in (self._requests, self._answers):
            with suppress(OSError):  # what was not sent is lost with the child
                file.close()
        with suppress(OSError):
            os.close(self._life)


def _settings_of_environment() -> dict[str, str]:
    """Return the variables that settings and access to a store come from."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("MEDIAFM_", "AWS_")) or name in ("HOME", "TMPDIR")
    }


def _take() -> _Worker:
    """Return a child that waits, or a new one."""
    with _lock:
        while _kept:
            child = _kept.pop()
            if child.is_of_use:
                return child
            child.end()
    return _Worker()


def _keep(child: _Worker) -> None:
    with _lock:
        if len(_kept) < _MOST_KEPT:
            _kept.append(child)
            return
    child.end()


@atexit.register
def _end_all() -> None:
    with _lock:
        while _kept:
            _kept.pop().end()


def _as_table(parameters: Parameters | None) -> pa.Table:
    """Return parameters as a table of one row, whose columns have their names or numbers."""
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
                f"The parameter {name} cannot be passed on ({type(value).__name__}): give a "
                "number, a text, a time or a list of these."
            ) from error
    return pa.Table.from_arrays([*arrays.values(), pa.array([True])], [*arrays, NO_PARAMETER])


def _ended(child: _Worker, settings: Settings) -> MediaFMError:
    """Return the error for a child that has ended in the midst of a query."""
    limits = settings.queries
    if child.timed_out:
        return MediaFMError(
            f"The query took longer than {limits.time_s:g} s: ask for less, or raise "
            "queries.time_s."
        )
    code = child.exit_code
    cause = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    return MediaFMError(
        f"The query ended its process ({cause}), perhaps by more than {limits.memory_gib:g} GiB "
        "of memory: ask for less, or raise queries.memory_gib."
    )
