"""Alerts reach their target once, or raise an error with a remedy."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

import faulty_answers
import pytest
import webhook_service
from webhook_service import SECRET, Webhook

from mediafm_assets.alerts.delivery import Alert, send
from mediafm_core.config.orchestration_settings import AlertSettings
from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError

ALERT = Alert(
    title="ingest_title failed",
    text="ingest_title of cat failed: title: “cat” has no media.",
    job="ingest_title",
    run_id="0e1f",
    link="http://ui:3000/runs/0e1f",
    when=datetime(2026, 11, 22, 3, 35, tzinfo=UTC),
)


@pytest.fixture
def webhook():
    service = Webhook()
    yield service
    service.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Record the pauses between attempts, in seconds, instead of waiting."""
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def to(webhook: Webhook, **changes) -> AlertSettings:
    return AlertSettings(target="webhook", webhook_url=webhook.address, **changes)


def refused(settings: AlertSettings) -> str:
    """Return the error of an undelivered alert, after checking that it hides the secret."""
    with pytest.raises(ConfigurationError) as caught:
        send(ALERT, settings)
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None or settings.target != "webhook"
    assert SECRET not in shown
    return str(caught.value)


def test_a_webhook_gets_the_alert_as_json(webhook):
    send(ALERT, to(webhook))
    [(path, headers, body)] = webhook.requests
    assert path.endswith(f"{SECRET}?token={SECRET}")
    assert headers["Content-Type"] == "application/json"
    assert Alert.model_validate(body) == ALERT


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_error_that_may_pass_is_retried(webhook, no_pauses, status):
    webhook.script = [(status, {}, {}), (status, {}, {})]
    send(ALERT, to(webhook, max_retries=2))
    assert webhook.texts == [ALERT.text] * 3
    assert no_pauses == [0.5, 1.0]


def test_attempts_are_bounded(webhook):
    webhook.script = [(503, {}, {})] * 10
    message = refused(to(webhook, max_retries=1))
    assert len(webhook.requests) == 2
    assert "run 0e1f was not delivered: 127.0.0.1 answered 503, 1 retries: check" in message


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, "check `alerts"), (403, "renew the secret"), (404, "path")]
)
def test_a_refusal_is_not_repeated(webhook, status, remedy):
    webhook.script = [(status, {}, {"error": SECRET})] * 3
    message = refused(to(webhook))
    assert len(webhook.requests) == 1
    assert f"127.0.0.1 answered {status}" in message
    assert remedy in message


def test_the_secret_is_sent_to_no_other_address(webhook):
    elsewhere = Webhook()
    try:
        webhook.script = [(307, {"Location": elsewhere.address}, {})]
        assert "points elsewhere" in refused(to(webhook))
        assert elsewhere.requests == []
    finally:
        elsewhere.close()


def test_a_silent_webhook(webhook):
    webhook.script = [("hang", {}, {})] * 2
    message = refused(to(webhook, timeout_s=0.2, max_retries=1))
    assert "127.0.0.1 did not answer in 0.2 s, 1 retries" in message


@pytest.mark.parametrize("name", sorted({*faulty_answers.SLOW} - {"dripping body"}))
def test_a_webhook_that_drips(webhook, name):
    kept = [faulty_answers.SLOW[name]() for _ in range(2)]
    webhook.script = list(kept)
    message = refused(to(webhook, timeout_s=0.3, max_retries=1))
    assert "127.0.0.1 did not answer in 0.3 s, 1 retries" in message
    for each in kept:
        assert each.left.wait(120)  # the connection was closed


@pytest.mark.parametrize("endless", [faulty_answers.dripping_body, faulty_answers.gigabyte])
def test_the_body_of_a_response_is_not_read(webhook, endless):
    body = endless()
    webhook.script = [body]
    send(ALERT, to(webhook))
    assert body.left.wait(120)
    assert len(webhook.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        faulty_answers.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        faulty_answers.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
        faulty_answers.reset,
    ],
)
def test_a_webhook_that_does_not_use_http(webhook, fault):
    webhook.script = [fault] * 2
    assert "127.0.0.1 cannot be reached" in refused(to(webhook, max_retries=1))
    assert len(webhook.requests) == 2


