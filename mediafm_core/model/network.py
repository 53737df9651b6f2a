"""The MediaFM network: a BERT-like Transformer over the shots of one title.

    fused vectors [b, n, d] -> shot tokens [b, n * t, h] + novelty features + neighbour means
    [CLS] [GLOBAL] tokens   -> BERT layers, whose attention scores fall with distance (by default)
    after `context_layer` layers: contextual vectors [b, n, h], and the title's [b, h]
    after the last layer:         predictions of masked shots [b, k, d]

Sizes: `b` titles, `n` shots, `d` width of fused vectors, `g` of metadata vectors, `h` of hidden
states, `m` modalities, `t` tokens per shot, `s` novelty features, `k` shots to predict.

After Netflix's technology blog, "MediaFM: The Multimodal AI Foundation for Media Understanding at
Netflix", 23 February 2026; layers are those of BERT (arXiv 1810.04805) as transformers has them:
normalisation after each residual sum, GELU, dropout. Where the blog is silent, `ModelSettings`
offers a choice: `mediafm_core.model.variants` has the optional parts.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bert.modeling_bert import BertLayer

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig
from mediafm_core.model.content_head import ContentHead
from mediafm_core.model.network_base import MediaFMBase, ScaledLinear, attention_dtype
from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.positions import positions_of
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.model.two_directions import Directions, TwoDirections, reversed_order, take
from mediafm_core.model.variants import tokens_of
from mediafm_core.scenes.partitions import GRAINS

_QUERY_WIDTH = 64  # of the attention that copies visible shots
_FIRST_DECAY = 0.3  # of copying, per shot; about the best constant on films and on episodes


class MediaFMOutput(NamedTuple):
    """Contextual vectors and predictions of a batch of titles."""

    shots: Tensor  # [b, n, h] contextual vector per shot
    title: Tensor  # [b, h] the [CLS] token, or the mean over shots
    reconstruction: Tensor  # [b, k, d] predicted fused vectors, of any length; else [b, 0, d]


class MediaFM(MediaFMBase):
    """The network. Load a trained one with `mediafm_core.model.saved_model.load_model`."""

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__(config)
        config.check_choices()
        hidden, fused = config.hidden_size, config.fused_size
        self.modality_ranges = config.modality_ranges
        self.two_directions = TwoDirections(config) if config.reads_two_directions else None
        read = self.two_directions.input.output_ranges if self.two_directions else None
        # Tensors in stored weights have the names of these attributes: `absent_token` is the vector
        # of a missing modality, `structure` the novelty and `surroundings` the neighbours' means.
        self.shot_tokens = tokens_of(config.fusion, read or self.modality_ranges, hidden)
        # The vectors have unit length; content starts out ten times as large as positions.
        self.global_projection = ScaledLinear(config.global_size, hidden, scale=10)
        self.absent_token = None
        self.structure, self.structure_projection = None, None
        if config.novelty:
            self.structure = NoveltyFeatures(self.modality_ranges)
        if self.two_directions is None:
            self.cls_token = nn.Parameter(torch.empty(hidden))
            # In the fused space: masking one modality replaces its columns only.
            self.mask_token = nn.Parameter(torch.empty(fused))
            if config.missing_modality == "learnt":
                self.absent_token = nn.Parameter(torch.empty(fused))
            if self.structure is not None:
                self.structure_projection = nn.Linear(self.structure.size, hidden)
        # For scenes, see `mediafm_core.inference.scenes`; no inputs of the network.
        self.slow_features = SlowFeatures(fused)
        self.content_head = ContentHead(fused)
        reach = config.neighbour_means
        self.surroundings = NeighbourMeans(fused, hidden, reach) if reach else None
        self.positions = positions_of(config)
        self.norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(BertLayer(config, i) for i in range(config.num_hidden_layers))
        if self.two_directions is None:
            self.prediction = Prediction(config)
        boundaries = (2 * hidden, len(GRAINS)) if config.reads_two_directions else (hidden, 1)
        self.boundary_head = nn.Linear(*boundaries) if config.boundary_head else None
        self.post_init()

    def forward(
        self,
        fused: Tensor,
        global_: Tensor,
        present: Tensor | None = None,
        masked: Tensor | None = None,
        first_position: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> MediaFMOutput:
        """Compute contextual vectors and predict shots; rows of padding are meaningless.

        Args:
            fused: `[b, n, d]` unit vectors; with learnt positions `n` is at most `max_shots`.
            global_: `[b, g]` metadata vectors; zeros where a title has no metadata.
            present: `[b, n]` bool, False where a row is padding; None when nothing is padded.
            masked: `[b, n]` bool, True where `[MASK]` replaces the shot, or `[b, n, m]` where it
                replaces single modalities, in the order of their columns.
            first_position: `[b]` int64, position of each sequence's first shot, 0 by default; only
                learnt positions read it.
            rows: `[b, k]` int64, the shots to predict; all by default.
        """
        if self.two_directions is not None:
            if masked is not None:
                raise ValueError("A network that reads in two directions has no masked shots.")
            shots, title = self.contextual(fused, global_, present)
            return MediaFMOutput(shots, title, fused.new_zeros(len(fused), 0, fused.shape[2]))
        visible = fused.new_ones(fused.shape[:2], dtype=torch.bool) if present is None else present
        if masked is not None:
            # One mask for all modalities: a shot that lacks one would have its zeros copied.
            visible = visible & ~(masked if masked.ndim == 2 else masked.any(dim=-1))  # [b, n]
            fused = self._replace(fused, masked, None)  # [b, n, d]
        states = self.hidden_states(fused, global_, present, masked, first_position)
        context, last = states[self.config.context_layer], states[-1]  # [b, 2 + n * t, h] each
        return MediaFMOutput(
            shots=self.shots_of(context),  # [b, n, h]
            title=context[:, 0],  # [b, h]
            reconstruction=self.prediction(self.shots_of(last), fused, visible, rows),  # [b, k, d]
        )

    def hidden_states(
        self,
        fused: Tensor,
        global_: Tensor,
        present: Tensor | None = None,
        masked: Tensor | None = None,
        first_position: Tensor | None = None,
        layers: int | None = None,  # number of layers to compute; all by default
    ) -> list[Tensor]:
        """Compute `[b, 2 + n * t, h]` after embeddings and layers; `fused` is zero where masked."""
        features = []  # [b, n, h] each
        if self.structure is not None and self.structure_projection is not None:
            features.append(self.structure_projection(self.structure(fused, present)))
        if self.surroundings is not None:
            features.append(self.surroundings(fused, present))
        # Tokens: `[MASK]` comes last, because masked modalities are zero as missing ones are.
        if self.absent_token is not None:
            absent = [~fused[..., start:stop].any(dim=-1) for start, stop in self.modality_ranges]
            fused = self._replace(fused, torch.stack(absent, dim=-1), self.absent_token)
        if masked is not None:
            fused = self._replace(fused, masked, self.mask_token)
        tokens = self.shot_tokens(fused)  # [b, n * t, h]
        per_shot = self.shot_tokens.tokens_per_shot  # t
        if features:
            tokens = tokens + sum(features[1:], features[0]).repeat_interleave(per_shot, dim=1)
        cls = self.cls_token.expand(len(fused), 1, -1)  # [b, 1, h]
        tokens = torch.cat([cls, self.global_projection(global_)[:, None], tokens], dim=1)
        # Positions, and a mask of padding; without either, attention has its fastest kernels.
        hidden = self.dropout(self.norm(self.positions.embed(tokens, per_shot, first_position)))
        bias = self.positions.bias(hidden, per_shot)  # [1, heads, 2 + n * t, 2 + n * t]
        if present is not None:
            special = present.new_ones(present.shape[0], SPECIAL_TOKENS)
            keys = torch.cat([special, present.repeat_interleave(per_shot, dim=1)], dim=1)
            bias = hidden.new_zeros((), dtype=attention_dtype(hidden)) if bias is None else bias
            # [b, heads, queries, keys], or [b, 1, 1, keys] without a term of positions
            bias = bias.masked_fill(~keys[:, None, None, :], float("-inf"))
        # Layers.
        states = [hidden]  # [b, 2 + n * t, h]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], bias))
        return states

    def directions(
        self, fused: Tensor, global_: Tensor, present: Tensor | None = None
    ) -> Directions:
        """Read titles forward and backward, where the network does; arguments as in `forward`."""
        parts = self.two_directions
        if parts is None:
            raise ValueError("This network reads titles as a whole, not in two directions.")
        per_shot, batch = self.shot_tokens.tokens_per_shot, len(fused)
        tokens = self.shot_tokens(parts.content(fused)).unflatten(1, (-1, per_shot))
        order = reversed_order(tokens, present)  # [b, n]
        tokens = torch.cat([tokens, take(tokens, order)]).flatten(1, 2)  # [2b, n * t, h]
        start = self.global_projection(parts.metadata(global_)) + parts.start_token
        hidden = self.dropout(self.norm(torch.cat([start[:, None], tokens], dim=1)))
        bias = self.positions.bias(hidden, per_shot)  # [1, heads, 1 + n * t, 1 + n * t]
        # Padding is behind all shots in both directions, where no shot sees it.
        for layer in self.layers:
            hidden = layer(hidden, bias)
        forward, backward = self.shot_tokens.shots(hidden[:, 1:]).chunk(2)  # [b, n, h] each
        past = torch.cat([hidden[:batch, :1], forward[:, :-1]], dim=1)
        return Directions(past, take(backward, order))

    def _replace(self, fused: Tensor, where: Tensor, value: Tensor | None) -> Tensor:
        """Put `value [d]`, or zeros, where `[b, n]` shots or `[b, n, m]` modalities are True."""
        parts = []
        for i, (start, stop) in enumerate(self.modality_ranges):
            part = fused[..., start:stop]
            chosen = where if where.ndim == 2 else where[..., i]  # [b, n]
            new = part.new_zeros(()) if value is None else value[start:stop].to(fused.dtype)
            parts.append(torch.where(chosen[..., None], new, part))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


class NeighbourMeans(nn.Module):
    """A linear map of the mean fused vectors of `reach` shots before and after each shot.

    Training that copies masked shots from visible ones needs no layer to carry what neighbours
    show, and in a few hundred steps none learns to: contextual vectors of 15 films held as little
    of the shot before as the shot itself. So each token has it from the first step on.
    """

    def __init__(self, fused_size: int, hidden_size: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        # Half as large as the shot's own content, which has to remain the larger part of the sum.
        self.projection = ScaledLinear(2 * fused_size, hidden_size, scale=5)

    def forward(self, fused: Tensor, present: Tensor | None = None) -> Tensor:
        """Compute features `[b, n, h]` of `[b, n, d]`; padding and missing shots count as zeros."""
        if present is not None:
            fused = fused.masked_fill(~present[..., None], 0)
        count, reach = fused.shape[1], self.reach
        padded = functional.pad(fused, (0, 0, reach, reach))  # [b, n + 2 reach, d]
        means = padded.unfold(1, reach, 1).mean(dim=-1)  # [b, n + reach + 1, d]
        before, after = means[:, :count], means[:, reach + 1 :]  # [b, n, d] each
        return cast(Tensor, self.projection(torch.cat([before, after], dim=-1)))


class Prediction(nn.Module):
    """Predictions of masked shots: copied from visible shots, by a linear map, or their sum.

    A linear map (as published) memorises a few titles: on unseen films it predicts worse than
    the mean of the title's visible shots after training on ten films, far worse after four; copying
    predicts better than it. In their sum the linear map starts at zero and learns what copying
    misses, given tens of thousands of titles. The figures are in
    `docs/laboratory/2026-11-22-masked-prediction.md`.
    """

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        hidden, kind = config.hidden_size, config.prediction
        self.linear: nn.Linear | None = None
        if kind == "linear":
            self.linear = nn.Linear(hidden, config.fused_size)
        elif kind == "both":
            self.linear = ScaledLinear(hidden, config.fused_size, scale=0)
        self.copy = CopyAttention(config) if kind != "linear" else None

    def forward(
        self, states: Tensor, fused: Tensor, visible: Tensor, rows: Tensor | None = None
    ) -> Tensor:
        """Predict the shots `rows [b, k]` int64, or all, as `[b, k, d]` of any length.

        `states [b, n, h]` are of the last layer; `fused [b, n, d]` is zero where masked; `visible`
        `[b, n]` bool is False for padding and for shots with a masked modality.
        """
        queries = states  # [b, k, h]
        if rows is not None:
            queries = torch.take_along_dim(states, rows[..., None], dim=1)
        predictions = []  # [b, k, d] each
        if self.linear is not None:
            predictions.append(self.linear(queries))
        if self.copy is not None:
            predictions.append(self.copy(queries, rows, states, fused, visible))
        return torch.stack(predictions).sum(dim=0) if len(predictions) > 1 else predictions[0]


class CopyAttention(nn.Module):
    """Attention of masked shots to visible ones, whose values are the fused vectors themselves.

    Each modality has weights of its own: music continues where the picture changes.
    """

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__()
        self.widths = [stop - start for start, stop in config.modality_ranges]
        modalities = len(self.widths)
        self.query = nn.Linear(config.hidden_size, modalities * _QUERY_WIDTH)
        self.key = nn.Linear(config.hidden_size, modalities * _QUERY_WIDTH)
        # `[2 * m]`: to shots before of each modality, then to shots after of each. The exponential
        # makes it positive. A flat vector, because weight decay is for matrices.
        self.log_decay = nn.Parameter(torch.full((2 * modalities,), math.log(_FIRST_DECAY)))

    def forward(
        self, queries: Tensor, rows: Tensor | None, states: Tensor, fused: Tensor, visible: Tensor
    ) -> Tensor:
        """Predict shots as `Prediction.forward`; `queries [b, k, h]` are the states of `rows`."""
        position = torch.arange(states.shape[1], device=states.device)  # [n], of the keys
        queried = position[None] if rows is None else rows  # [1, n] or [b, k]
        offset = (position - queried[..., None]).float()[:, None]  # [b or 1, 1, k, n]
        before, after = self.log_decay.exp().view(2, -1, 1, 1)  # [m, 1, 1] each
        split = (len(self.widths), _QUERY_WIDTH)
        query = self.query(queries).unflatten(-1, split).transpose(1, 2)  # [b, m, k, w]
        key = self.key(states).unflatten(-1, split).transpose(1, 2)  # [b, m, n, w]
        scores = query @ key.transpose(2, 3) / _QUERY_WIDTH**0.5  # [b, m, k, n]
        scores = scores.float() - (-offset).clamp(min=0) * before - offset.clamp(min=0) * after
        # Finite, so that without any visible shot the weights are even and zeros are copied.
        scores = scores.masked_fill(~visible[:, None, None, :], torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1).to(fused.dtype).unbind(1)  # m times [b, k, n]
        parts = fused.split(self.widths, dim=-1)  # m times [b, n, width]
        return torch.cat([w @ part for w, part in zip(weights, parts, strict=True)], dim=-1)
