"""Query worker process: `python -m mediafm_core.queries.worker REQUESTS ANSWERS LIFE`.

The arguments are file descriptors of pipes. The worker runs one query after the other, each on a
new connection, within limits enforced by the system: memory, no file writes while a query runs, no
core dump. The parent process kills it when a query takes too long, and it exits when the parent
does (the LIFE pipe closes).

Requests and answers are frames (`mediafm_core.queries.framing`). A request consists of a JSON
object, the parameters and a table as Arrow; an answer of a JSON object once the catalogue is open,
another one with the outcome, and the result as Arrow.
"""

import gc
import json
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

import duckdb
import psutil
import pyarrow as pa

from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.queries.allowlist import require_condition, require_reading
from mediafm_core.queries.framing import NO_PARAMETER, from_bytes, read_frame, to_bytes, write_frame
from mediafm_core.readable import shortened
from mediafm_core.store.features import has_earlier_tables, open_features
from mediafm_core.store.open_store import open_store

Execute = Callable[[duckdb.DuckDBPyConnection, "QueryRequest"], pa.Table]

_GIB = 1 << 30
# Memory in addition to DuckDB's limit: Python and libraries; stacks and heaps of threads per core.
_BESIDE_GIB, _BESIDE_CORE_GIB = 1.0, 0.02
_FULL = 0.3  # fraction of the memory limit above which the worker exits after a query
_OUT_OF_MEMORY = (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError)
_REASON = 200  # most characters of DuckDB's reason in an error
_SHORT_REASON = 100  # if a remedy follows
# Types that DuckDB's conversion to Arrow, or Arrow's to Python, changes without an error.
_INEXACT = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|TIME WITH TIME ZONE|TIME_NS)\b")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")  # values of an ENUM, names of fields


class QueryRequest:
    """A request of the parent process.

    Attributes:
        kind: "sql", "clips" or "examples": the meaning of `text`.
        text: a query, or a condition.
        store: location of the store.
        parameters: values for its placeholders.
        table: rows to which a condition is applied.
    """

    def __init__(self, head: bytes, parameters: bytes, table: bytes) -> None:
        fields = json.loads(head)
        self.kind: str = fields["kind"]
        self.text: str = fields["text"]
        self.store: str = fields["store"]
        (row,) = from_bytes(parameters).drop_columns([NO_PARAMETER]).to_pylist() or ({},)
        # None instead of an empty list, for which DuckDB would import pandas.
        self.parameters: dict[str, Any] | list[Any] | None = (
            row if fields["named"] else list(row.values())
        ) or None
        self.table = from_bytes(table) if table else None


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the parent process closes its end."""
    while True:
        try:
            request = QueryRequest(*(read_frame(requests) for _ in range(3)))
        except EOFError:
            return
        try:
            result = to_bytes(_run(request, answers))
        except Exception as error:  # noqa: BLE001 - the parent process reports every error
            write_frame(answers, _outcome(error))
            if isinstance(error, _OUT_OF_MEMORY):
                return
        else:
            write_frame(answers, b"{}")
            write_frame(answers, result)
            del result
        gc.collect()
        if _data() > _FULL * resource.getrlimit(resource.RLIMIT_DATA)[0]:
            return  # a new worker gives the next query the full limit


def _run(request: QueryRequest, answers: BinaryIO) -> pa.Table:
    """Open the catalogue, report that it is open, and run the request."""
    settings = load_settings(store=request.store)
    store = open_store(settings)
    if not store.features.exists():
        raise store.without_features()
    memory = f"{settings.queries.memory_gib * 1024:.0f}MiB"
    with closing(open_features(store, {"memory_limit": memory, "temp_directory": ""})) as found:
        write_frame(answers, b"{}")
        with _no_file_writes():
            return _EXECUTES[request.kind](found, request)


def _sql(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Run a query."""
    require_reading(connection, request.text)
    try:
        result = connection.sql(request.text, params=request.parameters)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        if not has_earlier_tables(connection):
            raise
        reason = _reason_of(error, _SHORT_REASON).rstrip(".?!")
        raise MediaFMError(
            f"The query cannot run: {reason}. These features are of an earlier version, without "
            "some tables and columns: `mediafm run` publishes them again."
        ) from None
    kinds = [(name, str(kind)) for name, kind, *_ in result.description or ()]
    refuse_inexact(kinds)
    return result.to_arrow_table()


def _clips(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Return `title_id, clip_id` of the clips that satisfy a condition."""
    require_condition(connection, request.text)
    return connection.sql(
        "SELECT title_id, clip_id FROM clips JOIN titles USING (title_id) "  # noqa: S608 - the condition was checked
        f"WHERE (\n{request.text}\n)",
        params=request.parameters,
    ).to_arrow_table()


def _examples(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Return the row numbers of a table, joined with the titles, that satisfy a condition.

    If a label has the name of a column of `titles`, the name refers to the label.
    """
    require_condition(connection, request.text)
    if request.table is None:
        raise ValueError("no rows came with the condition")
    number = request.table.column_names[-1]
    connection.register("examples", request.table)
    joined = connection.sql("FROM examples JOIN titles USING (title_id)")
    return joined.filter(request.text).select(f'"{number}"').to_arrow_table()


_EXECUTES: dict[str, Execute] = {"sql": _sql, "clips": _clips, "examples": _examples}


def refuse_inexact(columns: list[tuple[str, str]]) -> None:
    """Refuse result columns that Arrow cannot hold without loss.

    Args:
        columns: name and DuckDB type of each.

    Raises:
        MediaFMError: a column is of such a type.
    """
    for name, kind in columns:
        if found := _INEXACT.search(_QUOTED.sub("", kind)):
            raise MediaFMError(
                f"The column {name!r} holds {found[0]}, which would lose digits or its time zone: "
                f'cast it, such as "{name}"::VARCHAR.'
            )


def _data() -> int:
    """Return the bytes of this process that count towards its memory limit; 0 if unknown."""
    return getattr(psutil.Process().memory_info(), "data", 0)


@contextmanager
def _no_file_writes() -> Iterator[None]:
    """Forbid this process to extend any file while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _outcome(error: Exception) -> bytes:
    """Serialise an error for the parent process: the name of its class, and its text."""
    if isinstance(error, MediaFMError):
        name = "StoreError" if isinstance(error, StoreError) else "MediaFMError"
        text = str(error)
    else:
        name, text = "", _reason_of(error)
    return json.dumps({"error": name, "text": text}).encode()


def _reason_of(error: Exception, most: int = _REASON) -> str:
    """Return the reason of an error in at most so many characters, without the query's text."""
    text = str(error).partition("\n\nLINE")[0] or type(error).__name__
    return shortened(text, most)


def _limit(settings: Settings) -> None:
    """Limit the memory of this process, and disable core dumps."""
    beside = _BESIDE_GIB + _BESIDE_CORE_GIB * (os.cpu_count() or 1)
    bytes_ = int((settings.queries.memory_gib + beside) * _GIB)
    for kind, value in ((resource.RLIMIT_DATA, bytes_), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _end_with_parent(life: int) -> None:
    """Exit when the parent process has ended, even in the middle of a query."""
    os.read(life, 1)
    os._exit(0)


def main() -> None:
    """Serve the parent process."""
    requests, answers, life = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal: the parent decides
    threading.Thread(target=_end_with_parent, args=[life], daemon=True).start()
    _limit(load_settings())
    with os.fdopen(requests, "rb") as source, os.fdopen(answers, "wb") as sink:
        serve(source, sink)


if __name__ == "__main__":
    main()
