"""The fused space: the encoders whose vectors are fused, and the columns that each of them fills.

Vectors of two spaces never meet in one table, one comparison or one forward pass. Every refusal
takes its words from `FusedSpace.mismatch`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Columns = tuple[int, int]
"""Half-open range `[start, stop)` of columns."""


@dataclass(frozen=True)
class FusedSpace:
    """Layout of fused vectors, and of the metadata vectors that a model reads beside them.

    Attributes:
        encoders: identity of each modality's encoder.
        ranges: columns `[start, stop)` of each modality in the fused vectors.
        metadata_width: width of a title's metadata vector; None where it is not recorded.
    """

    encoders: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, Columns] = field(default_factory=dict)
    metadata_width: int | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "FusedSpace":
        """Read the space that a model was trained in from its `config.json`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: the configuration names no space.
        """
        return cls(
            encoders={name: str(found) for name, found in config["encoder_identities"].items()},
            ranges=_columns(config["fused_ranges"]),
            metadata_width=int(config["global_size"]),
        )

    @classmethod
    def from_record(cls, details: Mapping[str, Any]) -> "FusedSpace":
        """Read the space of a title's fused vectors from the `details` of their record."""
        return cls(encoders=dict(details["encoders"]), ranges=_columns(details["ranges"]))

    def mismatch(self, other: "FusedSpace") -> str | None:
        """Name the first difference from another space, such as "audio encoder A against B".

        Returns:
            A phrase for an error message, this space's value first; None where the vectors of
            both are compatible. Widths are compared where both are recorded.
        """
        compared: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...] = (
            ("encoder", self.encoders, other.encoders),
            ("columns", _columns(self.ranges), _columns(other.ranges)),
        )
        for what, own, others in compared:
            for modality in sorted({*own, *others}):
                if own.get(modality) != others.get(modality):
                    return f"{modality} {what} {own.get(modality)} against {others.get(modality)}"
        if (
            None not in (self.metadata_width, other.metadata_width)
            and self.metadata_width != other.metadata_width
        ):
            return f"metadata vectors of width {self.metadata_width} against {other.metadata_width}"
        return None


def _columns(ranges: Mapping[str, Any]) -> dict[str, Columns]:
    return {name: (int(start), int(stop)) for name, (start, stop) in ranges.items()}
