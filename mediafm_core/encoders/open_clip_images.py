"""CLIP image encoders on pictures, from a hub repository, a local folder or a checkpoint file.

Radford et al. 2021 (arXiv:2103.00020), through open_clip.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
    require_package,
    verify_checkpoint,
    weights_in,
)
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.identity import Identity, digest_of
from mediafm_core.runtime.device import check_device, inference, resolve_device
from mediafm_core.runtime.error_causes import in_one_line
from mediafm_core.runtime.precision import torch_dtype, vector_precision

if TYPE_CHECKING:
    import torch

_DEFAULT = "timm/vit_large_patch14_clip_224.openai"  # ViT-L-14 with OpenAI's weights
_CONFIG = "open_clip_config.json"
_SETTING = "video.model"
_WEIGHTS = (  # in the order in which open_clip itself looks for them
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
# Errors of open_clip for a configuration that gives no network.
_UNUSABLE = (
    *(RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    AssertionError,
)


class _Checkpoint(NamedTuple):
    """Arguments for open_clip, and the files that decide the output."""

    name: str
    pretrained: str | None
    config: Path
    weights: Path


class OpenCLIP:
    """Encodes pictures with a CLIP image encoder: 768 numbers for ViT-L-14.

    The setting `video.model` is one of

    - a local folder or a hub repository `owner/name` with `open_clip_config.json` and weights,
    - `ARCHITECTURE:TAG`, both as open_clip lists them (`ViT-L-14:laion2b_s32b_b82k`), or
      `ARCHITECTURE` alone for OpenAI's weights,
    - `ARCHITECTURE:FILE`, a checkpoint for one of open_clip's architectures.

    The whole picture is scaled to the network's square, changing its aspect, so that the edges of
    a film's frame are not cropped.
    """

    def __init__(self, settings: Settings) -> None:
        require_module("open_clip", "open_clip_torch")
        self._settings = settings
        self._model = settings.video.model or _DEFAULT

    @cached_property
    def identity(self) -> Identity:
        """See `Encoder.identity`; fetches the weights if they are not on this machine."""
        files = [self._checkpoint.config, self._checkpoint.weights]
        return Identity(
            name="open_clip",
            version=Path(self._model).name,
            digest=digest_of(
                "1", digest_of_checkpoint(files), "squash", vector_precision(self._settings)
            ),
        )

    @cached_property
    def dimension(self) -> int:
        """Width of the vectors: that of the space shared with CLIP's texts."""
        return int(_network_of(self._configuration)["embed_dim"])

    def check(self) -> None:
        """See `Encoder.check`."""
        _, _, configuration, weights = self._checkpoint
        least = _least_parameters(self._configuration)
        require_weights_for(least, configuration, weights, _SETTING)
        verify_checkpoint(weights, self._settings.video.sha256, "video.sha256")
        check_device(self._settings)

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """See `VideoEncoder.encode`: float32 [n, dimension]."""
        import torch
        from PIL import Image

        if not images:
            return np.empty((0, self.dimension), dtype=np.float32)
        network, preprocess = self._network
        pixels = torch.stack([preprocess(Image.fromarray(image)) for image in images])
        pixels = pixels.to(
            resolve_device(self._settings), torch_dtype(vector_precision(self._settings))
        )
        with inference(self._settings):
            return network.encode_image(pixels).float().cpu().numpy()  # [n, dimension]

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See `JointEncoder.encode_texts`: float32 [n, dimension], by the network's text tower."""
        import open_clip
        import torch

        network, _ = self._network
        tokenizer = open_clip.get_tokenizer(self._checkpoint.name)
        tokens = tokenizer(list(texts))  # [n, context]
        # With a longer context, a text that was truncated has other tokens.
        longer = tokenizer(list(texts), 2 * tokens.shape[1])[:, : tokens.shape[1]]
        if too_long := [
            text for text, same in zip(texts, (tokens == longer).all(1), strict=True) if not same
        ]:
            raise MediaFMError(
                f"The text {too_long[0]!r} has more than the {tokens.shape[1]} tokens that "
                f"{self.identity.name} takes: shorten it."
            )
        with inference(self._settings):
            vectors = network.encode_text(tokens.to(resolve_device(self._settings)))
        return vectors.to(torch.float32).cpu().numpy()  # [n, dimension]

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        return read_configuration(self._checkpoint.config, _SETTING, _least_parameters)

    @cached_property
    def _checkpoint(self) -> _Checkpoint:
        architecture, colon, source = self._model.partition(":")
        configs = require_package("open_clip", "open_clip_torch") / "model_configs"
        config = configs / f"{architecture}.json"
        if Path(self._model).is_dir() or not (colon or config.is_file()):
            return _from_folder(self._model)
        if not config.is_file():
            raise ConfigurationError(
                f"open_clip has no architecture {architecture!r}: correct the setting "
                f"`video.model`={self._model!r}."
            )
        if Path(source).is_file():
            return _Checkpoint(architecture, source, config, Path(source))
        return _from_folder(_repository_of(architecture, source or "openai"))

    @cached_property
    def _network(self) -> "tuple[Any, Callable[..., torch.Tensor]]":
        from pickle import UnpicklingError  # raised by weights_only for anything but tensors

        import open_clip
        import torch
        from PIL import Image
        from safetensors import SafetensorError

        self.check()
        name, pretrained, _, weights = self._checkpoint
        try:
            # open_clip draws initial weights before it loads: keep torch's random state.
            with torch.random.fork_rng(devices=[]):
                network, _, preprocess = open_clip.create_model_and_transforms(
                    name,
                    pretrained,
                    precision="bf16" if vector_precision(self._settings) == "bfloat16" else "fp32",
                    device=resolve_device(self._settings),
                    image_resize_mode="squash",
                )
            preprocess(Image.new("RGB", (8, 8)))  # its settings come from the checkpoint too
        except (*_UNUSABLE, OSError, SafetensorError, UnpicklingError) as error:
            raise ConfigurationError(
                f"The checkpoint {weights} does not load as {name} ({in_one_line(error)}): name "
                f"another in `{_SETTING}`."
            ) from error
        return network.eval().requires_grad_(False), preprocess


