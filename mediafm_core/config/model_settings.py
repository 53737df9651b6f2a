"""Settings of the network's shape."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from mediafm_core.config.section import Section


class ModelSettings(Section):
    """The MediaFM Transformer. The default trains in one to two minutes on two cores.

    A size such as the published one: hidden 768, layers 12, heads 12 (our reading: the blog gives
    neither depth nor width).
    """

    section: ClassVar[str] = "model"

    hidden: PositiveInt = Field(256, le=16_384, description="width: of every contextual vector too")
    layers: PositiveInt = Field(4, le=256, description="Transformer layers")
    heads: PositiveInt = Field(4, le=256, description="attention heads per layer; divides `hidden`")
    feed_forward: PositiveInt = Field(
        1024, le=131_072, description="width of the feed-forward layers"
    )
    attention: Literal["bidirectional", "two_directions"] = Field(
        "two_directions",
        description="reading of a title: forward and backward, so that past and future of each "
        "shot can be compared, or as published, where every shot attends to all others",
    )
    dropout: float = Field(
        0.1, ge=0.0, lt=1.0, description="dropout of attention and of the layers' outputs"
    )
    max_shots: PositiveInt = Field(
        512, le=65_536, description="longest sequence of shots in one pass"
    )
    context_layer: PositiveInt | None = Field(
        None,
        le=256,
        description="layer whose output is the contextual vectors; by default the last but one",
    )
    fusion: Literal["concatenation", "gate", "tokens"] = Field(
        "concatenation",
        description="input of a fused vector: one token per shot, one with a learnt gate per "
        "modality, or one token per modality and shot",
    )
    positions: Literal["relative", "learnt"] = Field(
        "relative",
        description="relative distances in attention, for titles of any length, or a vector per "
        "position",
    )
    prediction: Literal["copy", "linear", "both"] = Field(
        "copy",
        description="prediction of masked shots: copied from visible ones by attention, by a "
        "linear map as published, or the sum; `both` for catalogues of many thousand titles",
    )
    missing_modality: Literal["zeros", "learnt"] = Field(
        "zeros", description="value of a modality that a shot lacks: zeros, or a learnt vector"
    )
    neighbour_means: int = Field(
        2,
        ge=0,
        le=256,
        description="number of neighbours on each side whose mean is added to a shot; 0 disables "
        "it",
    )
    novelty: bool = Field(
        True,
        description="add novelty (self-similarity) features: to the input, or with two_directions "
        "to the contextual vectors",
    )
    input_components: PositiveInt = Field(
        128,
        le=65_536,
        description="two_directions: leading principal components of each modality that are read",
    )
    input_dropout: float = Field(
        0.1,
        ge=0.0,
        lt=1.0,
        description="two_directions: fraction of the input's numbers that are dropped in training",
    )
    modality_dropout: float = Field(
        0.15,
        ge=0.0,
        lt=1.0,
        description="two_directions: fraction of the shots' modalities that are dropped in "
        "training",
    )
