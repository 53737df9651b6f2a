"""HTTP requests with limits on the whole exchange, and with nothing of it in the logs.

The time-outs of HTTP clients are for one read: a service that sends a byte now and then outlives
them. The limit here is on the time from the start of a request to the last byte of its answer, and
on the bytes of the answer, which are counted while they are read and after decompression.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal

Accepted = TypeVar("Accepted")

_LIBRARIES = {"httpx2", "httpcore2", "openai"}  # they log addresses, headers and reasons
_MAX_REFUSAL_BYTES = 64 * 1024  # of an answer that is no success
_PIECE = 8  # characters of a secret that are still one
_OF_THE_ENCODING = {"content-encoding", "content-length", "transfer-encoding"}


class AnswerError(Exception):
    """An answer that arrived and cannot be used; the text holds nothing of the answer's own.

    Attributes:
        lasting: the same request would get the same answer.
    """

    def __init__(self, fault: str, lasting: bool = False) -> None:
        super().__init__(fault)
        self.lasting = lasting


class BoundedClient(httpx2.AsyncClient, Generic[Accepted]):
    """An HTTP client for requests that end in time and whose answers have a largest size.

    Redirects are not followed, so that a key goes to the host that it is for.

    Args:
        limit_s: for one request, from its start to the last byte of the answer.
        limit_bytes: for the body of an answer of status 2xx, decompressed.
        accept: reads such a body; raises `AnswerError` where it is not the requested content.

    Attributes:
        accepted: what `accept` made of the last answer of status 2xx.
    """

    accepted: Accepted

    def __init__(
        self, limit_s: float, limit_bytes: int, accept: Callable[[bytes], Accepted]
    ) -> None:
        super().__init__(timeout=limit_s, follow_redirects=False)
        self._limit_s = limit_s
        self._limit_bytes = limit_bytes
        self._accept = accept

    async def send(
        self, request: httpx2.Request, *, stream: bool = False, **options: Any
    ) -> httpx2.Response:
        """Send a request and read the whole answer.

        Raises:
            httpx2.TimeoutException: the answer was not complete in time.
            httpx2.RequestError: the exchange failed, or its answer cannot be used and another may.
            AnswerError: the answer cannot be used, and another would be no better.
        """
        del stream  # the whole answer is read in any case
        response = body = None
        with anyio.move_on_after(self._limit_s):
            response = await super().send(request, stream=True, **options)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        if response is None or body is None:
            raise httpx2.ReadTimeout(f"no answer in {self._limit_s:g} s", request=request)
        if response.is_success:
            try:
                self.accepted = self._accept(body)
            except AnswerError as error:
                if error.lasting:
                    raise
                raise httpx2.DecodingError(str(error), request=request) from error
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in _OF_THE_ENCODING
        ]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    async def _body(self, response: httpx2.Response) -> bytes:
        limit = self._limit_bytes if response.is_success else _MAX_REFUSAL_BYTES
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > limit:
                    if response.is_success:
                        raise AnswerError(f"more than {limit:,} bytes", lasting=True)
                    return b""  # only the status counts
        except httpx2.DecodingError as error:
            if not response.is_success:
                return b""
            raise httpx2.DecodingError("a damaged compression", request=error.request) from None
        return bytes(body)


def run_bounded(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine function to its end from any thread, also one that has an event loop.

    Nothing that HTTP libraries would log meanwhile is logged.
    """

    async def quietly() -> Any:
        with unlogged():
            return await work(*arguments)

    with start_blocking_portal() as portal:
        return portal.call(quietly)


def post(address: str, body: bytes, limit_s: float) -> int:
    """Post JSON; nothing of the answer is read but its status.

    Returns:
        The status, a redirect's as well: none is followed.

    Raises:
        httpx2.RequestError, httpx2.InvalidURL: there was no answer; a text may hold the address.
    """

    async def exchange() -> int:
        headers = {"Content-Type": "application/json", "User-Agent": "mediafm"}
        async with httpx2.AsyncClient(timeout=limit_s, follow_redirects=False) as client:
            with anyio.move_on_after(limit_s):
                request = client.stream("POST", address, content=body, headers=headers)
                async with request as response:
                    return response.status_code
        raise httpx2.ReadTimeout(f"no answer in {limit_s:g} s")

    return int(run_bounded(exchange))


def redacted(text: str, secrets: Sequence[str]) -> str:
    """Replace each word that holds a secret, or eight successive characters of one.

    Control characters, which could write over other text in a terminal, become spaces.
    """
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)
    pieces = {
        secret[start : start + _PIECE].lower()
        for secret in secrets
        for start in range(len(secret) - _PIECE + 1)
    }
    short = {secret.lower() for secret in secrets if len(secret) < _PIECE}

    def shown(word: re.Match[str]) -> str:
        lower = word[0].lower()
        held = lower in short or any(piece in lower for piece in pieces)
        return "[redacted]" if held else word[0]

    return re.sub(r"[^\s()]+", shown, text)


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep HTTP libraries from logging in this context: their records hold addresses and headers.

    Other contexts, such as another thread's downloads, go on logging.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_outside)  # once: a filter is not added twice
    token = _unlogged.set(True)
    try:
        yield
    finally:
        _unlogged.reset(token)


def _outside(_: logging.LogRecord) -> bool:
    return not _unlogged.get()


_unlogged: ContextVar[bool] = ContextVar("unlogged", default=False)
