"""A proxy before an HTTP service that injects faults, by a seed.

Each connection carries one request. Its fault, if any, is drawn when it has arrived:

    refused     the connection is closed, the request was not passed on
    lost        the request is carried out, and its answer is lost
    slow        the answer comes late
    hung        the answer comes later than the time-out of any client
    throttled   503 SlowDown, with and without Retry-After, the request was not passed on
    cut         the connection is closed in the middle of the answer
    damaged     a bit of the answer's body is flipped; it is not among FAULTS, since not all answers
                of S3 have a checksum
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

FAULTS = ("refused", "lost", "slow", "hung", "throttled", "cut")

_CHUNK_BYTES = 64 << 10
_SLOW_S = 0.05
_THROTTLED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class FaultyProxy:
    """A running proxy.

    Attributes:
        endpoint: its address.
        shares: of each fault among requests, from 0 to 1; may be changed at any time.
        injected: how often each fault was injected.
        requests: how many requests arrived.
        is_down: while true every connection is closed at once.
        down_after: requests after which that is so; None for never.
        refuse_next: how many of the next requests are refused, whatever the shares are.
        transferred: bytes of answers.
        cut_after: the most bytes of an answer that is cut.
    """

    def __init__(self, upstream: str, shares: Mapping[str, float], seed: int, hung_s: float):
        address = urlsplit(upstream)
        self._upstream = (address.hostname, address.port)
        self._random = random.Random(seed)
        self._hung_s = hung_s
        self.endpoint = ""
        self.shares = dict(shares)
        self.injected: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.is_down = False
        self.down_after: int | None = None
        self.refuse_next = 0
        self.transferred = 0
        self.cut_after = 200_000

    async def serve(self, ready: threading.Event, stopped: asyncio.Event) -> None:
        server = await asyncio.start_server(self._serve_one, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stopped.wait()
        server.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # after drain the system has taken all bytes
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._relay(reader, writer)
        writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down or self.requests.total() == self.down_after:
            return
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines[1:])
        }
        if headers.pop(b"expect", None):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get(b"content-length", 0)))
        self.requests[lines[0].split()[0].decode()] += 1
        fault = self._drawn()
        if fault == "refused":
            return
        if fault == "throttled":
            await self._throttle(writer)
            return
        if fault == "slow":
            await asyncio.sleep(_SLOW_S)
        headers[b"connection"] = b"close"
        sent = b"\r\n".join(
            [lines[0], *(b": ".join(header) for header in headers.items()), b"", body]
        )
        await self._answer(sent, writer, fault)

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter, fault: str) -> None:
        upstream, passing_on = await asyncio.open_connection(*self._upstream)
        try:
            passing_on.write(request)
            await passing_on.drain()
            head = await upstream.readuntil(b"\r\n\r\n")
            if fault == "lost":
                return
            if fault == "hung":
                await asyncio.sleep(self._hung_s)
            left = self._random.randrange(self.cut_after) if fault == "cut" else None
            writer.write(head)
            while chunk := await upstream.read(_CHUNK_BYTES):
                if fault == "damaged":
                    chunk, fault = bytes([chunk[0] ^ 1]) + chunk[1:], ""
                self.transferred += len(chunk)
                writer.write(chunk if left is None else chunk[: max(0, left - 1)])
                await writer.drain()
                if left is not None and (left := left - len(chunk)) <= 0:
                    return
        finally:
            passing_on.transport.abort()

    async def _throttle(self, writer: asyncio.StreamWriter) -> None:
        lines = [b"HTTP/1.1 503 Slow Down", b"Content-Type: application/xml"]
        lines += [b"Connection: close", b"Content-Length: %d" % len(_THROTTLED)]
        if self._random.random() < 0.5:
            lines.append(b"Retry-After: 1")
        writer.write(b"\r\n".join([*lines, b"", _THROTTLED]))
        await writer.drain()

    def _drawn(self) -> str:
        if self.refuse_next:
            self.refuse_next -= 1
            return "refused"
        drawn = self._random.random()
        for fault, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                self.injected[fault] += 1
                return fault
        return ""


@contextmanager
def faulty_proxy(
    upstream: str, shares: Mapping[str, float], seed: int = 0, hung_s: float = 30.0
) -> Iterator[FaultyProxy]:
    """Start a proxy in a thread of its own.

    Args:
        upstream: address of the service.
        shares: of each fault among requests, from 0 to 1.
        seed: of what is drawn.
        hung_s: seconds that a hung request takes.
    """
    proxy = FaultyProxy(upstream, shares, seed, hung_s)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(proxy.serve(ready, stopped))
        loop.run_until_complete(end_tasks())
        loop.close()

    async def end_tasks() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=run, name="faulty proxy", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
