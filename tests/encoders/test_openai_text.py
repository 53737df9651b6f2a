"""The OpenAI adapter against a real HTTP server on loopback with the same interface."""

import logging
import threading

import numpy as np
import pytest
from embeddings_service import Service, vector_of

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.openai_text import OpenAIText, split_text
from mediafm_core.encoders.vector_cache import VectorCache
from mediafm_core.errors import ConfigurationError, ServiceError

KEY = "sk-very-secret-0123456789"
DIMENSION = 4


@pytest.fixture
def service():
    service = Service()
    yield service
    service.close()


@pytest.fixture
def encoder(service, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    def make(**text):
        given = {"base_url": service.url, "api_key": KEY, "dimension": DIMENSION, "max_retries": 3}
        return OpenAIText(Settings(profile="mediafm", text={**given, **text}))

    return make


def refusal(status, headers=None, code="some_code"):
    message = f"Incorrect API key provided: {KEY}"
    return status, headers or {}, {"error": {"message": message, "type": "error", "code": code}}


SOON = {"retry-after-ms": "1"}


def test_vectors_come_back_in_order_and_are_paid_for_once(encoder, service):
    texts = ["a man", "walks", "a man", "away"]
    first = encoder(usd_per_million_tokens=0.5)
    vectors = first.encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [vector_of(text) for text in texts])
    assert service.inputs == [["a man", "walks", "away"]]
    (_, headers, body) = service.requests[0]
    assert (body["model"], body["dimensions"]) == ("text-embedding-3-large", DIMENSION)
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (first.usage.requests, first.usage.tokens, first.usage.usd) == (1, 4, 2e-6)

    second = encoder()  # another process, later: answered from disk
    np.testing.assert_array_equal(second.encode([*texts, "now"])[:4], vectors)
    assert service.inputs[1:] == [["now"]]
    assert (second.usage.texts, second.usage.cached_texts) == (5, 3)


def test_cache_keeps_models_and_dimensions_apart(encoder, service):
    encoder().encode(["a man"])
    encoder(model="another-model").encode(["a man"])
    assert len(service.requests) == 2
    service.script = [
        (200, {}, {"object": "list", "data": [{"index": 0, "embedding": [1.0, 2.0]}]})
    ]
    assert encoder(dimension=2).encode(["a man"]).shape == (1, 2)
    assert len(service.requests) == 3


def test_what_was_paid_for_before_a_failure_is_kept(encoder, service, monkeypatch):
    monkeypatch.setattr("mediafm_core.encoders.openai_text._MAX_INPUTS", 1)
    service.script = [(200, {}, None), refusal(401)]
    with pytest.raises(ConfigurationError):
        encoder().encode(["one", "two"])
    encoder().encode(["one", "two"])
    assert service.inputs == [["one"], ["two"], ["two"]]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_overload_is_waited_for(encoder, service, status):
    service.script = [refusal(status, SOON)] * 3
    assert encoder().encode(["a man"]).shape == (1, DIMENSION)
    assert len(service.requests) == 4


def test_time_outs_are_repeated(encoder, service):
    service.script = [("hang", {}, None)]
    assert encoder(timeout_s=1, max_retries=8).encode(["a man"]).shape == (1, DIMENSION)
    assert len(service.requests) > 1


@pytest.mark.parametrize(
    ("status", "requests", "message"),
    [
        (401, 1, r"answered 401 \(some_code\).*check the key"),
        (403, 1, "check the key's rights"),
        (404, 1, "text.base_url"),
        (400, 2, "text.dimension"),
        (429, 4, r"answered 429 \(some_code\).*quota"),
        (500, 4, "try later"),
    ],
)
def test_refusals_name_the_remedy_and_never_the_key(
    encoder, service, caplog, status, requests, message
):
    service.script = [refusal(status, SOON)] * 9
    kind = ServiceError if requests == 4 else ConfigurationError
    with caplog.at_level(logging.DEBUG), pytest.raises(kind, match=message) as error:
        encoder().encode(["a man"])
    assert len(service.requests) == requests
    assert error.value.__context__ is None
    assert KEY not in str(error.value)
    assert KEY not in caplog.text


def test_requests_stay_within_the_limits(encoder, service):
    texts = [f"word {number}" for number in range(2100)] + [f"{n} " + "é" * 3000 for n in range(60)]
    vectors = encoder().encode(texts)
    np.testing.assert_allclose(vectors[:, 0], [len(text.encode()) for text in texts])
    assert sum(map(len, service.inputs)) == len(texts)
    for batch in service.inputs:
        assert len(batch) <= 2048
        assert sum(len(text.encode()) for text in batch) <= 300_000


def test_long_texts_are_divided_and_averaged(encoder, service):
    text = "abba " * 2000
    (vector,) = encoder().encode([text])
    (batch,) = service.inputs
    assert all(len(piece.encode()) <= 8000 for piece in batch)
    assert " ".join(batch) == text.strip()
    weights = [len(piece) for piece in batch]
    np.testing.assert_allclose(
        vector, np.average([vector_of(piece) for piece in batch], axis=0, weights=weights)
    )


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("one two three", 100, ["one two three"]),
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 6, ["one", "two", "three"]),
        ("  one   two  ", 4, ["one", "two"]),
        ("ééééé", 4, ["éé", "éé", "é"]),
        ("a\u2003b", 4, ["a", "b"]),
    ],
)
def test_split_text(text, limit, pieces):
    assert split_text(text, limit) == pieces


def test_a_missing_key_is_refused_before_any_work(encoder, service, monkeypatch):
    without = encoder(api_key=None)
    assert str(without.identity).startswith("openai-text-embedding-3-large@")
    with pytest.raises(ConfigurationError, match="no key: set OPENAI_API_KEY"):
        without.check()
    with pytest.raises(ConfigurationError, match="no key"):
        without.encode(["a man"])
    assert not service.requests
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    encoder(api_key=None).check()


def test_identity_follows_model_and_dimension_only(encoder):
    identity = encoder().identity
    assert identity == encoder(base_url="http://localhost/v1", batch_size=3, api_key="k").identity
    assert identity != encoder(model="another-model").identity
    assert identity != encoder(dimension=8).identity


def test_cache_of_several_writers(tmp_path):
    caches = [VectorCache(tmp_path / "c.sqlite", "model", 2) for _ in range(4)]
    vectors = np.arange(400, dtype=np.float32).reshape(200, 2)
    texts = [f"text {number}" for number in range(200)]
    threads = [
        threading.Thread(target=cache.put, args=(texts[start::4], vectors[start::4]))
        for start, cache in enumerate(caches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = caches[0].get([*texts, "unknown"])
    np.testing.assert_array_equal(np.stack([found[text] for text in texts]), vectors)
    assert "unknown" not in found


def test_damaged_cache_is_named(encoder, tmp_path):
    one = encoder()
    (tmp_path / "mediafm").mkdir(exist_ok=True)
    (tmp_path / "mediafm" / "text_vectors.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match=r"text_vectors\.sqlite cannot be used.*remove it"):
        one.encode(["a man"])