def test_a_response_that_contains_the_secret_is_not_logged(webhook, caplog):
    caplog.set_level(logging.DEBUG)
    webhook.script = [faulty_answers.raw(f"HTTP/1.1 403 {SECRET}\r\nX: {SECRET}\r\n\r\n".encode())]
    refused(to(webhook))
    assert SECRET not in caplog.text


def test_a_webhook_without_a_server(webhook):
    settings = to(webhook, max_retries=0)
    webhook.close()
    assert "cannot be reached (ConnectError)" in refused(settings)


def test_the_secret_is_not_logged(webhook, caplog):
    caplog.set_level(logging.DEBUG)
    webhook.script = [(500, {}, {})]
    settings = to(webhook)
    send(ALERT, settings)
    assert SECRET not in caplog.text
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())


def test_a_command_gets_the_alert_on_its_input(tmp_path):
    file = tmp_path / "alert.json"
    code = f"import sys, pathlib; pathlib.Path({str(file)!r}).write_text(sys.stdin.read())"
    send(ALERT, AlertSettings(target="command", command=(sys.executable, "-c", code)))
    assert Alert.model_validate(json.loads(file.read_text())) == ALERT


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended with status 3"),
        ((sys.executable, "-c", "input(); input()"), "ended with status 1"),
        (("/nowhere/notify",), "cannot be started"),
    ],
)
def test_a_command_that_fails(command, fault):
    settings = AlertSettings(target="command", command=command, timeout_s=60)
    assert fault in refused(settings)


def test_a_command_that_does_not_end():
    command = (sys.executable, "-c", "import threading; threading.Event().wait()")
    settings = AlertSettings(target="command", command=command, timeout_s=0.5)
    assert "longer than 0.5 s" in refused(settings)


def test_the_target_log(caplog):
    send(ALERT, AlertSettings(target="log"))
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == f"{ALERT.text} {ALERT.link}"


def test_a_function_as_target():
    webhook_service.kept.clear()
    send(ALERT, AlertSettings(target="webhook_service:keep"))
    assert webhook_service.kept == [ALERT]


def test_a_function_that_fails():
    assert "refuse raised TimeoutError" in refused(AlertSettings(target="webhook_service:refuse"))


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("no_such_module:keep", "No module named 'no_such_module'"),
        ("webhook_service:nothing", "no attribute 'nothing'"),
        ("webhook_service:SECRET", "no function"),
    ],
)
def test_a_function_that_does_not_exist(target, fault):
    assert fault in refused(AlertSettings(target=target))


def test_the_target_none_sends_nothing(caplog):
    send(ALERT, AlertSettings())
    assert caplog.records == []


@pytest.mark.parametrize(
    ("alerts", "fault"),
    [
        ({"target": "webhook"}, "needs `webhook_url`"),
        ({"target": "webhook", "webhook_url": f"file:///{SECRET}"}, "http or https"),
        ({"target": "webhook", "webhook_url": f"https://host:{SECRET}/"}, "http or https"),
        ({"target": "webhook", "webhook_url": f"https://host/a b{SECRET}"}, "http or https"),
        ({"target": "webhook", "webhook_url": f"https:///{SECRET}"}, "http or https"),
        ({"target": "command"}, "needs `command`"),
        ({"target": "slack"}, "pattern"),
        ({"targets": "log"}, "did you mean alerts.target?"),
    ],
)
def test_unusable_settings_are_refused_at_the_start(alerts, fault):
    with pytest.raises(ConfigurationError, match="alerts") as caught:
        load_settings(alerts=alerts)
    assert fault in str(caught.value)
    assert SECRET not in str(caught.value)


def test_settings_from_the_environment(monkeypatch):
    monkeypatch.setenv("MEDIAFM_ALERTS__TARGET", "command")
    monkeypatch.setenv("MEDIAFM_ALERTS__COMMAND", '["notify", "--loud"]')
    assert load_settings().alerts.command == ("notify", "--loud")
