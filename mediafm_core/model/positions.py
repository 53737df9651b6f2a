"""Positions of shots in attention: distances, in one direction or in both.

Imports torch and transformers: import this module only where a network is used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig, default_slopes
from mediafm_core.model.network_base import attention_dtype
from mediafm_core.model.variants import LearntPositions

_CACHED_NUMBERS = 1 << 24  # largest position bias that is kept


class RelativePositions(nn.Module):
    """Distances in shots as a term of every attention score (ALiBi); has no weights."""

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self.slopes = config.attention_slopes or default_slopes(config)
        self._cached: tuple[object, Tensor] | None = None

    def embed(self, tokens: Tensor, *_: object) -> Tensor:
        """Return tokens `[b, 2 + n * t, h]` as they are."""
        return tokens

    def bias(self, tokens: Tensor, tokens_per_shot: int) -> Tensor:
        """Return the term `[1, heads, 2 + n * t, 2 + n * t]`: queries, then keys."""
        key = (tokens.shape[1], tokens_per_shot, tokens.device, attention_dtype(tokens))
        if torch.compiler.is_compiling():  # the compiler makes the computation part of its graph
            return self._bias(*key)
        cached = self._cached  # read once: threads share a network for inference
        if cached is not None and cached[0] == key:
            return cached[1]
        with torch.inference_mode(False):  # an inference tensor could not be used in training
            bias = self._bias(*key)
        if bias.numel() <= _CACHED_NUMBERS:
            self._cached = (key, bias)
        return bias

    def _bias(self, count: int, per_shot: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        shot = torch.arange(count - SPECIAL_TOKENS, device=device) // per_shot  # [n * t]
        offset = (shot[None, :] - shot[:, None]).float()  # [query, key], > 0 if the key comes later
        to_before, to_after = (-offset).clamp(min=0), offset.clamp(min=0)
        # Slopes as numbers: a tensor of them would have to be copied to a GPU, which waits for it.
        loss = torch.stack([to_before * before + to_after * after for before, after in self.slopes])
        return functional.pad(-loss, (SPECIAL_TOKENS, 0) * 2)[None].to(dtype)


class CausalPositions(RelativePositions):
    """Distances to the shots that were read before; what comes later is hidden.

    Tokens are `[GLOBAL]` and then those of shots. Tokens of one shot see each other.
    """

    def _bias(self, count: int, per_shot: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        token = torch.arange(count, device=device)
        shot = torch.where(token > 0, (token - 1) // per_shot, -1)  # [1 + n * t]
        offset = (shot[:, None] - shot[None, :]).float()  # [query, key], < 0 if the key comes later
        distance = torch.where(token[None, :] > 0, offset, 0)  # to [GLOBAL] there is none
        loss = torch.stack([distance * slope for slope, _ in self.slopes])
        return (-loss).masked_fill(offset < 0, float("-inf"))[None].to(dtype)


def positions_of(config: MediaFMConfig) -> RelativePositions | LearntPositions:
    """Make the positions that a configuration names."""
    if config.reads_two_directions:
        return CausalPositions(config)
    return RelativePositions(config) if config.positions == "relative" else LearntPositions(config)
