"""Bounds of a model's configuration, checked before a network of its shape is built.

A model's folder is untrusted. Its numbers decide how much memory is allocated, so each has a bound
far above any useful network, and the numbers must be consistent. `mediafm_core.model.saved_model`
compares the tensors that they imply with the header of the weights.

Imports no torch, so that models can be listed and compared quickly.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mediafm_core.errors import ConfigurationError

Width = Annotated[int, Field(ge=1, le=65_536)]
Columns = Annotated[int, Field(ge=0, le=65_536)]
Share = Annotated[float, Field(ge=0, lt=1)]
Slope = Annotated[float, Field(ge=0, le=1e6)]
Name = Annotated[str, Field(max_length=200)]

_SHOWN = 20  # characters of an unusable value in a message
_NAME_SHOWN = 40  # characters of a field's name in a message


class Bounds(BaseModel):
    """The fields of `MediaFMConfig` with their types and bounds; booleans are no numbers.

    Fields that are not listed belong to transformers: they are neither checked nor passed to the
    network.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    model_type: Literal["mediafm"]
    fused_size: Width
    global_size: Width
    max_shots: int = Field(ge=1, le=1 << 20)
    hidden_size: Width
    num_hidden_layers: int = Field(ge=1, le=512)
    num_attention_heads: int = Field(ge=1, le=1024)
    intermediate_size: Width
    hidden_act: Literal["gelu"]
    hidden_dropout_prob: Share
    attention_probs_dropout_prob: Share
    layer_norm_eps: float = Field(gt=0, le=1)
    initializer_range: float = Field(ge=0, le=10)
    is_decoder: Literal[False]
    add_cross_attention: Literal[False]
    boundary_head: bool
    structure: bool
    attention: Literal["bidirectional", "two_directions"]
    input_components: Width
    input_dropout_prob: Share
    modality_dropout_prob: Share
    attention_slopes: list[Slope] | None = None
    fused_ranges: dict[Name, Annotated[list[Columns], Field(min_length=2, max_length=2)]] | None = (
        None
    )
    encoder_identities: dict[Name, Name] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size is {self.hidden_size}, which {self.num_attention_heads} heads do not "
                "divide"
            )
        slopes = self.attention_slopes
        if slopes and len(slopes) != self.num_attention_heads:
            raise ValueError(
                f"attention_slopes has {len(slopes)} numbers for {self.num_attention_heads} heads"
            )
        ends = [[0, 0], *sorted((self.fused_ranges or {}).values())]
        ends.append([self.fused_size, self.fused_size])
        if self.fused_ranges and (
            any(one[1] != next_[0] for one, next_ in pairwise(ends))
            or any(start >= stop for start, stop in self.fused_ranges.values())
        ):
            raise ValueError(f"fused_ranges do not partition a vector of {self.fused_size}")
        return self


def checked_configuration(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return MediaFM's own fields of a `config.json`, checked.

    Args:
        path: of the file, for the error.
        settings: its content.

    Raises:
        ConfigurationError: a field is missing, of another type or out of bounds, with its value.
    """
    try:
        return Bounds.model_validate(settings).model_dump()
    except ValidationError as error:
        raise ConfigurationError(
            f"{path} has an unusable value ({fault_in_words(error)}): copy the model again."
        ) from None


def fault_in_words(error: ValidationError) -> str:
    """Return the first fault of a validation as `field is value (reason)`."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":
        return str(first["msg"].removeprefix("Value error, "))
    field = ".".join(str(part)[:_NAME_SHOWN] for part in first["loc"])
    if first["type"] == "missing":
        return f"{field} is missing"
    value = repr(first["input"])
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    reason = first["msg"].removeprefix("Input ")
    return f"{field} is {shown} and {reason}"
