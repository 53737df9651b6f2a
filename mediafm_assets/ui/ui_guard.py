"""Guard in front of Dagster's web server, which by itself accepts requests of any web page.

Dagster's server checks neither `Host` nor `Origin`. So a page of another site in the user's browser
can start its jobs: by a form, by a request whose content type is plain text, over a WebSocket, or
under a name that resolves to this machine (DNS rebinding). The guard is an ASGI application around
Dagster's own. It passes on

- requests that name a host of the owner: an address, a loopback name, or a configured name;
- requests from the same origin, by `Origin` and `Sec-Fetch-Site`; from elsewhere, links to pages;
- changes as JSON by POST, which a page can send to another origin only after a preflight request,
  and preflight requests are refused;
- with a token, requests that contain it: in a cookie, which the address with `?token=` sets, or as
  `Authorization: Bearer`.

The headers of responses forbid other sites to frame or embed them, and pages to load anything from
other sites.

Sources: OWASP Cross-Site Request Forgery Prevention Cheat Sheet; W3C Fetch Metadata Request
Headers; RFC 6265bis (SameSite).
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PARAMETER = "token"
_LOOPBACK = frozenset({"localhost", "localhost.localdomain"})
_READING = frozenset({"GET", "HEAD"})
_POLICY_VIOLATION = 1008  # RFC 6455
_COOKIE_S = 30 * 24 * 3600
_GRAPHQL = "/graphql"

_SIGN_IN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>MediaFM</title>
<h1>This UI requires a token</h1>
<p>Open the address that <code>mediafm ui</code> printed, or enter its token.
If you have done so before and followed a link from another site: <a href="">continue</a>.</p>
<form method="get"><input type="password" name="token" autocomplete="off" aria-label="Token">
<button>Enter</button></form>
"""


class Guard:
    """ASGI application that passes the owner's requests on to another application.

    Args:
        app: Dagster's application.
        hosts: names under which the UI may be reached, beside addresses and loopback names.
        token: required of every request; None requires none.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), token: str | None = None) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {name.lower() for name in hosts}
        self._token = (token or "").encode()
        # The token cannot be derived from the cookie.
        self._session = hmac.new(self._token, b"mediafm ui cookie", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, pass it on or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        response = self._refusal(scope, headers) or self._sign_in(scope, headers)
        if response is None:
            await self._app(scope, receive, _protecting(headers["host"], send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await response(scope, receive, _protecting("", send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the response to a request that is not the owner's; None if it may be."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return _refused(
                421,
                "This server does not accept the host name of this request: use its address, or "
                "add the name to the setting ui.hosts.",
            )
        host = hosts[0].lower()
        if any(origin.lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
            return _refused(403, "This request comes from another site.")
        fetched_from = set(headers.getlist("sec-fetch-site")) - {"same-origin", "none"}
        if fetched_from and not _is_link(scope, headers):
            return _refused(403, "This request comes from another site.")
        if scope["type"] == "websocket":
            return None
        return _refused_method(scope, headers)

    def _is_ours(self, host: str) -> bool:
        """Return True if a `Host` names this server; an address cannot be rebound."""
        name, bracket, port = host.rpartition("]")
        if bracket:  # [IPv6]:port
            name = name.removeprefix("[")
        else:
            name, _, port = host.partition(":")
        if port.lstrip(":") and not port.lstrip(":").isdigit():
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return not bracket and name.lower() in self._hosts
        return True

    def _sign_in(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the response that requests or accepts the token; None if the request has it."""
        if not self._token:
            return None
        if self._has_token(scope, headers):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == _PARAMETER]
        reads = scope["type"] == "http" and scope["method"] == "GET"
        if reads and given and hmac.compare_digest(given[0].encode(), self._token):
            left = urlencode([pair for pair in query if pair[0] != _PARAMETER])
            path = "/" + scope["path"].lstrip("/\\")  # never //elsewhere
            response = RedirectResponse(f"{path}?{left}" if left else path, 303)
            response.set_cookie(
                _cookie_name(scope),
                self._session,
                max_age=_COOKIE_S,
                httponly=True,
                samesite="strict",
                secure=scope["scheme"] == "https",
            )
            return response
        if reads and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_SIGN_IN, 401)
        return PlainTextResponse(
            "This UI requires its token, as `Authorization: Bearer TOKEN`.\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        """Return True if a request contains the token, compared in constant time."""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return hmac.compare_digest(bearer.strip().encode(), self._token)
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load("; ".join(headers.getlist("cookie")))
        except CookieError:
            return False
        found = cookies.get(_cookie_name(scope))
        return found is not None and hmac.compare_digest(
            found.value.encode(), self._session.encode()
        )


def _cookie_name(scope: Scope) -> str:
    """Return a cookie name for each port: browsers share cookies among the ports of a host."""
    server = scope.get("server") or ("", 0)
    return f"mediafm_ui_{server[1]}"


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Return True if a request opens a page in a tab, which changes nothing."""
    return (
        scope["type"] == "http"
        and scope["method"] in _READING
        and headers.getlist("sec-fetch-mode") == ["navigate"]
        and headers.getlist("sec-fetch-dest") == ["document"]
        and not _is_graphql(scope)
    )


def _refused_method(scope: Scope, headers: Headers) -> Response | None:
    """Return the refusal of a change that is not JSON by POST; None for other requests."""
    if scope["method"] in _READING:
        # Dagster executes a query in the URL, changes as well, unless HTML is requested.
        if _is_graphql(scope) and "text/html" not in headers.get("accept", ""):
            return _refused(405, "Send GraphQL as JSON, by POST.")
        return None
    if scope["method"] != "POST":
        return _refused(405, "Only GET, HEAD and POST are taken.")
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    if kinds != ["application/json"]:
        return _refused(415, "Send JSON, with `Content-Type: application/json`.")
    return None


def _is_graphql(scope: Scope) -> bool:
    return scope["path"].rstrip("/").endswith(_GRAPHQL)


def _refused(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status)


def _protecting(host: str, send: Send) -> Send:
    """Return a `send` that adds headers against framing, embedding and opening by other sites."""
    sockets = f" ws://{host} wss://{host}" if host else ""
    policy = (
        f"frame-ancestors 'self'; form-action 'self'; connect-src 'self'{sockets}; "
        "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "frame-src 'self' blob:"
    )

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("Content-Security-Policy", policy)  # beside Dagster's own
            headers["X-Frame-Options"] = "SAMEORIGIN"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await send(message)

    return sending