def _network_of(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    network = configuration.get("model_cfg", configuration)
    if not isinstance(network, Mapping):
        raise ValueError("model_cfg is no JSON object")
    return network


def _least_parameters(configuration: Mapping[str, Any]) -> float:
    """Return the least number of weights of the two Transformers of a configuration.

    Raises:
        ValueError: a size is no whole number above 0.
    """
    network = _network_of(configuration)
    total = float(number(network, "embed_dim", 0))
    for name, foreign in (("vision_cfg", "timm_model_name"), ("text_cfg", "hf_model_name")):
        tower = network.get(name)
        if not isinstance(tower, Mapping):
            raise ValueError(f"{name} is no JSON object")
        if tower.get(foreign) or isinstance(tower.get("layers"), list):  # sizes of another library
            continue
        width = number(tower, "width", 768 if name == "vision_cfg" else 512)
        total += 4.0 * width * width * number(tower, "layers", 12)
        if name == "text_cfg":
            places = number(tower, "vocab_size", 49408) + number(tower, "context_length", 77)
        else:
            sides = tower.get("image_size", 224)
            side = max(sides) if isinstance(sides, list) and sides else sides
            patch = number(tower, "patch_size", 16)
            places = (number({"image_size": side}, "image_size", 224) // patch) ** 2
            places += 3 * patch * patch
        total += float(places) * width
    return total


def _from_folder(model: str) -> _Checkpoint:
    folder = checkpoint_folder(model, "video.model", (_CONFIG,), _WEIGHTS)
    weights = weights_in(folder, _WEIGHTS)
    return _Checkpoint(f"local-dir:{folder}", None, folder / _CONFIG, weights)


def _repository_of(architecture: str, tag: str) -> str:
    import open_clip

    known = open_clip.get_pretrained_cfg(architecture, tag)
    if not known or not known.get("hf_hub"):
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise ConfigurationError(
            f"{tag!r} is neither a checkpoint file nor weights of {architecture} that open_clip "
            f"has ({tags}): correct the setting `video.model`."
        )
    return str(known["hf_hub"]).rstrip("/")
