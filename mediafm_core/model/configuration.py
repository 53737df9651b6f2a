"""Shape of the network and the fused space that it was trained in, as stored in `config.json`.

Fields have the names of transformers where it has them. Imports transformers: import this module
only where a network is used.
"""

from collections.abc import Sequence
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace

SPECIAL_TOKENS = 2  # [CLS] and [GLOBAL], in this order before the shots

# Attention slopes, per shot: half the weight after 1.4 and after 22 shots.
_STEEPEST, _FLATTEST = 1 / 2, 1 / 32
_LEANING = 8.0  # a leaning head reaches so many times as far to its own side
_STEEPEST_CAUSAL = 1.0  # of a network that reads in two directions

# Of the contextual vectors of a network that reads in two directions.
AGREEMENT_WIDTH = 96  # products of the past's and the future's directions
AGREEMENT_DISTANCES = (0, 1, 2, 4)  # shots between both; 0 once, the others either way

NOVELTY_REACHES = (1, 2, 4, 8)  # shots; each twice the one before, see `novelty`
NOVELTY_BAND_EDGES = (0, 16, 64, 256)  # principal components
_NOVELTY_MEASURES = 3 * len(NOVELTY_REACHES) - 2  # features of each band

_CHOICES = {
    "attention": ("bidirectional", "two_directions"),
    "fusion": ("concatenation", "gate", "tokens"),
    "positions": ("relative", "learnt"),
    "prediction": ("copy", "linear", "both"),
    "absent": ("zeros", "learnt"),
}


@strict
class MediaFMConfig(PreTrainedConfig):
    """Configuration of a `MediaFM` network; `ModelSettings` explains the choices.

    `max_shots` is the longest sequence of training and the window of inference. `fused_ranges`
    gives each modality's columns in the fused vector as `[start, stop]`, `encoder_identities` their
    encoders. `attention_slopes` are `[heads, 2]` (to shots before, to shots after), see
    `attention_slopes` below. `context_layer` is the number of layers that a contextual vector has
    passed through.

    `input_components`, `input_dropout_prob` and `modality_dropout_prob` belong to the input of a
    network that reads in two directions (`mediafm_core.model.two_directions`).

    Stored configurations keep the first names of three settings; code uses the names of
    `attribute_map`, which are those of the settings.
    """

    model_type = "mediafm"
    attribute_map: ClassVar[dict[str, str]] = {
        "missing_modality": "absent",
        "novelty": "structure",
        "neighbour_means": "surroundings",
    }
    if TYPE_CHECKING:
        missing_modality: ClassVar[str]
        novelty: ClassVar[bool]
        neighbour_means: ClassVar[int]

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
    context_layer: int = 3
    fusion: str = "concatenation"
    positions: str = "relative"
    prediction: str = "copy"
    absent: str = "zeros"
    boundary_head: bool = False
    structure: bool = False
    surroundings: int = 0
    attention: str = "bidirectional"
    input_components: int = 128
    input_dropout_prob: float = 0.0
    modality_dropout_prob: float = 0.0
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
        space = space or FusedSpace()
        both_ways = settings.attention == "two_directions"
        relative = settings.positions == "relative"
        slopes = one_sided_slopes if both_ways else attention_slopes
        layer = settings.layers if both_ways else max(1, settings.layers - 1)
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
            context_layer=settings.context_layer or layer,
            fusion=settings.fusion,
            positions=settings.positions,
            prediction=settings.prediction,
            absent="zeros" if both_ways else settings.missing_modality,
            boundary_head=boundary_head,
            structure=settings.novelty,
            surroundings=0 if both_ways else settings.neighbour_means,
            attention=settings.attention,
            input_components=settings.input_components,
            input_dropout_prob=settings.input_dropout if both_ways else 0.0,
            modality_dropout_prob=settings.modality_dropout if both_ways else 0.0,
            attention_slopes=slopes(settings.heads) if relative else None,
            fused_ranges={name: list(columns) for name, columns in space.ranges.items()},
            encoder_identities=dict(space.encoders),
        )

    def check_choices(self) -> None:
        """Refuse values that name no part of the network.

        Raises:
            ValueError: names the field, its value and the choices.
        """
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}.")

    @property
    def context_size(self) -> int:
        """Width of contextual vectors, and of the title's vector."""
        if not self.reads_two_directions:
            return self.hidden_size
        agreement = AGREEMENT_WIDTH + 2 * len(AGREEMENT_DISTANCES) - 1
        novelty = novelty_size(self.modality_ranges) if self.novelty else 0
        return 2 * self.hidden_size + agreement + novelty

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


def attention_slopes(heads: int) -> list[list[float]]:
    """Compute how fast each head's attention falls per shot of distance (relative positions).

    Attention scores fall linearly with the distance in shots, as in ALiBi (arXiv 2108.12409), at
    one rate for shots before and one for shots after: a quarter of the heads read the whole title
    evenly, the others lean to shots before, to shots after, or to both sides, near or far.
    Neighbours are distinguished before the first step, and nothing depends on the shot's number:
    titles of any length are read with the same weights. `[CLS]` and `[GLOBAL]` are at no distance
    to any shot. On 15 films of the Open Video Scene Detection set (five held out, 200 steps) masked
    shots were predicted to a cosine distance of 0.298 with it and of 0.326 with learnt positions.

    Returns:
        `[heads, 2]`: to shots before and to shots after; zeros for a head that reads everything.
    """
    even = max(1, heads // 4) if heads > 1 else 0
    sided = heads - even
    reaches = -(-sided // 3)
    ratio = (_FLATTEST / _STEEPEST) ** (1 / (reaches + 1))
    slopes = [[0.0, 0.0] for _ in range(even)]
    sides = cycle(((1.0, _LEANING), (_LEANING, 1.0), (1.0, 1.0)))
    for i, (before, after) in zip(range(sided), sides, strict=False):
        slope = _STEEPEST * ratio ** (i // 3 + 1)
        slopes.append([slope * before, slope * after])
    return slopes


def default_slopes(config: MediaFMConfig) -> list[list[float]]:
    """Return the slopes of a configuration that has none."""
    slopes = one_sided_slopes if config.reads_two_directions else attention_slopes
    return slopes(config.num_attention_heads)


def one_sided_slopes(heads: int) -> list[list[float]]:
    """Compute how fast each head's attention falls per shot, for reading in two directions.

    Each direction sees only what it has read, so heads differ in reach alone: a quarter of them
    read everything evenly, the others from the last shots to about twenty.

    Returns:
        `[heads, 2]`: forward and backward, which are the same.
    """
    even = max(1, heads // 4) if heads > 1 else 0
    near = heads - even
    ratio = (_FLATTEST / _STEEPEST_CAUSAL) ** (1 / max(1, near - 1))
    return [[0.0, 0.0]] * even + [[_STEEPEST_CAUSAL * ratio**i] * 2 for i in range(near)]


def novelty_size(ranges: Sequence[tuple[int, int]]) -> int:
    """Return the number of novelty features of modalities with these columns."""
    bands = [sum(low < stop - start for low in NOVELTY_BAND_EDGES[:-1]) for start, stop in ranges]
    return _NOVELTY_MEASURES * sum(bands)
