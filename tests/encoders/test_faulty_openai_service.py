"""The OpenAI adapter against a real HTTP server on loopback with every known fault.

A fault is an error in one sentence, at once or after all tries, or costs a further try; it is never
a vector, and no answer of the service leads the key into an error or a log.
"""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import traceback

import faulty_answers as faults
import numpy as np
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from embeddings_service import Service, vector_of

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.embedding_answers import largest_answer
from mediafm_core.encoders.openai_text import OpenAIText
from mediafm_core.errors import ConfigurationError, MediaFMError, ServiceError, TitleError

KEY = "sk-very-secret-0123456789"
PIECES_OF_KEY = [KEY[start : start + 8] for start in range(len(KEY) - 7)]
DIMENSION = 4
TEXTS = ["a man", "walks"]
BUFFERS = 32 << 20  # of both sockets, at most
PATIENCE_S = 120  # against hanging


@pytest.fixture
def service():
    service = Service()
    service.server.released = service.released
    yield service
    service.close()


@pytest.fixture
def encoder(service, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    # The pause before the second try, which doubles.
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)

    def make(**text):
        given = {"base_url": service.url, "api_key": KEY, "dimension": DIMENSION, "max_retries": 1}
        return OpenAIText(Settings(profile="mediafm", text={**given, **text}))

    return make


def failure(encoder: OpenAIText, caplog, texts=TEXTS) -> MediaFMError:
    """Return the error of a request: one sentence, with the key neither in it nor in the log."""
    with caplog.at_level(logging.DEBUG), pytest.raises(MediaFMError) as caught:
        encoder.encode(texts)
    error = caught.value
    info = (type(error), error, error.__traceback__)
    assert error.__context__ is None  # nothing that could be printed with it
    for shown in (
        str(error),
        "".join(traceback.format_exception(error)),
        str(serializable_error_info_from_exc_info(info)),
        caplog.text,
    ):
        assert not [piece for piece in PIECES_OF_KEY if piece in shown.lower()]
    assert re.fullmatch(r"[^\n]{20,400}\.", str(error))
    return error


def assert_right(encoder: OpenAIText, texts=TEXTS) -> None:
    np.testing.assert_allclose(encoder.encode(texts), [vector_of(text) for text in texts])


@pytest.mark.parametrize("name", faults.PERMANENT)
def test_what_would_come_again_is_an_error_at_once(encoder, service, caplog, name):
    fault, message = faults.PERMANENT[name]
    service.script = [fault] * 9
    error = failure(encoder(), caplog)
    assert isinstance(error, ConfigurationError)
    assert re.search(message, str(error))
    # One that may be about the texts: both, the first alone, then a harmless one.
    assert len(service.requests) == (3 if name.startswith("400") else 1)
    service.script.clear()
    assert_right(encoder())  # nothing of it was kept


@pytest.mark.parametrize("name", faults.PASSING)
def test_what_may_pass_is_tried_again(encoder, service, caplog, name):
    fault, message = faults.PASSING[name]
    service.script = [fault] * 9
    error = failure(encoder(), caplog)
    assert isinstance(error, ServiceError)
    assert re.search(message, str(error))
    assert len(service.requests) == 2
    service.script = [fault]
    assert_right(encoder())
    assert len(service.requests) == 4


@pytest.mark.parametrize("name", faults.SLOW)
def test_the_limit_is_on_the_whole_request(encoder, service, caplog, name):
    slow = [faults.SLOW[name]() for _ in range(2)]
    service.script = list(slow)
    error = failure(encoder(timeout_s=0.3), caplog)
    assert isinstance(error, ServiceError)
    assert "did not answer in 0.3 s, 2 tries" in str(error)
    assert len(service.requests) == 2
    for each in slow:
        assert each.left.wait(PATIENCE_S)  # the client closed the connection
    service.script = [faults.SLOW[name]()]
    assert_right(encoder(timeout_s=1, max_retries=8))


def test_silence_ends_in_time(encoder, service, caplog):
    service.script = [faults.silence] * 2
    error = failure(encoder(timeout_s=0.2), caplog)
    assert isinstance(error, ServiceError)
    assert "did not answer in 0.2 s, 2 tries" in str(error)


@pytest.mark.parametrize("name", faults.LARGE)
def test_sizes_are_checked_while_reading(encoder, service, caplog, name):
    large = faults.LARGE[name]()
    service.script = [large]
    error = failure(encoder(), caplog)
    assert isinstance(error, ConfigurationError)
    limit = largest_answer(len(TEXTS), DIMENSION)
    assert f"answered with more than {limit:,} bytes" in str(error)
    assert large.left.wait(PATIENCE_S)
    assert large.sent < BUFFERS


def test_the_key_is_sent_to_no_other_host(encoder, service, caplog):
    elsewhere = Service()
    try:
        for status in (301, 302, 303, 307, 308):
            service.script = [faults.text("", status, Location=f"{elsewhere.url}/embeddings")]
            assert f"answered {status}" in str(failure(encoder(), caplog))
        assert elsewhere.requests == []
    finally:
        elsewhere.close()


@pytest.mark.parametrize("wait", ["31536000", "1e300", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_year_is_not_waited_for(encoder, service, caplog, wait):
    service.script = [faults.refusal(429, Retry_After=wait)] * 9
    error = failure(encoder(max_retries=6), caplog)
    assert isinstance(error, ServiceError)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        faults.refusal(401, code=KEY, message=KEY),
        faults.refusal(401, code={"key": KEY}),
        faults.refusal(401, X_Echo=KEY, Set_Cookie=f"key={KEY}"),
        faults.raw(f"HTTP/1.1 401 {KEY}\r\nContent-Length: 0\r\n\r\n".encode()),
        faults.text("", 307, Location=f"http://127.0.0.1:9/{KEY}?api-key={KEY}"),
        faults.changed(lambda answer: answer.update(model=KEY)),
        faults.changed(lambda answer: answer.update(model=f"m-{KEY[:14]}")),
        faults.raw(f"{KEY}\r\n\r\n".encode()),
        faults.raw(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode()),
        faults.text("", 401, KEY),
    ],
)
def test_what_a_service_says_of_the_key_is_not_repeated(encoder, service, caplog, fault):
    service.script = [fault] * 9
    failure(encoder(), caplog)


