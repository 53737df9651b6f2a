"""The MediaFM network: a BERT-like Transformer over the shots of one title.

By default it reads a title in two directions, as `mediafm_core.model.two_directions` explains. With
`attention = "bidirectional"` it is the published network:

    fused vectors [b, n, d], [MASK] for masked ones -> shot tokens [b, n, h]
    [CLS] [GLOBAL] tokens, learnt positions         -> BERT layers
    after the last layer but one: contextual vectors [b, n, h], and the title's [b, h]
    after the last layer:         predictions of masked shots [b, k, d]

Sizes: `b` titles, `n` shots, `d` width of fused vectors, `g` of metadata vectors, `h` of hidden
states, `c` of contextual vectors, `k` shots to predict.

After Netflix's technology blog, "MediaFM: The Multimodal AI Foundation for Media Understanding at
Netflix", 23 February 2026; layers are those of BERT (arXiv 1810.04805) as transformers has them:
normalisation after each residual sum, GELU, dropout.

Imports torch and transformers: import this module only where a network is used.
"""

from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.models.bert.modeling_bert import BertLayer

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig
from mediafm_core.model.content_head import ContentHead
from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.positions import CausalDistances, LearntPositions, attention_dtype
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.model.two_directions import Directions, TwoDirections, reversed_order, take
from mediafm_core.scenes.partitions import GRAINS


class MediaFMOutput(NamedTuple):
    """Contextual vectors and predictions of a batch of titles."""

    shots: Tensor  # [b, n, c] contextual vector per shot
    title: Tensor  # [b, c] the [CLS] token, or the mean over shots
    reconstruction: Tensor  # [b, k, d] predicted fused vectors, of any length; else [b, 0, d]


class ScaledLinear(nn.Linear):
    """A linear map whose weights start out ten times as large as those of others.

    Its inputs have unit length; so content starts out ten times as large as positions.
    """


class ShotTokens(nn.Module):
    """A token per shot: a linear map of all modalities, which are concatenated (as published)."""

    def __init__(self, width: int, hidden_size: int) -> None:
        super().__init__()
        self.projection = ScaledLinear(width, hidden_size)

    def forward(self, shots: Tensor) -> Tensor:
        """Compute the tokens `[b, n, h]` of shots `[b, n, width]`."""
        return cast(Tensor, self.projection(shots))


