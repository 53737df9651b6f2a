"""Shape of the network and the fused space that it was trained in, as `config.json` keeps it.

Names are those of transformers where it has one. Imports transformers: import this module only
where a network is really used.
"""

from itertools import pairwise
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace


@strict
class MediaFMConfig(PreTrainedConfig):
    """Configuration of a `MediaFM` network; the choices are explained at `ModelSettings`.

    `max_shots` is the longest sequence of training and the window of inference. `fused_ranges`
    gives each modality's columns in the fused vector as `[start, stop]`, `encoder_identities` what
    computed them. `attention_slopes` are `[heads, 2]` (to shots before, to shots after), see
    `mediafm_core.model.positions`. `context_layer` is the number of layers that a contextual vector
    has passed through.
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
    layer_norm_eps: float = 1e-5  # of a variance: no input is scaled up more than 316 times
    initializer_range: float = 0.02
    is_decoder: bool = False
    add_cross_attention: bool = False
    context_layer: int = 3
    fusion: str = "concatenation"
    positions: str = "relative"
    prediction: str = "copy"
    absent: str = "zeros"
    boundary_head: bool = False
    structure: bool = False
    surroundings: int = 0
    attention_slopes: list[Any] | None = None
    fused_ranges: dict[str, Any] | None = None
    encoder_identities: dict[str, Any] | None = None

    @classmethod
    def from_settings(
        cls,
        settings: ModelSettings,
        fused_size: int,
        global_size: int,
        space: FusedSpace | None = None,
        boundary_head: bool = False,
    ) -> "MediaFMConfig":
        """Make the configuration of a network from the settings.

        Args:
            settings: shape of the network.
            fused_size: width of the fused vectors.
            global_size: width of the metadata vectors.
            space: encoders and columns of the fused vectors, where they are recorded.
            boundary_head: add a head that predicts where scenes start.
        """
        from mediafm_core.model.positions import attention_slopes

        space = space or FusedSpace()
        relative = settings.positions == "relative"
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
            context_layer=settings.context_layer or max(1, settings.layers - 1),
            fusion=settings.fusion,
            positions=settings.positions,
            prediction=settings.prediction,
            absent=settings.missing_modality,
            boundary_head=boundary_head,
            structure=settings.novelty,
            surroundings=settings.neighbour_means,
            attention_slopes=attention_slopes(settings.heads) if relative else None,
            fused_ranges={name: list(columns) for name, columns in space.ranges.items()},
            encoder_identities=dict(space.encoders),
        )

    @property
    def fused_space(self) -> FusedSpace:
        """The space of the vectors that the network reads; empty where none was recorded."""
        ranges = {name: (start, stop) for name, (start, stop) in (self.fused_ranges or {}).items()}
        return FusedSpace(self.encoder_identities or {}, ranges, self.global_size)

    @property
    def modality_ranges(self) -> list[tuple[int, int]]:
        """Columns `(start, stop)` of each modality in order; the whole vector where none is named.

        Raises:
            ValueError: the ranges are no partition of the fused vector.
        """
        ranges = sorted((start, stop) for start, stop in (self.fused_ranges or {}).values())
        if not ranges:
            return [(0, self.fused_size)]
        ends = [(0, 0), *ranges, (self.fused_size, self.fused_size)]
        if any(before[1] != after[0] for before, after in pairwise(ends)):
            raise ValueError(
                f"fused_ranges {self.fused_ranges} do not partition a vector of {self.fused_size}."
            )
        return ranges
