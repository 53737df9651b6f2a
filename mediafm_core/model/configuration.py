"""Shape of the network and the fused space that it was trained in, as stored in `config.json`.

Fields have the names of transformers where it has them. Imports transformers: import this module
only where a network is used.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace

SPECIAL_TOKENS = 2  # [CLS] and [GLOBAL], in this order before the shots

# Attention slopes, per shot: half the weight after 0.7 and after 22 shots.
_STEEPEST, _FLATTEST = 1.0, 1 / 32

# Of the contextual vectors of a network that reads in two directions.
AGREEMENT_WIDTH = 96  # products of the past's and the future's directions
AGREEMENT_DISTANCES = (0, 1, 2, 4)  # shots between both; 0 once, the others either way

NOVELTY_REACHES = (1, 2, 4, 8)  # shots; each twice the one before, see `novelty`
NOVELTY_BAND_EDGES = (0, 16, 64, 256)  # principal components
_NOVELTY_MEASURES = 3 * len(NOVELTY_REACHES) - 2  # features of each band

_READINGS = ("bidirectional", "two_directions")


@strict
class MediaFMConfig(PreTrainedConfig):
    """Configuration of a `MediaFM` network; `ModelSettings` explains the choices.

    `max_shots` is the longest sequence of training and the window of inference. `fused_ranges`
    gives each modality's columns in the fused vector as `[start, stop]`, `encoder_identities` their
    encoders. `attention_slopes`, one for each head, and the fields about input, boundary head and
    novelty belong to a network that reads in two directions.

    Stored configurations have the first name of `novelty`; code uses the name of the setting.
    """

    model_type = "mediafm"
    attribute_map: ClassVar[dict[str, str]] = {"novelty": "structure"}
    if TYPE_CHECKING:
        novelty: ClassVar[bool]

    # `from_settings` gives all values. A default holds where `config.json` lacks the field, and for
    # the empty configuration that transformers compares with: the rates of dropout are those of its
    # `BertConfig`, and optional parts are off, because such a file has no weights of them.
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
    boundary_head: bool = False
    structure: bool = False
    attention: str = "two_directions"
    input_components: int = 128
    input_dropout_prob: float = 0.0
    modality_dropout_prob: float = 0.0
    attention_slopes: list[float] | None = None
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
            boundary_head: add a head that predicts where scenes start, if the network reads in
                two directions.
        """
        space = space or FusedSpace()
        both_ways = settings.attention == "two_directions"
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
            boundary_head=both_ways and boundary_head,
            structure=both_ways and settings.novelty,
            attention=settings.attention,
            input_components=settings.input_components,
            input_dropout_prob=settings.input_dropout if both_ways else 0.0,
            modality_dropout_prob=settings.modality_dropout if both_ways else 0.0,
            attention_slopes=attention_slopes(settings.heads) if both_ways else None,
            fused_ranges={name: list(columns) for name, columns in space.ranges.items()},
            encoder_identities=dict(space.encoders),
        )

    def check_attention(self) -> None:
        """Refuse a kind of attention that there is not.

        Raises:
            ValueError: names the value and the choices.
        """
        if self.attention not in _READINGS:
            choices = " or ".join(_READINGS)
            raise ValueError(f"attention is {self.attention!r}: choose {choices}.")

    @property
    def context_size(self) -> int:
        """Width of contextual vectors, and of the title's vector."""
        if not self.reads_two_directions:
            return self.hidden_size
        agreement = AGREEMENT_WIDTH + 2 * len(AGREEMENT_DISTANCES) - 1
        novelty = novelty_size(self.modality_ranges) if self.novelty else 0
        return 2 * self.hidden_size + agreement + novelty

    @property
    def context_layer(self) -> int:
        """Layers that a contextual vector of the published network has passed: all but the last.

        The blog does not name the layer. The last one is specialised in prediction.
        """
        return max(1, self.num_hidden_layers - 1)

    @property
    def reads_two_directions(self) -> bool:
        """True if titles are read forward and backward, each time without what comes later."""
        return self.attention == "two_directions"

    @property
    def fused_space(self) -> FusedSpace:
        """The space of the vectors that the network reads; empty where none was recorded."""
        ranges = {name: (start, stop) for name, (start, stop) in (self.fused_ranges or {}).items()}
        return FusedSpace(self.encoder_identities or {}, ranges, self.global_size)

    @property
    def modality_ranges(self) -> list[tuple[int, int]]:
        """Columns `(start, stop)` of each modality in order, or of the whole vector without ranges.

        Raises:
            ValueError: the ranges do not partition the fused vector.
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


def attention_slopes(heads: int) -> list[float]:
    """Compute how fast each head's attention falls per shot of distance.

    Attention scores fall linearly with the distance in shots, as in ALiBi (arXiv 2108.12409), to
    the shots read before. Nothing depends on the shot's number: titles of any length are read with
    the same weights. A quarter of the heads read everything evenly, the others from the last shots
    to about twenty.
    """
    even = max(1, heads // 4) if heads > 1 else 0
    near = heads - even
    ratio = (_FLATTEST / _STEEPEST) ** (1 / max(1, near - 1))
    return [0.0] * even + [_STEEPEST * ratio**i for i in range(near)]


def novelty_size(ranges: Sequence[tuple[int, int]]) -> int:
    """Return the number of novelty features of modalities with these columns."""
    bands = [sum(low < stop - start for low in NOVELTY_BAND_EDGES[:-1]) for start, stop in ranges]
    return _NOVELTY_MEASURES * sum(bands)
