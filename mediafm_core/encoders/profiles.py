"""Encoders by name, and the profiles' choice of them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from mediafm_core.config.encoder_settings import EncoderSettings
from mediafm_core.config.settings import Settings
from mediafm_core.encoders.base import AudioEncoder, TextEncoder, VideoEncoder
from mediafm_core.errors import ConfigurationError

_E = TypeVar("_E")


def video_encoder(settings: Settings) -> VideoEncoder:
    """Return the video encoder of the settings, else the profile's, without loading its weights.

    Raises:
        ConfigurationError: there is no such encoder, a setting does not apply to it, or what it
            needs is not on this machine.
    """
    return _build("video", settings, settings.video, _VIDEO)


def audio_encoder(settings: Settings) -> AudioEncoder:
    """Return the audio encoder, as `video_encoder` does."""
    return _build("audio", settings, settings.audio, _AUDIO)


def text_encoder(settings: Settings) -> TextEncoder:
    """Return the text encoder, as `video_encoder` does."""
    return _build("text", settings, settings.text, _TEXT)


def _efficientnet_lite2(settings: Settings) -> VideoEncoder:
    from mediafm_core.encoders.efficientnet_lite import EfficientNetLite2

    return EfficientNetLite2(settings)


def _open_clip(settings: Settings) -> VideoEncoder:
    from mediafm_core.encoders.open_clip_images import OpenCLIP

    return OpenCLIP(settings)


def _whisper_base(settings: Settings) -> AudioEncoder:
    from mediafm_core.encoders.whisper import WhisperBase

    return WhisperBase(settings)


def _wav2vec2(settings: Settings) -> AudioEncoder:
    from mediafm_core.encoders.wav2vec2 import Wav2Vec2

    return Wav2Vec2(settings)


def _minilm_l6_int8(settings: Settings) -> TextEncoder:
    from mediafm_core.encoders.minilm import MiniLML6Int8

    return MiniLML6Int8(settings)


def _openai(settings: Settings) -> TextEncoder:
    from mediafm_core.encoders.openai_text import OpenAIText

    return OpenAIText(settings)


_VIDEO: Mapping[str, Callable[[Settings], VideoEncoder]] = {
    "efficientnet_lite2": _efficientnet_lite2,
    "open_clip": _open_clip,
}
_AUDIO: Mapping[str, Callable[[Settings], AudioEncoder]] = {
    "whisper_base": _whisper_base,
    "wav2vec2": _wav2vec2,
}
_TEXT: Mapping[str, Callable[[Settings], TextEncoder]] = {
    "minilm_l6_int8": _minilm_l6_int8,
    "openai": _openai,
}
_PROFILES = {
    "embedded": {
        "video": "efficientnet_lite2",
        "audio": "whisper_base",
        "text": "minilm_l6_int8",
    },
    "mediafm": {"video": "open_clip", "audio": "wav2vec2", "text": "openai"},
}
# Encoders that use a setting; others would ignore it silently, so it is refused.
_TAKES_MODEL = frozenset({"open_clip", "wav2vec2", "openai"})
_TAKES_SHA256 = frozenset({"open_clip", "wav2vec2"})  # those of packaged weights are fixed
_TAKES_DIMENSION = frozenset({"openai"})


def _build(
    modality: str,
    settings: Settings,
    chosen: EncoderSettings,
    encoders: Mapping[str, Callable[[Settings], _E]],
) -> _E:
    name = chosen.name or _PROFILES[settings.profile][modality]
    if name not in encoders:
        raise ConfigurationError(
            f"There is no {modality} encoder {name!r}: set `{modality}.name` to one of "
            f"{', '.join(encoders)}."
        )
    for option, value, takers in (
        ("model", chosen.model, _TAKES_MODEL),
        ("sha256", chosen.sha256, _TAKES_SHA256),
        ("dimension", chosen.dimension, _TAKES_DIMENSION),
    ):
        if value is not None and name not in takers:
            raise ConfigurationError(
                f"The {modality} encoder {name} takes no {option}: unset "
                f"`{modality}.{option}`={value!r}."
            )
    return encoders[name](settings)
