"""The guard in front of Dagster's web server passes the owner's requests and refuses others."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from mediafm_assets.ui import ui_server
from mediafm_assets.ui.ui_guard import Guard
from mediafm_assets.ui.ui_server import address, is_loopback, token_for
from mediafm_core.config.access_settings import UISettings
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError

TOKEN = "0123456789abcdef"
JSON = {"content-type": "application/json"}
PAGE = {"accept": "text/html"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


async def dagster(scope: dict, _receive: Any, send: Any) -> None:
    """Respond with 200 to every request, in place of Dagster's application."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Answer:
    """Status and headers of a response; a refused WebSocket has the status 403."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        by_kind = {"websocket.accept": 101, "websocket.close": 403}
        self.status = by_kind.get(message["type"]) or message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message.get("headers", ())}


def request(
    guard: Guard,
    headers: Mapping[str, str],
    method: str = "GET",
    path: str = "/runs",
    query: str = "",
    kind: str = "http",
) -> Answer:
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": kind,
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": pairs,
        "server": ("127.0.0.1", 3000),
    }
    asyncio.run(guard(scope, receive, send))
    return Answer(sent[0])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("localhost:8080", 200),  # through a tunnel
        ("LOCALHOST", 200),
        ("[::1]:3000", 200),
        ("192.168.1.7:3000", 200),
        ("mediafm.example", 200),
        ("evil.example:3000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("localhost:3000; evil", 421),
        ("[localhost]", 421),
        ("", 421),
    ],
)
def test_only_names_of_the_owner_are_answered(host: str, status: int) -> None:
    guard = Guard(dagster, ["mediafm.example"])
    assert request(guard, {"host": host}).status == status
    assert request(guard, {"host": host}, kind="websocket").status == (
        101 if status == 200 else 403
    )


def test_a_request_without_a_host_is_refused() -> None:
    assert request(Guard(dagster), {}).status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a script
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "https://localhost:3000"}, 200),  # behind a proxy that has the certificate
        ({"origin": "http://localhost:3001"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://localhost:3000.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({**LINK, "sec-fetch-dest": "iframe"}, 403),
    ],
)
def test_requests_of_other_sites_are_refused(headers: dict[str, str], status: int) -> None:
    guard, host = Guard(dagster), {"host": "localhost:3000"}
    posted = request(guard, {**host, **JSON, **headers}, "POST", "/graphql")
    assert posted.status == status
    assert request(guard, {**host, **headers}).status == status
    opened = request(guard, {**host, **headers}, path="/graphql", kind="websocket")
    assert opened.status == (101 if status == 200 else 403)


def test_links_from_other_sites_open_pages_and_nothing_else() -> None:
    guard, headers = Guard(dagster), {"host": "localhost", **PAGE, **LINK}
    assert request(guard, headers).status == 200
    assert request(guard, headers, path="/graphql", query="query={version}").status == 403
    assert request(guard, {**headers, **JSON}, "POST", "/graphql").status == 403


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", JSON, 200),
        ("POST", {"content-type": "application/json; charset=utf-8"}, 200),
        ("POST", {"content-type": "text/plain"}, 415),
        ("POST", {"content-type": "text/plain; x=application/json"}, 415),
        ("POST", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("POST", {"content-type": "multipart/form-data; boundary=application/json"}, 415),
        ("POST", {"content-type": "application/graphql"}, 415),
        ("POST", {}, 415),
        ("GET", {}, 405),
        ("GET", PAGE, 200),  # the playground, which executes nothing
        ("OPTIONS", {}, 405),
        ("PUT", JSON, 405),
    ],
)
def test_graphql_comes_as_json_by_post(method: str, headers: dict, status: int) -> None:
    headers = {"host": "localhost", **headers}
    assert request(Guard(dagster), headers, method, "/graphql").status == status
    assert request(Guard(dagster), headers, method, "/prefix/graphql/").status == status


def test_pages_cannot_be_framed_or_load_from_other_sites() -> None:
    headers = request(Guard(dagster), {"host": "localhost:3000"}).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "ws://localhost:3000" in policy
    assert "access-control-allow-origin" not in headers


class TestToken:
    guard = Guard(dagster, token=TOKEN)
    host: ClassVar = {"host": "10.1.2.3:3000"}

    def test_no_request_without_it_is_passed_on(self) -> None:
        for headers in (self.host, {**self.host, "cookie": "mediafm_ui_3000=0; ="}):
            assert request(self.guard, {**headers, **PAGE}).status == 401
            assert request(self.guard, {**headers, **JSON}, "POST", "/graphql").status == 401
            assert request(self.guard, headers, kind="websocket").status == 403

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            (f"Bearer {TOKEN}", 200),
            (f"bearer {TOKEN}", 200),
            (f"Bearer {TOKEN[:-1]}", 401),
            ("Bearer ", 401),
            (f"Basic {TOKEN}", 401),
            (TOKEN, 401),
        ],
    )
    def test_scripts_send_it_in_a_header(self, value: str, status: int) -> None:
        assert request(self.guard, {**self.host, "authorization": value}).status == status

    def test_the_address_with_it_gives_a_cookie(self) -> None:
        answer = request(self.guard, self.host, query=f"a=1&token={TOKEN}")
        assert (answer.status, answer.headers["location"]) == (303, "/runs?a=1")
        cookie, *flags = answer.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(flags)
        assert TOKEN not in cookie
        assert request(self.guard, {**self.host, "cookie": f"other=1; {cookie}"}).status == 200
        forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
        assert request(self.guard, {**self.host, "cookie": forged}).status == 401

    def test_the_address_redirects_to_no_other_site(self) -> None:
        for path in ("//evil.example/x", "/\\evil.example/x"):
            answer = request(self.guard, self.host, path=path, query=f"token={TOKEN}")
            assert answer.headers["location"] == "/evil.example/x"

    def test_a_wrong_one_gives_none(self) -> None:
        for query in ("token=", "token=wrong", f"token=x&token={TOKEN}"):
            answer = request(self.guard, {**self.host, **PAGE}, query=query)
            assert (answer.status, "set-cookie" in answer.headers) == (401, False)

    def test_it_does_not_excuse_another_site(self) -> None:
        bearer = {"authorization": f"Bearer {TOKEN}", "origin": "http://evil.example"}
        assert (
            request(self.guard, {**self.host, **JSON, **bearer}, "POST", "/graphql").status == 403
        )


class TestSettings:
    def test_a_token_is_generated_if_the_ui_listens_beyond_this_machine(self) -> None:
        settings = UISettings()
        for host in ("127.0.0.1", "localhost", "::1"):
            assert token_for(settings, host) is None
        for host in ("0.0.0.0", "::", "10.0.0.1", "mediafm.example"):
            made = token_for(settings, host)
            assert made
            assert len(made) >= 32
            assert made != token_for(settings, host)
            assert address(settings, host, 3000, made).endswith(f":3000/?token={made}")

    def test_a_configured_token_is_required_everywhere_and_printed_nowhere(self) -> None:
        settings = UISettings(token=TOKEN)
        assert token_for(settings, "127.0.0.1") == TOKEN
        assert address(settings, "127.0.0.1", 3000, TOKEN) == "http://127.0.0.1:3000"
        assert TOKEN not in repr(settings)

    @pytest.mark.parametrize("token", ["short", "with spaces in it.", "ünicode-but-long-enough"])
    def test_an_unusable_token_is_refused_and_not_repeated(self, token, monkeypatch) -> None:
        monkeypatch.setenv("MEDIAFM_UI__TOKEN", token)
        with pytest.raises(ConfigurationError, match="16 to 512") as error:
            load_settings()
        assert token not in str(error.value)

    @pytest.mark.parametrize("name", ["https://x.example", "x.example:443", "*", "", "a b"])
    def test_an_unusable_host_is_refused(self, name, monkeypatch) -> None:
        monkeypatch.setenv("MEDIAFM_UI__HOSTS", f'["{name}"]')
        with pytest.raises(ConfigurationError, match="names of machines"):
            load_settings()

    def test_only_loopback_names_are_loopback(self) -> None:
        assert is_loopback("127.8.0.1")
        assert not is_loopback("localhost.evil.example")

    def test_no_other_command_starts_dagsters_own_server(self, monkeypatch) -> None:
        from dagster._cli import dev

        started: list[list[str]] = []
        monkeypatch.setattr(
            dev, "open_ipc_subprocess", lambda command, **_: started.append(command)
        )

        def run(*_: object, **__: object) -> None:
            dev.open_ipc_subprocess(["python", "-m", "dagster_webserver", "--port", "1"])
            dev.open_ipc_subprocess(["python", "-m", "dagster._daemon", "run"])
            with pytest.raises(KeyError):
                dev.open_ipc_subprocess(["python", "-m", "another.server"])

        monkeypatch.setattr(dev.dev_command, "main", run)
        ui_server.main(["dev", "-m", "x"])
        assert started == [
            ["python", "-m", "mediafm_assets.ui.ui_server", "--port", "1"],
            ["python", "-m", "dagster._daemon", "run"],
        ]