@pytest.mark.parametrize("part", ["user", "password", "query", "fragment"])
def test_an_address_with_a_secret_is_refused(encoder, service, caplog, part):
    place = service.url.removeprefix("http://")
    address = {
        "user": f"http://{KEY}@{place}",
        "password": f"http://user:{KEY}@{place}",
        "query": f"http://{place}?api-key={KEY}",
        "fragment": f"http://{place}#{KEY}",
    }[part]
    error = failure(encoder(base_url=address), caplog)
    assert isinstance(error, ConfigurationError)
    assert "`text.base_url` for 127.0.0.1 holds a user, password or query" in str(error)
    assert service.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1/v1", "ftp://127.0.0.1", "http://", "http://a b/v1"])
def test_an_address_that_is_none(encoder, caplog, address):
    assert "`text.base_url` is no http" in str(failure(encoder(base_url=address), caplog))


def test_a_key_in_the_path_is_not_shown(encoder, service, caplog):
    service.script = [faults.refusal(404)]
    error = failure(encoder(base_url=f"{service.url}/{KEY}"), caplog)
    assert "text service [redacted] answered 404" in str(error)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} ", f"“{KEY}”"])
def test_a_key_with_what_no_key_has(encoder, service, caplog, key):
    assert "holds white space" in str(failure(encoder(api_key=key), caplog))
    assert service.requests == []


def test_libraries_go_on_logging_elsewhere(encoder, service, caplog):
    import httpx2

    assert_right(encoder())
    with caplog.at_level(logging.INFO):
        httpx2.post(service.url, json={"input": [], "model": "m"})
    assert "HTTP Request: POST" in caplog.text


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_text_that_is_refused_is_named_and_costs_no_other(encoder, service, caplog, status):
    texts = [f"text {number}" for number in range(9)]

    def fault(handler, body):
        if "text 6" in body["input"]:
            faults.refusal(status)(handler, body)
        else:
            faults.send(handler, faults.json.dumps(Service.answer(body)).encode())

    service.script = [fault] * 99
    error = failure(encoder(), caplog, texts)
    assert isinstance(error, TitleError)
    assert f"refuses the text 'text 6' ({status}) and accepts others" in str(error)
    service.script.clear()
    known = len(service.requests)
    assert_right(encoder(), texts[:6])
    assert len(service.requests) == known  # answered from disk


def test_a_service_that_takes_few_texts_at_once(encoder, service):
    texts = [f"text {number}" for number in range(9)]

    def fault(handler, body):
        few = len(body["input"]) <= 2
        faults.send(handler, faults.json.dumps(Service.answer(body)).encode(), 200 if few else 413)

    service.script = [fault] * 99
    assert_right(encoder(), texts)


@pytest.mark.parametrize(
    "harmless",
    [
        faults.rows(lambda found: found[::-1]),
        faults.rows(lambda found: [dict(row, object=None, more=[1]) for row in found]),
        faults.vectors(faults.base64_of),
        faults.changed(lambda answer: answer.pop("usage")),
        faults.changed(lambda answer: answer.update(usage={"total_tokens": "many"})),
        faults.changed(lambda answer: answer.update(error=None)),
        faults.changed(lambda answer: answer.pop("model")),
        faults.changed(lambda answer: answer.update(model="openai/text-embedding-3-large")),
        faults.changed(lambda answer: answer.update(model="Text-Embedding-3-large-2024-01")),
        faults.changed(lambda answer: answer.update(model="text-embedding-3-large:latest")),
    ],
)
def test_what_is_right_in_another_form(encoder, service, harmless):
    service.script = [harmless]
    one = encoder()
    assert_right(one)
    assert len(service.requests) == 1
    assert one.usage.tokens in (0, 3)


def test_vectors_that_were_kept_and_are_none(encoder, service, tmp_path):
    from mediafm_core.encoders.vector_cache import VectorCache

    one = encoder()
    assert_right(one)
    kept = VectorCache(
        tmp_path / "mediafm" / "text_vectors.sqlite", "text-embedding-3-large", DIMENSION
    )
    kept.put(TEXTS, np.zeros((2, DIMENSION), np.float32))
    assert_right(encoder())
    assert len(service.requests) == 2


def test_encoding_where_an_event_loop_runs(encoder):
    """As in a notebook."""

    async def cell():
        assert_right(encoder())

    asyncio.run(cell())


@pytest.mark.parametrize("fault", [faults.silence, faults.dripping_body()])
def test_an_interrupt_ends_a_request(service, tmp_path, fault):
    asked = faults.threading.Event()

    def waiting(handler, body):
        asked.set()
        fault(handler, body)

    service.script = [waiting]
    code = (
        "import signal\n"  # a shell's background job starts with interrupts ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from mediafm_core.config.settings import load_settings\n"
        "from mediafm_core.encoders.openai_text import OpenAIText\n"
        "OpenAIText(load_settings()).encode(['a man'])\n"
    )
    given = {"BASE_URL": service.url, "API_KEY": KEY, "TIMEOUT_S": "600"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(tmp_path),
            **{f"MEDIAFM_TEXT__{name}": value for name, value in given.items()},
        },
    )
    assert asked.wait(PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert len(service.requests) == 1
    assert KEY not in errors
