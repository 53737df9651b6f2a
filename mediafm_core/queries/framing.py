"""Length-prefixed frames on the pipes between a process and its query workers."""

import struct
from typing import BinaryIO

import pyarrow as pa

_LENGTH = struct.Struct(">Q")
NO_PARAMETER = ""
"""Name of the placeholder column of a parameter table, because Arrow needs at least one column."""


def write_frame(file: BinaryIO, content: bytes | memoryview | pa.Buffer) -> None:
    """Write bytes, prefixed by their length."""
    view = memoryview(content)
    file.write(_LENGTH.pack(view.nbytes))
    file.write(view)
    file.flush()


def read_frame(file: BinaryIO) -> bytes:
    """Read a frame written by `write_frame`.

    Raises:
        EOFError: the other process has ended.
    """
    head = file.read(_LENGTH.size)
    content = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(content) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return content


def to_bytes(table: pa.Table) -> pa.Buffer:
    """Serialise a table to an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def from_bytes(content: bytes) -> pa.Table:
    """Deserialise a table from an Arrow IPC stream, without copying."""
    return pa.ipc.open_stream(pa.py_buffer(content)).read_all()
