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

    hidden: PositiveInt = Field(
        256, le=16_384, description="width of the layers; contextual vectors follow from it"
    )
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
    novelty: bool = Field(
        True,
        description="two_directions: add novelty (self-similarity) features to the contextual "
        "vectors",
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
