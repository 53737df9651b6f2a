"""A child's side of a task: the request, the open files that came with it, and what it says."""

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mediafm_core.isolation.wire import Inbound, Message, send
from mediafm_core.titles.title_file import TitleFile


class TaskContext:
    """One request of the process that works, in a child.

    Args:
        request: its head names the files; its body is JSON, the arguments.
        descriptors: of the open files, in the order of their names.
        inbound: where answers come from.
        data: the connection.
    """

    def __init__(
        self,
        request: Message,
        descriptors: Sequence[int],
        inbound: Inbound,
        data: socket.socket,
    ) -> None:
        self._request = request
        self._descriptors = list(descriptors)
        self._inbound = inbound
        self._data = data

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, as JSON has them."""
        found: dict[str, Any] = json.loads(self._request.body)
        return found

    def file(self) -> TitleFile:
        """Take the next file that came with the request, to read; the caller closes it."""
        path = Path(self._request.head["paths"][0])
        return TitleFile(self._descriptors.pop(0), path)

    def descriptor(self) -> int:
        """Take the next descriptor that came with the request; the caller closes it."""
        return self._descriptors.pop(0)

    def send(self, message: Message) -> None:
        """Send a message."""
        send(self._data, message)

    def receive_answer(self) -> Message:
        """Wait for the next answer."""
        return self._inbound.next()


Task = Callable[[TaskContext], bytes]
"""Does what is asked and returns the result, JSON."""
