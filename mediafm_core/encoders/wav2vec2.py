"""wav2vec 2.0 on sound, from a hub repository or a local folder.

Baevski et al. 2020 (arXiv:2006.11477), through transformers. Self-supervised on speech.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.encoders.checkpoint_bounds import (
    number,
    read_configuration,
    require_weights_for,
)
from mediafm_core.encoders.weights import (
    checkpoint_folder,
    digest_of_checkpoint,
    require_module,
    verify_checkpoint,
    weights_in,
)
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity, digest_of
from mediafm_core.runtime.device import check_device, inference, resolve_device
from mediafm_core.runtime.error_causes import in_one_line
from mediafm_core.runtime.precision import torch_dtype, vector_precision

if TYPE_CHECKING:
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

_DEFAULT = "facebook/wav2vec2-base"
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_UNUSED = {"masked_spec_embed"}  # read in training only
_SETTING = "audio.model"
# Errors of transformers for a checkpoint that gives no network.
_UNUSABLE = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class Wav2Vec2:
    """Encodes windows of up to 30 s into about 50 vectors a second, 768 wide in the base model.

    Only windows of equal length share a batch: the base model has no mask, and padding would
    change its output.
    """

    sample_rate = 16_000
    window_s = 30.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model = settings.audio.model or _DEFAULT

    @cached_property
    def identity(self) -> Identity:
        """See `Encoder.identity`; fetches the weights if they are not on this machine."""
        files = [self._folder / _CONFIG, weights_in(self._folder, _WEIGHTS)]
        if (self._folder / _PREPROCESSOR).is_file():
            files.append(self._folder / _PREPROCESSOR)
        return Identity(
            name="wav2vec2",
            version=Path(self._model).name,
            digest=digest_of("1", digest_of_checkpoint(files), vector_precision(self._settings)),
        )

    @cached_property
    def dimension(self) -> int:
        """Width of the vectors: the model's hidden size."""
        return number(self._config, "hidden_size", 768)

    def check(self) -> None:
        """See `Encoder.check`."""
        require_module("transformers", "transformers")
        if self._config.get("model_type") != "wav2vec2":
            raise ConfigurationError(
                f"{self._folder} holds a model of type {self._config.get('model_type')!r}, not "
                "wav2vec2: name another in `audio.model`."
            )
        weights = weights_in(self._folder, _WEIGHTS)
        configuration = self._folder / _CONFIG
        require_weights_for(_least_parameters(self._config), configuration, weights, _SETTING)
        verify_checkpoint(weights, self._settings.audio.sha256, "audio.sha256")
        check_device(self._settings)

    def encode(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `AudioEncoder.encode`."""
        by_length: dict[int, list[int]] = {}
        for position, window in enumerate(windows):
            by_length.setdefault(len(window), []).append(position)
        encoded: dict[int, np.ndarray] = {}
        for positions in by_length.values():
            vectors = self._encode_equal([windows[position] for position in positions])
            encoded.update(zip(positions, vectors, strict=True))
        return [encoded[position] for position in range(len(windows))]

    def _encode_equal(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        samples = self._extractor(
            [_at_least(window, self._shortest) for window in windows],
            sampling_rate=self.sample_rate,
            return_tensors="pt",
        ).input_values  # [b, samples]
        with inference(self._settings):
            network = self._network
            hidden = network(samples.to(network.device, network.dtype)).last_hidden_state
            return hidden.float().cpu().numpy()  # [b, frames, hidden]

    @cached_property
    def _shortest(self) -> int:
        """Number of samples in one frame's receptive field: 400 in the base model."""
        kernels = self._network.config.conv_kernel
        strides = self._network.config.conv_stride
        samples = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    @cached_property
    def _folder(self) -> Path:
        return checkpoint_folder(self._model, "audio.model", (_CONFIG, _PREPROCESSOR), _WEIGHTS)

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_configuration(self._folder / _CONFIG, _SETTING, _least_parameters)

    @cached_property
    def _extractor(self) -> "Wav2Vec2FeatureExtractor":
        from transformers import Wav2Vec2FeatureExtractor

        if not (self._folder / _PREPROCESSOR).is_file():
            return Wav2Vec2FeatureExtractor()  # the base model's: zero mean, unit variance
        read_configuration(self._folder / _PREPROCESSOR, _SETTING)
        try:
            return Wav2Vec2FeatureExtractor.from_pretrained(self._folder)
        except _UNUSABLE as error:
            raise _does_not_load(self._folder / _PREPROCESSOR, error) from error

    @cached_property
    def _network(self) -> "Wav2Vec2Model":
        from pickle import UnpicklingError  # raised by weights_only for anything but tensors

        from huggingface_hub.errors import StrictDataclassError
        from safetensors import SafetensorError
        from transformers import Wav2Vec2Model

        self.check()
        try:
            loaded: Any = Wav2Vec2Model.from_pretrained(
                self._folder,
                dtype=torch_dtype(vector_precision(self._settings)),
                local_files_only=True,
                output_loading_info=True,
            )
        except (
            *(*_UNUSABLE, OSError, SafetensorError, UnpicklingError, StrictDataclassError),
        ) as error:
            raise _does_not_load(self._folder, error) from error
        network, report = loaded
        missing = set(report["missing_keys"]) - _UNUSED
        if missing:
            raise ConfigurationError(
                f"The checkpoint {self._folder} lacks {len(missing)} weights, such as "
                f"{min(missing)}: copy it again or name another in `audio.model`."
            )
        return network.eval().to(resolve_device(self._settings))


def _least_parameters(config: Mapping[str, Any]) -> float:
    """Return the least number of weights of a configuration's convolutions and Transformer layers.

    Raises:
        ValueError: a size is no whole number above 0.
    """
    hidden, layers = number(config, "hidden_size", 768), number(config, "num_hidden_layers", 12)
    inner = number(config, "intermediate_size", 3072)
    return float(layers) * (4 * hidden * hidden + 2 * hidden * inner)


def _does_not_load(place: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{place} does not load as wav2vec2 ({in_one_line(error)}): copy the checkpoint again or "
        f"name another in `{_SETTING}`."
    )


def _at_least(window: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(window, (0, max(0, samples - len(window))))
