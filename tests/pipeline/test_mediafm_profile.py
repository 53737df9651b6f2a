"""The whole graph with the encoders of the blog: small checkpoints, a real embeddings service."""

import faulty_answers
import numpy as np
import pytest
from embeddings_service import Service
from films import ingest_titles
from small_checkpoints import save_clip, save_wav2vec2

from mediafm_core.errors import ServiceError
from mediafm_core.pipeline.materialise import materialise
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.vectors import to_numpy

KEY = "sk-not-for-any-log"
TRIES = 4  # more failures than any limit before quarantine


def test_titles_go_through_the_encoders_of_the_blog(catalogue, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    service = Service()
    try:
        platform = catalogue._replace(store=tmp_path / "blog").platform(
            profile="mediafm",
            video={"model": str(save_clip(tmp_path / "clip"))},
            audio={"model": str(save_wav2vec2(tmp_path / "wav2vec2"))},
            text={"base_url": service.url, "api_key": KEY, "dimension": 4},
        )
        outcomes = ingest_titles(platform, ["cat", "coffee"])
        requests = len(service.requests)
        ingest_titles(platform, ["cat", "coffee"])
        assert len(service.requests) == requests, "nothing is asked or paid for twice"
    finally:
        service.close()

    assert {outcome.status for outcome in outcomes.values()} == {"computed"}
    fused = platform.store.record("fused_embeddings", "coffee")
    assert fused.details["ranges"] == {"video": [0, 12], "audio": [12, 36], "text": [36, 40]}
    assert fused.details["encoders"]["video"].startswith("open_clip")
    vectors = to_numpy(platform.store.read("fused_embeddings", "coffee")["embedding"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    text = outcomes["coffee", "text_embeddings"].record
    assert text.details["tokens"] > 0
    assert text.details["usd"] > 0
    files = [path for path in platform.store.root.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    assert KEY not in caplog.text


def test_a_service_out_of_order_is_not_the_title_s_fault(catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    service = Service()
    text = {"name": "openai", "base_url": service.url, "api_key": KEY, "dimension": 4}
    platform = catalogue.platform(text={**text, "max_retries": 0})
    try:
        for fault in ("zeros", "503 in HTML", "reset", "an empty body"):
            service.script = [faulty_answers.PASSING[fault][0]] * TRIES
            for _ in range(TRIES):
                with pytest.raises(ServiceError):
                    materialise(platform, ("text_embeddings",), "coffee")
        assert Quarantine(platform.store).get("coffee") is None
        (outcome,) = materialise(platform, ("text_embeddings",), "coffee")
        assert outcome.status == "computed"
    finally:
        service.close()


def test_a_text_that_the_service_refuses_is_the_title_s(catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    service = Service()
    text = {"name": "openai", "base_url": service.url, "api_key": KEY, "dimension": 4}
    platform = catalogue.platform(text=text)
    refused = platform.store.read("timed_text", "coffee")["text"].drop_null()[0].as_py()

    def fault(handler, body):
        if refused in body["input"]:
            faulty_answers.refusal(400)(handler, body)
        else:
            faulty_answers.changed(lambda answer: None)(handler, body)

    service.script = [fault] * 99
    try:
        (outcome,) = materialise(platform, ("text_embeddings",), "coffee")
    finally:
        service.close()
    assert outcome.status == "quarantined"
    assert f"refuses the text {refused[:60]!r} (400)" in outcome.reason
