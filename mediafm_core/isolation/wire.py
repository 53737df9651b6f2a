"""Messages between the working process and its children: a JSON head and raw bytes.

    4 bytes length of the head | 4 bytes length of the body | head | body

Nothing is unpickled, and lengths are checked before memory is allocated. File descriptors are sent
with the first byte of a message (`SCM_RIGHTS`).
"""

import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_DESCRIPTORS = 8
_LENGTHS = struct.Struct("!II")
_MAX_HEAD_BYTES = 16 << 20
_MAX_BODY_BYTES = 256 << 20
_READ_BYTES = 1 << 20


class WireError(Exception):
    """Bytes that are not a valid message, or a message above the size limit."""


class Message(NamedTuple):
    """A message of some kind, with a JSON head and a body of raw bytes."""

    kind: str
    head: Mapping[str, Any]
    body: bytes = b""


def packed(message: Message) -> bytes:
    """Serialise a message."""
    head = json.dumps({**message.head, "kind": message.kind}).encode()
    return b"".join((_LENGTHS.pack(len(head), len(message.body)), head, message.body))


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message together with open file descriptors.

    Raises:
        OSError: the other side has closed the connection.
    """
    data = packed(message)
    sent = socket.send_fds(connection, [data], list(descriptors)) if descriptors else 0
    connection.sendall(data[sent:])


class Inbound:
    """Reader of messages from a connection.

    Args:
        connection: a Unix stream socket, blocking or not.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._bytes = bytearray()
        self.descriptors: list[int] = []  # received and not used yet

    def receive(self) -> Iterator[Message]:
        """Receive bytes once and return the messages that they complete.

        Raises:
            EOFError: the other side has closed the connection.
            WireError: the bytes are not a valid message.
            BlockingIOError: no bytes are available on a non-blocking connection.
        """
        data, descriptors, flags, _ = socket.recv_fds(
            self._connection, _READ_BYTES, MAX_DESCRIPTORS
        )
        self.descriptors += descriptors
        if flags & socket.MSG_CTRUNC:
            raise WireError("descriptors were lost: the limit of open files is reached")
        if not data:
            raise EOFError
        self._bytes += data
        return self._complete()

    def next(self) -> Message:
        """Wait for one message; only for connections on which one message is sent at a time.

        Raises:
            EOFError, WireError: see `receive`.
        """
        messages = self._complete()
        while (message := next(messages, None)) is None:
            messages = self.receive()
        return message

    def _complete(self) -> Iterator[Message]:
        while len(self._bytes) >= _LENGTHS.size:
            head_bytes, body_bytes = _LENGTHS.unpack_from(self._bytes)
            if head_bytes > _MAX_HEAD_BYTES or body_bytes > _MAX_BODY_BYTES:
                raise WireError(f"a message of {head_bytes} and {body_bytes} bytes")
            body = _LENGTHS.size + head_bytes
            end = body + body_bytes
            if len(self._bytes) < end:
                return
            message = _message(bytes(self._bytes[_LENGTHS.size : body]), self._bytes[body:end])
            del self._bytes[:end]
            yield message


def _message(head: bytes, body: bytearray) -> Message:
    try:
        found = json.loads(head)
        return Message(str(found.pop("kind")), found, bytes(body))
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise WireError(f"a head that cannot be read ({type(error).__name__})") from None
