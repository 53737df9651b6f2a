"""Worst answers of services with OpenAI's embeddings interface, and of proxies before them.

Each fault is a function that takes the request handler and the request's body and writes to the
connection.
"""

import base64
import gzip
import json
import math
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from embeddings_service import Service

Fault = Callable[..., None]

GIGABYTE = 1 << 30
DRIP_S = 0.02


def send(handler, data: bytes, status: int = 200, kind: str = "application/json", **headers):
    """Send a whole answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def raw(data: bytes) -> Fault:
    """Send bytes in place of HTTP, then close the connection."""

    def fault(handler, _):
        handler.wfile.write(data)
        handler.close_connection = True

    return fault


def text(data: bytes | str, status: int = 200, kind: str = "application/json", **headers) -> Fault:
    """Return a fault: a text that does not depend on the request."""
    data = data.encode() if isinstance(data, str) else data
    return lambda handler, _: send(handler, data, status, kind, **headers)


def refusal(status: int, code: object = "some_code", message: str = "", **headers) -> Fault:
    """Return a fault: an error in OpenAI's form."""
    error = {"error": {"message": message, "type": "error", "code": code}}
    return text(json.dumps(error), status, **headers)


def changed(change: Callable[[dict], object]) -> Fault:
    """Return a fault: the right answer after a change of it in place."""

    def fault(handler, body):
        answer = Service.answer(body)
        change(answer)
        send(handler, json.dumps(answer).encode())

    return fault


def vectors(change: Callable[[list[float]], object]) -> Fault:
    """Return a fault: the right answer with another value in place of the first vector."""

    def in_place(answer):
        answer["data"][0]["embedding"] = change(answer["data"][0]["embedding"])

    return changed(in_place)


def rows(change: Callable[[list[dict]], list[dict]]) -> Fault:
    """Return a fault: the right answer with other rows."""
    return changed(lambda answer: answer.update(data=change(answer["data"])))


def indices(change: Callable[[int], object]) -> Fault:
    """Return a fault: the right answer with other numbers of its rows."""
    return rows(lambda found: [dict(row, index=change(row["index"])) for row in found])


def base64_of(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def closed_in_the_middle(handler, body):
    data = json.dumps(Service.answer(body)).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def cut_without_a_length(handler, body):
    """Send no length, and close the connection before the end of the answer."""
    data = json.dumps(Service.answer(body)).encode()
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def infinite(handler, body):
    """Send an infinite number, which JSON can hold."""
    send(handler, json.dumps(Service.answer(body)).replace("1.0", "1e999").encode())


class Endless:
    """Fault that writes until the client closes the connection.

    Attributes:
        sent: bytes that were written.
        left: set when the client has closed the connection.
    """

    def __init__(
        self, head: bytes, piece: bytes, limit: int = GIGABYTE, pause_s: float = 0.0
    ) -> None:
        self._head, self._piece, self._limit, self._pause_s = head, piece, limit, pause_s
        self._stop = threading.Event()
        self.sent = 0
        self.left = threading.Event()

    def __call__(self, handler, _):
        handler.close_connection = True
        try:
            handler.wfile.write(self._head)
            while self.sent < self._limit and not self._stop.wait(self._pause_s):
                handler.wfile.write(self._piece)
                self.sent += len(self._piece)
        except OSError:
            self.left.set()

    def end(self) -> None:
        self._stop.set()


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def dripping_body() -> Endless:
    return Endless(_HEAD + b"Content-Length: 1000000\r\n\r\n{", b" ", pause_s=DRIP_S)


def dripping_headers() -> Endless:
    return Endless(_HEAD, b"X-More: 1\r\n", limit=50_000, pause_s=DRIP_S)


def dripping_status_line() -> Endless:
    return Endless(b"HTTP/1.1 200 ", b"O", limit=50_000, pause_s=DRIP_S)


def endless_continue() -> Endless:
    return Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=DRIP_S)


def gigabyte() -> Endless:
    return Endless(_HEAD + f"Content-Length: {GIGABYTE}\r\n\r\n".encode(), b" " * (1 << 16))


