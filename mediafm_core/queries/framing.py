"""Frames between the process that asks and the one that runs queries: bytes, and Arrow tables."""

import struct
from typing import BinaryIO

import pyarrow as pa

_LENGTH = struct.Struct(">Q")
NO_PARAMETER = ""
"""Name of a column that a table of parameters has in any case: Arrow needs one."""


def write_frame(file: BinaryIO, content: bytes | memoryview | pa.Buffer) -> None:
    """Write bytes with their number before them."""
    view = memoryview(content)
    file.write(_LENGTH.pack(view.nbytes))
    file.write(view)
    file.flush()


def read_frame(file: BinaryIO) -> bytes:
    """Read what `write_frame` has written.

    Raises:
        EOFError: the other process has ended.
    """
    head = file.read(_LENGTH.size)
    content = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(content) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return content


def to_bytes(table: pa.Table) -> pa.Buffer:
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def from_bytes(content: bytes) -> pa.Table:
    """Return the table of an Arrow stream, over the same memory."""
    return pa.ipc.open_stream(pa.py_buffer(content)).read_all()
