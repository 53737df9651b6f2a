"""Base class of the network: loading, initial weights, and vectors without predictions.

`mediafm_core.model.network` has the network itself and explains the sizes in comments.

Imports torch and transformers: import this module only where a network is used.
"""

from collections.abc import Callable
from typing import Any, Protocol, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig
from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.two_directions import Directions, TwoDirections


class ScaledLinear(nn.Linear):
    """A linear map whose weights start out `scale` times as large as those of others."""

    def __init__(self, in_features: int, out_features: int, scale: float) -> None:
        super().__init__(in_features, out_features)
        self.scale = scale


class ShotTokens(Protocol):
    """Tokens of shots: from fused vectors, and back to one state per shot."""

    tokens_per_shot: int

    def __call__(self, fused: Tensor) -> Tensor:
        """Compute tokens `[b, n * t, h]` of fused vectors `[b, n, d]`, in the order of shots."""

    def shots(self, states: Tensor) -> Tensor:
        """Compute states `[b, n, h]` of shots from those of their tokens, `[b, n * t, h]`."""


class MediaFMBase(PreTrainedModel):
    """Base class of `MediaFM`, which defines the parts and methods that are declared here."""

    config: MediaFMConfig
    config_class = MediaFMConfig
    base_model_prefix = "mediafm"
    main_input_name = "fused"
    _supports_sdpa = True
    _no_split_modules = ["BertLayer"]  # noqa: RUF012 - declared so by transformers

    shot_tokens: ShotTokens
    structure: NoveltyFeatures | None
    two_directions: TwoDirections | None
    cls_token: nn.Parameter
    mask_token: nn.Parameter
    hidden_states: Callable[..., list[Tensor]]  # a method of `MediaFM`, as the next one
    directions: Callable[..., Directions]

    def contextual(
        self, fused: Tensor, global_: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute `shots [b, n, c]` and `title [b, c]` alone; `c` is the `context_size`."""
        if self.two_directions is not None:
            directions = self.directions(fused, global_, present)
            novelty = None if self.structure is None else self.structure(fused, present)
            shots = self.two_directions.vectors(directions, present, novelty)
            return shots, _mean_of_shots(shots, present)
        layers = self.config.context_layer
        context = self.hidden_states(fused, global_, present, layers=layers)[-1]
        return self.shots_of(context), context[:, 0]

    def shots_of(self, states: Tensor) -> Tensor:
        """Compute the states `[b, n, h]` of shots from those of all tokens, `[b, 2 + n * t, h]`."""
        return self.shot_tokens.shots(states[:, SPECIAL_TOKENS:])

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Self:
        """Load a model's folder as transformers does, from safetensors only: never a pickle."""
        return cast(Self, super().from_pretrained(*args, **{**kwargs, "use_safetensors": True}))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, ScaledLinear):
            init.normal_(module.weight, std=module.scale * std)
        elif isinstance(module, TwoDirections):
            init.normal_(module.start_token, std=10 * std)  # as large as a shot's token
        elif module is self and self.two_directions is None:
            init.normal_(self.cls_token, std=std)
            init.normal_(self.mask_token, std=self.config.fused_size**-0.5)  # length near one


def _mean_of_shots(shots: Tensor, present: Tensor | None) -> Tensor:
    """Compute the mean `[b, c]` over the shots of each title."""
    if present is None:
        return shots.mean(dim=1)
    there = present[..., None]
    return shots.masked_fill(~there, 0).sum(dim=1) / there.sum(dim=1)


def attention_dtype(tokens: Tensor) -> torch.dtype:
    """Return the precision of attention over tokens: that of autocast where it is on."""
    kind = tokens.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tokens.dtype
