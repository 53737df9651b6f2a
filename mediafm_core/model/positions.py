"""Positions of shots: learnt vectors, as published, or distances in attention.

Imports torch and transformers: import this module only where a network is used.
"""

import torch
from torch import Tensor, nn

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig, attention_slopes

_CACHED_NUMBERS = 1 << 24  # largest position bias that is kept


class LearntPositions(nn.Module):
    """One vector per position in the sequence, added to the token; at most `max_shots` positions.

    The vectors start out as BERT's do: normal, with the standard deviation `initializer_range`.
    A training crop gets a random first position, so that every position is trained, however short
    the titles are.
    """

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        count = SPECIAL_TOKENS + config.max_shots
        self.embedding = nn.Embedding(count, config.hidden_size)

    def forward(self, tokens: Tensor, first: Tensor | None) -> Tensor:
        """Add the positions to tokens `[b, 2 + n, h]`; `first [b]` is that of the first shot.

        Raises:
            ValueError: more shots than there are positions.
        """
        batch, count, _ = tokens.shape
        shots = count - SPECIAL_TOKENS
        most = self.embedding.num_embeddings - SPECIAL_TOKENS
        if shots > most:
            raise ValueError(f"{shots} shots in one pass, and there are {most} learnt positions.")
        special = torch.arange(SPECIAL_TOKENS, device=tokens.device).expand(batch, -1)  # [b, 2]
        position = torch.arange(SPECIAL_TOKENS, count, device=tokens.device).expand(batch, -1)
        if first is not None:
            position = position + first[:, None]
        vectors: Tensor = self.embedding(torch.cat([special, position], dim=1))
        return tokens + vectors


class CausalDistances(nn.Module):
    """Distances to the shots that were read before; what comes later is hidden. Has no weights.

    Tokens are `[GLOBAL]` and then the shots.
    """

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self.slopes = config.attention_slopes or attention_slopes(config.num_attention_heads)
        self._cached: tuple[object, Tensor] | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the term `[1, heads, 1 + n, 1 + n]` of attention: queries, then keys."""
        key = (tokens.shape[1], tokens.device, attention_dtype(tokens))
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

    def _bias(self, count: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        token = torch.arange(count, device=device)
        offset = (token[:, None] - token).float()  # [query, key], < 0 if the key comes later
        distance = torch.where(token[None, :] > 0, offset, 0)  # to [GLOBAL] there is none
        # Slopes as numbers: a tensor of them would have to be copied to a GPU, which waits for it.
        loss = torch.stack([distance * slope for slope in self.slopes])
        return (-loss).masked_fill(offset < 0, float("-inf"))[None].to(dtype)


def attention_dtype(tokens: Tensor) -> torch.dtype:
    """Return the precision of attention over tokens: that of autocast where it is on."""
    kind = tokens.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tokens.dtype
