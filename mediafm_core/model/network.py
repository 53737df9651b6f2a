"""The MediaFM network: a BERT-like Transformer over the shots of one title.

    fused [n, d] -> tokens -> [CLS] [GLOBAL] shot 1 ... shot n -> + positions -> BERT layers

    after `context_layer` layers:  contextual shots [n, h], title [h] ([CLS])
    after the last layer:          prediction of hidden shots [k, d]

After Netflix's technology blog, "MediaFM: The Multimodal AI Foundation for Media Understanding at
Netflix", 23 February 2026. Where the blog is silent we chose, or made it a choice:

- how a fused vector becomes tokens: `mediafm_core.model.shot_tokens`
- where a shot stands: `mediafm_core.model.positions`
- how a hidden shot is predicted: `mediafm_core.model.prediction`
- what a shot is told of the shots around it: `mediafm_core.model.neighbour_means`, and how alike
  they are: `mediafm_core.model.novelty`
- `[MASK]` is a vector of the fused space and replaces a shot before the projection. It has one part
  per modality, so that hiding a single modality is the same operation on fewer columns. The learnt
  vector for an absent modality works the same way.
- Layers are those of BERT (arXiv 1810.04805) as transformers has them: normalisation after each
  residual sum, GELU, dropout.

Imports torch and transformers: import this module only where a network is really used.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.models.bert.modeling_bert import BertLayer

from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.neighbour_means import Surroundings
from mediafm_core.model.novelty import Structure
from mediafm_core.model.positions import (
    SPECIAL_TOKENS,
    LearntPositions,
    attention_dtype,
    build_positions,
)
from mediafm_core.model.prediction import Prediction
from mediafm_core.model.shot_tokens import build_shot_tokens


class MediaFMOutput(NamedTuple):
    """What the network says about a batch of titles."""

    shots: torch.Tensor  # [b, n, h] contextual embedding per shot
    title: torch.Tensor  # [b, h] the [CLS] token
    reconstruction: torch.Tensor  # [b, k, d] predicted fused vectors, of any length


class MediaFM(PreTrainedModel):
    """The network. Load a trained one with `mediafm_core.model.saved_model.load_model`."""

    config: MediaFMConfig
    config_class = MediaFMConfig
    base_model_prefix = "mediafm"
    main_input_name = "fused"
    _supports_sdpa = True
    _no_split_modules = ["BertLayer"]  # noqa: RUF012 - declared so by transformers

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__(config)
        hidden = config.hidden_size
        self.modality_ranges = config.modality_ranges
        self.shot_tokens = build_shot_tokens(config)
        self.global_projection = nn.Linear(config.global_size, hidden)
        self.cls_token = nn.Parameter(torch.empty(hidden))
        self.mask_token = nn.Parameter(torch.empty(config.fused_size))
        if config.absent not in ("zeros", "learnt"):
            raise ValueError(f"absent is {config.absent!r}: choose zeros or learnt.")
        learnt = config.absent == "learnt"
        self.absent_token = nn.Parameter(torch.empty(config.fused_size)) if learnt else None
        self.structure, self.structure_projection = None, None
        if config.structure:
            self.structure = Structure(self.modality_ranges)
            self.structure_projection = nn.Linear(self.structure.size, hidden)
        self.surroundings = None
        if config.surroundings:
            self.surroundings = Surroundings(config.fused_size, hidden, config.surroundings)
        self.positions = build_positions(config)
        self.norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(
            BertLayer(config, layer_idx=index) for index in range(config.num_hidden_layers)
        )
        self.prediction = Prediction(config)
        self.boundary_head = nn.Linear(hidden, 1) if config.boundary_head else None
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> "MediaFM":
        """As transformers loads a model's folder, from safetensors alone: no pickle is read."""
        return cast(MediaFM, super().from_pretrained(*args, **{**kwargs, "use_safetensors": True}))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        spread = self.config.initializer_range
        if isinstance(module, nn.Linear):
            if module is self.global_projection or module in self._input_projections():
                # The vectors have unit length; content starts out ten times as large as positions.
                init.normal_(module.weight, std=10 * spread)
            elif self.surroundings is not None and module is self.surroundings.projection:
                # Half as large: what is shown now must not drown in what is shown around it.
                init.normal_(module.weight, std=5 * spread)
            elif module is self.prediction.linear and self.prediction.copy is not None:
                init.zeros_(module.weight)
        elif module is self:
            init.normal_(self.cls_token, std=spread)
            init.normal_(self.mask_token, std=self.config.fused_size**-0.5)  # length near one
            if self.absent_token is not None:
                init.zeros_(self.absent_token)
        elif isinstance(module, LearntPositions):
            module.reset()

    def _input_projections(self) -> Iterator[nn.Module]:
        return (
            child
            for name, child in self.shot_tokens.named_modules()
            if isinstance(child, nn.Linear) and name.startswith("projection")
        )

    def forward(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        present: torch.Tensor | None = None,
        masked: torch.Tensor | None = None,
        first_position: torch.Tensor | None = None,
        rows: torch.Tensor | None = None,
    ) -> MediaFMOutput:
        """Read titles and predict shots.

        Args:
            fused: `[b, n, d]` unit vectors; with learnt positions `n` is at most `max_shots`.
            global_: `[b, g]` metadata embeddings; zeros where a title has no metadata.
            present: `[b, n]` bool, False where a row is padding; None when nothing is padded.
            masked: `[b, n]` bool, True where `[MASK]` takes the shot's place, or `[b, n, m]` where
                it takes the place of single modalities, in the order of their columns.
            first_position: `[b]` int64, position of each sequence's first shot, 0 by default; only
                learnt positions read it.
            rows: `[b, k]` int64, the shots to predict; all by default.

        Returns:
            `shots` and `title` from the configured context layer. Rows of padding are meaningless.
        """
        states = self.hidden_states(fused, global_, present, masked, first_position)
        context = states[self.config.context_layer]  # [b, tokens, h]
        visible = fused.new_ones(fused.shape[:2], dtype=torch.bool) if present is None else present
        if masked is not None:
            masked = self._per_modality(masked)
            fused = self._fill(fused, masked, fused.new_zeros(fused.shape[-1]))
            visible = visible & ~masked.any(dim=-1)
        last = self.shot_tokens.shots(states[-1][:, SPECIAL_TOKENS:])  # [b, n, h]
        return MediaFMOutput(
            shots=self.shot_tokens.shots(context[:, SPECIAL_TOKENS:]),
            title=context[:, 0],
            reconstruction=self.prediction(last, fused, visible, rows),
        )

    def contextual(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        present: torch.Tensor | None = None,
        first_position: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What inference needs: `shots [b, n, h]` and `title [b, h]`, no layer beyond theirs."""
        states = self.hidden_states(
            fused,
            global_,
            present,
            first_position=first_position,
            layers=self.config.context_layer,
        )[-1]
        return self.shot_tokens.shots(states[:, SPECIAL_TOKENS:]), states[:, 0]

    def boundaries(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        present: torch.Tensor | None = None,
        first_position: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits `[b, n]` that a new scene starts at a shot, read off the contextual vectors.

        Raises:
            ValueError: the network was trained without a boundary head.
        """
        if self.boundary_head is None:
            raise ValueError(
                "This network has no boundary head: train with objective.boundary_weight above 0."
            )
        shots, _ = self.contextual(fused, global_, present, first_position)
        logits: torch.Tensor = self.boundary_head(shots)[..., 0]
        return logits

    def hidden_states(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        present: torch.Tensor | None = None,
        masked: torch.Tensor | None = None,
        first_position: torch.Tensor | None = None,
        layers: int | None = None,
    ) -> list[torch.Tensor]:
        """Embeddings, then the output of each of the first `layers` layers (all by default).

        Returns:
            `1 + layers` tensors `[b, 2 + n * tokens per shot, h]`; arguments as in `forward`.
        """
        batch = fused.shape[0]
        around = self._read_around(fused, present, masked)  # [b, n, h]
        if self.absent_token is not None:
            absent = [~fused[..., start:stop].any(dim=-1) for start, stop in self.modality_ranges]
            fused = self._fill(fused, torch.stack(absent, dim=-1), self.absent_token)
        if masked is not None:
            fused = self._fill(fused, self._per_modality(masked), self.mask_token)
        per_shot = self.shot_tokens.tokens_per_shot
        shots = self.shot_tokens(fused)
        if around is not None:
            shots = shots + around.repeat_interleave(per_shot, dim=1)
        tokens = torch.cat(
            [self.cls_token.expand(batch, 1, -1), self.global_projection(global_)[:, None], shots],
            dim=1,
        )  # [b, 2 + n * k, h]
        hidden = self.dropout(self.norm(self.positions.embed(tokens, per_shot, first_position)))
        attention_mask = self._attention_mask(hidden, present)
        states = [hidden]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], attention_mask))
        return states

    def _read_around(
        self, fused: torch.Tensor, present: torch.Tensor | None, masked: torch.Tensor | None
    ) -> torch.Tensor | None:
        """What each token is told of the shots around it, `[b, n, h]`; hidden shots are absent."""
        if masked is not None:
            nothing = fused.new_zeros(fused.shape[-1])
            fused = self._fill(fused, self._per_modality(masked), nothing)
        told: torch.Tensor | None = None
        if self.structure is not None and self.structure_projection is not None:
            told = self.structure_projection(self.structure(fused, present))
        if self.surroundings is not None:
            shown = self.surroundings(fused, present)
            told = shown if told is None else told + shown
        return told

    def _per_modality(self, masked: torch.Tensor) -> torch.Tensor:
        """`[b, n]` or `[b, n, m]` as `[b, n, m]`."""
        if masked.ndim == 3:
            return masked
        return masked[..., None].expand(-1, -1, len(self.modality_ranges))

    def _fill(self, fused: torch.Tensor, where: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Fused vectors with the columns of `value [d]` where `[b, n, m]` says so."""
        parts = []
        for i, (start, stop) in enumerate(self.modality_ranges):
            replaced = value[start:stop].to(fused.dtype)
            parts.append(torch.where(where[..., i, None], replaced, fused[..., start:stop]))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _attention_mask(
        self, hidden: torch.Tensor, present: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Terms of attention scores: of positions, and so that nothing attends to padding.

        None when there are neither, which permits the fastest kernels.
        """
        per_shot = self.shot_tokens.tokens_per_shot
        bias = self.positions.bias(hidden, per_shot)  # [1, heads, tokens, tokens]
        if present is None:
            return bias
        special = present.new_ones(present.shape[0], SPECIAL_TOKENS)
        tokens = torch.cat([special, present.repeat_interleave(per_shot, dim=1)], dim=1)
        if bias is None:
            bias = hidden.new_zeros((), dtype=attention_dtype(hidden))
        return bias.masked_fill(~tokens[:, None, None, :], float("-inf"))