def gigabyte_in_chunks() -> Endless:
    piece = b"10000\r\n" + b" " * (1 << 16) + b"\r\n"
    return Endless(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", piece)


def gzip_bomb(handler, _):
    """Send 200 MB of blanks in 200 kB."""
    send(handler, gzip.compress(b" " * (200 << 20), 9), Content_Encoding="gzip")


def silence(handler, _):
    handler.server.released.wait(30)
    handler.close_connection = True


def reset(handler, _):
    """Reset the connection before any answer."""
    with suppress(OSError):
        handler.connection.shutdown(2)
    handler.close_connection = True


def deep(depth: int = 200_000) -> bytes:
    return b"[" * depth


PERMANENT: dict[str, tuple[Fault, str]] = {
    "width 1": (vectors(lambda _: [1.0]), "vectors of width 1 in place"),
    "wider": (vectors(lambda vector: vector * 2), "vectors of width 8 in place"),
    "base64, wider": (vectors(lambda vector: base64_of(vector * 2)), "vectors of width 8 in place"),
    "another model": (
        changed(lambda answer: answer.update(model="text-embedding-3-small")),
        "vectors of the model text-embedding-3-small",
    ),
    "a model that is no text": (
        changed(lambda answer: answer.update(model=["m"])),
        "vectors of another model",
    ),
    "another service": (text('{"welcome": "to another service"}'), "no list of vectors"),
    "gzip bomb": (gzip_bomb, "more than"),
    "redirect": (text("", 307, Location="http://127.0.0.1:9/v1/embeddings"), "points elsewhere"),
    "401": (refusal(401), r"answered 401 \(some_code\).*check the key"),
    "400 for every text": (refusal(400), r"answered 400 \(some_code\).*text.dimension"),
    "400, nested deeply": (text(deep(30_000), 400), r"answered 400 for the model"),
    "400 of 10 MB": (text(b" " * (10 << 20), 400), r"answered 400 for the model"),
    "404 in HTML": (text("<html>", 404, "text/html"), "check `text.base_url`"),
    "418": (text("", 418), "answered 418"),
}
"""Faults that another try would not help against, and what the error says."""

PASSING: dict[str, tuple[Fault, str]] = {
    "NaN": (vectors(lambda _: [math.nan] * 4), "no JSON that can be read"),
    "infinity": (vectors(lambda _: [math.inf] * 4), "no JSON that can be read"),
    "1e999": (infinite, "direction"),
    "more than float32": (vectors(lambda _: [1e39, 1, 1, 1]), "direction"),
    "base64 of NaN": (vectors(lambda _: base64_of([math.nan] * 4)), "direction"),
    "zeros": (vectors(lambda _: [0.0] * 4), "direction"),
    "almost zeros": (vectors(lambda _: [1e-30] * 4), "direction"),
    "far too long": (vectors(lambda _: [1e30] * 4), "direction"),
    "nulls": (vectors(lambda _: [None] * 4), "no lists of numbers"),
    "strings": (vectors(lambda _: ["0.1"] * 4), "no lists of numbers"),
    "truth values": (vectors(lambda _: [True, 1.0, 0.5, 0.5]), "no lists of numbers"),
    "a vector in a vector": (vectors(lambda vector: [vector]), "no lists of numbers"),
    "no vector": (vectors(lambda _: None), "no lists of numbers"),
    "a number of 400 digits": (vectors(lambda _: [10**400, 1, 1, 1]), "out of range"),
    "base64 cut": (vectors(lambda vector: base64_of(vector)[:8] + "AA=="), "no row of float32"),
    "base64 of other letters": (vectors(lambda _: "*" * 24), "base64 that cannot be decoded"),
    "too few rows": (rows(lambda found: found[1:]), "a list of length 1"),
    "too many rows": (rows(lambda found: found * 2), "a list of length 4"),
    "the same index twice": (indices(lambda _: 0), "numbers .`index`."),
    "index from 1": (indices(lambda index: index + 1), "numbers .`index`."),
    "index missing": (indices(lambda _: None), "numbers .`index`."),
    "index as a fraction": (indices(float), "numbers .`index`."),
    "index as a truth value": (indices(bool), "numbers .`index`."),
    "rows that are none": (rows(lambda _: [1, 2]), "no list of vectors"),
    "an error as a success": (refusal(200), "an error under the status of a success"),
    "a page": (text("<html>Log in</html>", 200, "text/html"), "a page of HTML"),
    "a bare list": (text("[1, 2]"), "no object of JSON"),
    "no UTF-8": (text(b'{"data": "\xff\xfe\xfa"}'), "no JSON that can be read"),
    "an empty body": (text(""), "an empty body"),
    "204": (lambda handler, _: (handler.send_response(204), handler.end_headers()), "empty body"),
    "nested deeply": (text(deep(60_000)), "no JSON that can be read"),
    "damaged gzip": (text("no gzip", Content_Encoding="gzip"), "a damaged compression"),
    "closed in the middle": (closed_in_the_middle, r"cannot be reached \(RemoteProtocolError\)"),
    "cut without a length": (cut_without_a_length, "no JSON that can be read"),
    "reset": (reset, "cannot be reached"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "cannot be reached"),
    "headers of 300 kB": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000), "cannot be reached"),
    "a length that is none": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
        "cannot be reached",
    ),
    "429, Retry-After negative": (refusal(429, Retry_After="-5"), "answered 429"),
    "429, Retry-After garbage": (refusal(429, Retry_After="soon\tor later"), "answered 429"),
    "429, Retry-After NaN": (refusal(429, Retry_After="nan"), "answered 429"),
    "503 in HTML": (text("<html>", 503, "text/html"), "answered 503.*try later"),
    "500, nested deeply": (text(deep(30_000), 500), "answered 500.*try later"),
    "408": (refusal(408), "answered 408.*try later"),
}
"""Faults that may have passed at the next try, and what the error says where they have not."""

SLOW: dict[str, Callable[[], Endless]] = {
    "dripping body": dripping_body,
    "dripping headers": dripping_headers,
    "dripping status line": dripping_status_line,
    "endless 100 Continue": endless_continue,
}
"""Faults that send something before any time-out of a single read."""

LARGE: dict[str, Callable[[], Endless]] = {
    "1 GB": gigabyte,
    "1 GB in chunks": gigabyte_in_chunks,
}
