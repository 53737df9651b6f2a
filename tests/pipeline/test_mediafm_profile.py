"""The whole graph with the encoders of the blog: small checkpoints, a real embeddings service."""

import numpy as np
from embeddings_service import Service
from films import take_in
from small_checkpoints import save_clip, save_wav2vec2

from mediafm_core.vectors import to_numpy

KEY = "sk-not-for-any-log"


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
        outcomes = take_in(platform, ["cat", "coffee"])
        requests = len(service.requests)
        take_in(platform, ["cat", "coffee"])
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
