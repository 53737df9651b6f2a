"""The process that runs queries: `python -m mediafm_core.queries.worker REQUESTS ANSWERS LIFE`.

It runs one query after the other, each on a connection of its own, within limits that the system
enforces: memory, no file written while a query runs, no core dump. The process that started it ends
it when a query takes too long, and it ends by itself when that process does.

Requests and answers are frames (`mediafm_core.queries.framing`). A request: a JSON object, the
parameters and a table as Arrow. An answer: a JSON object once the catalogue is open, another one
with the outcome, and the result as Arrow.
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
from mediafm_core.store.features import open_features
from mediafm_core.store.open_store import open_store

Execute = Callable[[duckdb.DuckDBPyConnection, "QueryRequest"], pa.Table]

_GIB = 1 << 30
_BESIDE_GIB, _BESIDE_CORE_GIB = 1.0, 0.02  # Python and libraries; stacks and heaps of threads
_FULL = 0.3  # share of the limit of memory that a process for further queries may hold
_OUT_OF_MEMORY = (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError)
_REASON = 200  # characters of DuckDB's reason in an error
# Types that DuckDB's conversion to Arrow, or Arrow's to Python, changes without an error.
_INEXACT = re.compile(r"\b(UHUGEINT|BIGNUM|BIT|TIME WITH TIME ZONE|TIME_NS)\b")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")  # values of an ENUM, names of fields


class QueryRequest:
    """A query that came from the other process.

    Attributes:
        kind: "sql", "clips" or "examples": what `text` is.
        text: a query, or a condition.
        parameters: values for its placeholders.
        table: rows that a condition is about.
    """

    def __init__(self, head: bytes, parameters: bytes, table: bytes) -> None:
        fields = json.loads(head)
        self.kind: str = fields["kind"]
        self.text: str = fields["text"]
        self.store: str = fields["store"]
        (row,) = from_bytes(parameters).drop_columns([NO_PARAMETER]).to_pylist() or ({},)
        # None, and not an empty list, for which DuckDB would import pandas.
        self.parameters: dict[str, Any] | list[Any] | None = (
            row if fields["named"] else list(row.values())
        ) or None
        self.table = from_bytes(table) if table else None


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the other process closes its end."""
    while True:
        try:
            request = QueryRequest(*(read_frame(requests) for _ in range(3)))
        except EOFError:
            return
        try:
            result = to_bytes(_run(request, answers))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other process reports it
            write_frame(answers, _outcome(error))
            if isinstance(error, _OUT_OF_MEMORY):
                return
        else:
            write_frame(answers, b"{}")
            write_frame(answers, result)
            del result
        gc.collect()
        if _data() > _FULL * resource.getrlimit(resource.RLIMIT_DATA)[0]:
            return  # the next query shall have all of it


def _run(request: QueryRequest, answers: BinaryIO) -> pa.Table:
    settings = load_settings(store=request.store)
    store = open_store(settings)
    if not store.features.exists():
        raise store.without_features()
    memory = f"{settings.queries.memory_gib * 1024:.0f}MiB"
    with closing(open_features(store, {"memory_limit": memory, "temp_directory": ""})) as found:
        write_frame(answers, b"{}")
        with _writing_nothing():
            return _EXECUTES[request.kind](found, request)


def _sql(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Run a query."""
    require_reading(connection, request.text)
    result = connection.sql(request.text, params=request.parameters)
    kinds = [(name, str(kind)) for name, kind, *_ in result.description or ()]
    refuse_inexact(kinds)
    return result.to_arrow_table()


def _clips(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Return `title_id, clip_id` of the clips that a condition holds for."""
    require_condition(connection, request.text)
    return connection.sql(
        "SELECT title_id, clip_id FROM clips JOIN titles USING (title_id) "  # noqa: S608 - see above
        f"WHERE (\n{request.text}\n)",
        params=request.parameters,
    ).to_arrow_table()


def _examples(connection: duckdb.DuckDBPyConnection, request: QueryRequest) -> pa.Table:
    """Return the numbers of the rows of a table, joined with the titles, that it holds for.

    Where a label has the name of a column of `titles`, the label is meant.
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
    """Refuse columns that Arrow cannot hold without loss, by names and DuckDB's types.

    Raises:
        MediaFMError: there is one.
    """
    for name, kind in columns:
        if found := _INEXACT.search(_QUOTED.sub("", kind)):
            raise MediaFMError(
                f"The column {name!r} holds {found[0]}, which would lose digits or its zone: cast "
                f'it, such as "{name}"::VARCHAR.'
            )


def _data() -> int:
    """Return the bytes of this process that count towards its limit; 0 if that is unknown."""
    return getattr(psutil.Process().memory_info(), "data", 0)


@contextmanager
def _writing_nothing() -> Iterator[None]:
    """Let the system refuse to make any file larger while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _outcome(error: Exception) -> bytes:
    """Return what the other process raises: the name of an error's class, and its text."""
    if isinstance(error, MediaFMError):
        name = "StoreError" if isinstance(error, StoreError) else "MediaFMError"
        text = str(error)
    else:
        text = str(error).partition("\n\nLINE")[0] or type(error).__name__
        name, text = "", shortened(text, _REASON)
    return json.dumps({"error": name, "text": text}).encode()


def _limit(settings: Settings) -> None:
    beside = _BESIDE_GIB + _BESIDE_CORE_GIB * (os.cpu_count() or 1)
    bytes_ = int((settings.queries.memory_gib + beside) * _GIB)
    for kind, value in ((resource.RLIMIT_DATA, bytes_), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _end_with_parent(life: int) -> None:
    """End this process when the other one has ended, whatever it is at."""
    os.read(life, 1)
    os._exit(0)


def main() -> None:
    """Serve the process that has started this one."""
    requests, answers, life = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the other process decides
    threading.Thread(target=_end_with_parent, args=[life], daemon=True).start()
    _limit(load_settings())
    with os.fdopen(requests, "rb") as source, os.fdopen(answers, "wb") as sink:
        serve(source, sink)


if __name__ == "__main__":
    main()
