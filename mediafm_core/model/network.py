"""The MediaFM network: a BERT-like Transformer over the shots of one title.

    fused [n, d] -> linear -> [CLS] [GLOBAL] shot 1 ... shot n -> + positions -> BERT layers
                 -> contextual shots [n, h], title [h] ([CLS]) -> linear -> reconstruction [n, d]

After Netflix's technology blog, "MediaFM: The Multimodal AI Foundation for Media Understanding at
Netflix", 23 February 2026. Where the blog is silent we chose:

- `[MASK]` is a vector of the fused space and replaces a shot before the projection. It then has one
  part per modality, so that masking a single modality is the same operation on fewer columns.
- Positions count shots from the start of the sequence, after the two for `[CLS]` and `[GLOBAL]`.
  They are learnt, and start as the sinusoids of "Attention Is All You Need" (arXiv 1706.03762) in
  place of noise: neighbours are then recognisable from the first step, which is what makes training
  on a few titles possible.
- Layers are those of BERT (arXiv 1810.04805) as transformers has them: normalisation after each
  residual sum, GELU, dropout.

Imports torch and transformers: import this module only where a network is really used.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.bert.modeling_bert import BertLayer

from mediafm_core.config import ModelSettings

SPECIAL_TOKENS = 2  # [CLS] and [GLOBAL], in this order before the shots


@strict
class MediaFMConfig(PreTrainedConfig):
    """Shape of the network and the fused space that it was trained in; saved as `config.json`.

    Names are those of transformers where it has one. `fused_ranges` gives each modality's columns
    in the fused vector as `[start, stop]`, `encoder_identities` what computed them. `context_layer`
    is the number of layers that a contextual vector has passed through.
    """

    model_type = "mediafm"

    fused_size: int = 2176
    global_size: int = 384
    max_shots: int = 512
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    is_decoder: bool = False
    add_cross_attention: bool = False
    context_layer: int = 4
    fused_ranges: dict[str, Any] | None = None
    encoder_identities: dict[str, Any] | None = None

    @classmethod
    def from_settings(
        cls,
        settings: ModelSettings,
        fused_size: int,
        global_size: int,
        ranges: Mapping[str, tuple[int, int]] | None = None,
        identities: Mapping[str, str] | None = None,
    ) -> "MediaFMConfig":
        """The configuration for a fused space of `fused_size` and metadata of `global_size`."""
        return cls(
            fused_size=fused_size,
            global_size=global_size,
            max_shots=settings.max_shots,
            hidden_size=settings.hidden,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=settings.feed_forward,
            hidden_dropout_prob=settings.dropout,
            attention_probs_dropout_prob=settings.dropout,
            context_layer=settings.context_layer or settings.layers,
            fused_ranges={name: list(span) for name, span in (ranges or {}).items()},
            encoder_identities=dict(identities or {}),
        )


class MediaFMOutput(NamedTuple):
    """What the network says about a batch of titles."""

    shots: torch.Tensor  # [b, n, h] contextual embedding per shot
    title: torch.Tensor  # [b, h] the [CLS] token
    reconstruction: torch.Tensor  # [b, n, d] prediction of each shot's fused vector, not normed


class MediaFM(PreTrainedModel):
    """The network. Load a trained one with `mediafm_core.model.checkpoint.load_model`."""

    config: MediaFMConfig
    config_class = MediaFMConfig
    base_model_prefix = "mediafm"
    main_input_name = "fused"
    _supports_sdpa = True
    _no_split_modules = ["BertLayer"]  # noqa: RUF012 - declared so by transformers

    def __init__(self, config: MediaFMConfig) -> None:
        super().__init__(config)
        hidden = config.hidden_size
        self.input_projection = nn.Linear(config.fused_size, hidden)
        self.global_projection = nn.Linear(config.global_size, hidden)
        self.cls_token = nn.Parameter(torch.empty(hidden))
        self.mask_token = nn.Parameter(torch.empty(config.fused_size))
        self.positions = nn.Embedding(SPECIAL_TOKENS + config.max_shots, hidden)
        self.norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(
            BertLayer(config, layer_idx=index) for index in range(config.num_hidden_layers)
        )
        self.output_projection = nn.Linear(hidden, config.fused_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module in (self.input_projection, self.global_projection):
            # The vectors have unit length; content starts out ten times as large as positions.
            init.normal_(module.weight, std=10 * self.config.initializer_range)
        elif module is self:
            init.normal_(self.cls_token, std=self.config.initializer_range)
            init.normal_(self.mask_token, std=self.config.fused_size**-0.5)  # length near one
        elif module is self.positions:
            init.copy_(module.weight, _sinusoids(*module.weight.shape))

    def forward(
        self,
        fused: torch.Tensor,
        global_: torch.Tensor,
        present: torch.Tensor | None = None,
        masked: torch.Tensor | None = None,
        first_position: torch.Tensor | None = None,
    ) -> MediaFMOutput:
        """Read titles and predict every shot.

        Args:
            fused: `[b, n, d]` unit vectors, `n` at most `max_shots`.
            global_: `[b, g]` metadata embeddings; zeros where a title has no metadata.
            present: `[b, n]` bool, False where a row is padding; None when nothing is padded.
            masked: `[b, n]` bool, True where `[MASK]` takes the shot's place.
            first_position: `[b]` int64, position of each sequence's first shot, 0 by default.

        Returns:
            `shots` and `title` from the configured context layer. Rows of padding are meaningless.
        """
        states = self.hidden_states(fused, global_, present, masked, first_position)
        context = states[self.config.context_layer]  # [b, 2 + n, h]
        return MediaFMOutput(
            shots=context[:, SPECIAL_TOKENS:],
            title=context[:, 0],
            reconstruction=self.output_projection(states[-1][:, SPECIAL_TOKENS:]),
        )

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
            `1 + layers` tensors `[b, 2 + n, h]`; arguments as in `forward`.
        """
        batch, count, _ = fused.shape
        if masked is not None:
            fused = torch.where(masked[..., None], self.mask_token.to(fused.dtype), fused)
        tokens = torch.cat(
            [
                self.cls_token.expand(batch, 1, -1),
                self.global_projection(global_)[:, None],
                self.input_projection(fused),
            ],
            dim=1,
        )  # [b, 2 + n, h]
        hidden = tokens + self.positions(self._position_ids(batch, count, first_position))
        hidden = self.dropout(self.norm(hidden))
        attention_mask = self._attention_mask(hidden, present)
        states = [hidden]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], attention_mask))
        return states

    def _position_ids(
        self, batch: int, count: int, first_position: torch.Tensor | None
    ) -> torch.Tensor:
        device = self.positions.weight.device
        special = torch.arange(SPECIAL_TOKENS, device=device).expand(batch, -1)
        shots = SPECIAL_TOKENS + torch.arange(count, device=device).expand(batch, -1)
        if first_position is not None:
            shots = shots + first_position[:, None]
        return torch.cat([special, shots], dim=1)  # [b, 2 + n]

    def _attention_mask(
        self, hidden: torch.Tensor, present: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Nothing attends to padding; None when there is none, which permits faster kernels."""
        if present is None:
            return None
        special = present.new_ones(present.shape[0], SPECIAL_TOKENS)
        mask = create_bidirectional_mask(
            config=self.config,
            inputs_embeds=hidden,
            attention_mask=torch.cat([special, present], dim=1),
        )
        return cast(torch.Tensor | None, mask)


def _sinusoids(count: int, width: int, scale: float = 0.02) -> torch.Tensor:
    """Sinusoidal positions `[count, width]` of about the size of BERT's initial embeddings."""
    position = torch.arange(count, dtype=torch.float32)[:, None]
    frequency = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    angle = position * frequency  # [count, ceil(width / 2)]
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    return waves * (scale * 2**0.5)
