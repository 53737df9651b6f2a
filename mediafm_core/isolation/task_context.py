"""Context of a task in a child: the request, its open files, and messages to the parent."""

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mediafm_core.isolation.wire import Inbound, Message, send
from mediafm_core.titles.title_file import TitleFile


class TaskContext:
    """One request of the working process, as seen by the task in the child.

    Args:
        request: its head names the files; its body holds the arguments as JSON.
        descriptors: of the open files, in the order of their names.
        inbound: reader of the replies.
        data: the connection to the working process.
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
        """The arguments, parsed from JSON."""
        found: dict[str, Any] = json.loads(self._request.body)
        return found

    def file(self) -> TitleFile:
        """Return the next file of the request, open for reading; the caller closes it."""
        path = Path(self._request.head["paths"][0])
        return TitleFile(self._descriptors.pop(0), path)

    def descriptor(self) -> int:
        """Return the next descriptor of the request; the caller closes it."""
        return self._descriptors.pop(0)

    def send(self, message: Message) -> None:
        """Send a message to the working process."""
        send(self._data, message)

    def receive_answer(self) -> Message:
        """Wait for the next reply of the working process."""
        return self._inbound.next()


Task = Callable[[TaskContext], bytes]
"""A task: runs a request and returns the result as JSON."""
