"""Encoders are chosen by profile, replaced by name, and never ignore a setting."""

import pytest

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.profiles import audio_encoder, text_encoder, video_encoder
from mediafm_core.errors import ConfigurationError


def test_embedded_profile():
    settings = Settings()
    encoders = [build(settings) for build in (video_encoder, audio_encoder, text_encoder)]
    assert [encoder.dimension for encoder in encoders] == [1280, 512, 384]
    for encoder in encoders:
        encoder.check()


def test_one_encoder_of_a_profile_is_replaced():
    settings = Settings(profile="mediafm", text={"name": "minilm_l6_int8"})
    assert text_encoder(settings).identity.name == "minilm_l6_int8"
    assert text_encoder(Settings(profile="mediafm")).dimension == 768
    assert text_encoder(Settings(text={"name": "openai", "dimension": 256})).dimension == 256


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (video_encoder, {"video": {"name": "clip"}}, "one of efficientnet_lite2, open_clip"),
        (audio_encoder, {"audio": {"name": "minilm_l6_int8"}}, "no audio encoder 'minilm_l6_int8'"),
        (video_encoder, {"video": {"model": "x"}}, "efficientnet_lite2 takes no model"),
        (audio_encoder, {"audio": {"dimension": 8}}, "whisper_base takes no dimension"),
        (audio_encoder, {"audio": {"sha256": "0" * 64}}, "whisper_base takes no sha256"),
        (video_encoder, {"video": {"name": "open_clip", "dimension": 8}}, "takes no dimension"),
    ],
)
def test_settings_that_do_not_apply(build, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        build(Settings(**settings))