class MediaFM(PreTrainedModel):
    """The network. Load a trained one with `mediafm_core.model.saved_model.load_model`."""

    config: MediaFMConfig
    config_class = MediaFMConfig
    base_model_prefix = "mediafm"
    main_input_name = "fused"
    _supports_sdpa = True
    _no_split_modules = ["BertLayer"]  # noqa: RUF012 - declared so by transformers

    positions: LearntPositions | CausalDistances

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__(config)
        config.check_attention()
        hidden, fused = config.hidden_size, config.fused_size
        self.modality_ranges = config.modality_ranges
        self.two_directions = TwoDirections(config) if config.reads_two_directions else None
        read = sum(self.two_directions.input.widths) if self.two_directions else fused
        # Tensors in stored weights have the names of these attributes: `structure` is novelty.
        self.shot_tokens = ShotTokens(read, hidden)
        self.global_projection = ScaledLinear(config.global_size, hidden)
        self.structure = NoveltyFeatures(self.modality_ranges) if config.novelty else None
        if self.two_directions is None:
            self.cls_token = nn.Parameter(torch.empty(hidden))
            self.mask_token = nn.Parameter(torch.empty(fused))
            self.positions = LearntPositions(config)
            self.prediction = nn.Linear(hidden, fused)
        else:
            self.positions = CausalDistances(config)
        # For scenes, see `mediafm_core.inference.scenes`; no inputs of the network.
        self.slow_features = SlowFeatures(fused)
        self.content_head = ContentHead(fused)
        self.norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(BertLayer(config, i) for i in range(config.num_hidden_layers))
        self.boundary_head = nn.Linear(2 * hidden, len(GRAINS)) if config.boundary_head else None
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
            masked: `[b, n]` bool, True where `[MASK]` replaces the shot.
            first_position: `[b]` int64, position of each sequence's first shot, 0 by default; only
                learnt positions read it.
            rows: `[b, k]` int64, the shots to predict; all by default.
        """
        if self.two_directions is not None:
            if masked is not None:
                raise ValueError("A network that reads in two directions has no masked shots.")
            shots, title = self.contextual(fused, global_, present)
            return MediaFMOutput(shots, title, fused.new_zeros(len(fused), 0, fused.shape[2]))
        states = self.hidden_states(fused, global_, present, masked, first_position)
        context, last = states[self.config.context_layer], states[-1]  # [b, 2 + n, h] each
        predicted = last[:, SPECIAL_TOKENS:]  # [b, k, h]
        if rows is not None:
            predicted = torch.take_along_dim(predicted, rows[..., None], dim=1)
        shots, title = context[:, SPECIAL_TOKENS:], context[:, 0]
        return MediaFMOutput(shots, title, self.prediction(predicted))

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
        return context[:, SPECIAL_TOKENS:], context[:, 0]

    def hidden_states(
        self,
        fused: Tensor,
        global_: Tensor,
        present: Tensor | None = None,
        masked: Tensor | None = None,
        first_position: Tensor | None = None,
        layers: int | None = None,  # number of layers to compute; all by default
    ) -> list[Tensor]:
        """Compute `[b, 2 + n, h]` after the embeddings and each layer, as published."""
        if masked is not None:
            fused = torch.where(masked[..., None], self.mask_token.to(fused.dtype), fused)
        cls = self.cls_token.expand(len(fused), 1, -1)  # [b, 1, h]
        tokens = torch.cat(
            [cls, self.global_projection(global_)[:, None], self.shot_tokens(fused)], dim=1
        )
        hidden = self.dropout(self.norm(self.positions(tokens, first_position)))
        padding = None  # without any, attention has its fastest kernels
        if present is not None:
            special = present.new_ones(present.shape[0], SPECIAL_TOKENS)
            keys = torch.cat([special, present], dim=1)
            nothing = hidden.new_zeros((), dtype=attention_dtype(hidden))
            padding = nothing.masked_fill(~keys[:, None, None, :], float("-inf"))  # [b, 1, 1, keys]
        states = [hidden]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], padding))
        return states

    def directions(
        self, fused: Tensor, global_: Tensor, present: Tensor | None = None
    ) -> Directions:
        """Read titles forward and backward, where the network does; arguments as in `forward`."""
        parts = self.two_directions
        if parts is None:
            raise ValueError("This network reads titles as a whole, not in two directions.")
        tokens = self.shot_tokens(parts.content(fused))  # [b, n, h]
        order = reversed_order(tokens, present)  # [b, n]
        tokens = torch.cat([tokens, take(tokens, order)])  # [2b, n, h]
        start = self.global_projection(parts.metadata(global_)) + parts.start_token
        hidden = self.dropout(self.norm(torch.cat([start[:, None], tokens], dim=1)))
        bias = self.positions(hidden)  # [1, heads, 1 + n, 1 + n]
        # Padding is behind all shots in both directions, where no shot sees it.
        for layer in self.layers:
            hidden = layer(hidden, bias)
        forward, backward = hidden.chunk(2)  # [b, 1 + n, h] each
        return Directions(forward[:, :-1], take(backward[:, 1:], order))

    def boundaries(self, fused: Tensor, global_: Tensor, present: Tensor | None = None) -> Tensor:
        """Compute logits `[b, n, grains]` that a new scene starts at a shot.

        Grains are mean lengths of a scene (`mediafm_core.scenes.partitions.GRAINS`).

        Raises:
            ValueError: the network was trained without a boundary head.
        """
        return self.boundaries_of(self.directions(fused, global_, present))

    def boundaries_of(self, directions: Directions) -> Tensor:
        """Compute logits `[b, n, grains]` of scene starts from the states of both directions."""
        if self.boundary_head is None:
            raise ValueError(
                "This network has no boundary head: train with objective.boundary_weight above 0."
            )
        return cast(Tensor, self.boundary_head(torch.cat(directions, dim=-1)))

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Self:
        """Load a model's folder as transformers does, from safetensors only: never a pickle."""
        return cast(Self, super().from_pretrained(*args, **{**kwargs, "use_safetensors": True}))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, ScaledLinear):
            init.normal_(module.weight, std=10 * std)
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
