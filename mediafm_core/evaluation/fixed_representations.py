"""Representations without a network and without anything fitted, the same for every fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.vectors import unit_length

FIXED = ("flat", "late_fusion", "neighbours", "similarities")
SIMILARITIES_OF = "similarities_"
"""Beginning of the name of the similarities of one modality."""

_BEFORE, _FROM = 4, 5  # shots before the unit's start and from it on, compared in pairs


@dataclass
class FixedRepresentation:
    """A representation without a network, the same for every fold.

    Attributes:
        name: Name of the representation.
        units: Units that it describes.
        by: Functions that compute the vectors of a title's units, one per part.
    """

    name: str
    units: Units
    by: Sequence[Callable[[TitleUnits], np.ndarray]]
    _parts: list[np.ndarray] | None = field(default=None, repr=False)

    def parts(self, fold: int) -> list[np.ndarray]:  # noqa: ARG002
        """Return the vectors, computed by the first call and kept as long as this object."""
        if self._parts is None:
            self._parts = [self.units.describe(each) for each in self.by]
        return self._parts


def fixed_representation(name: str, units: Units) -> FixedRepresentation | None:
    """Return the representation of a name; None for one that needs a network or is unknown."""
    modalities = {each: _modality(columns) for each, columns in units.ranges.items()}
    of: dict[str, list[Callable[[TitleUnits], np.ndarray]]] = {
        **{each: [describe] for each, describe in modalities.items()},
        "flat": [_flat],
        "late_fusion": list(modalities.values()),
        "neighbours": [_neighbours],
        "similarities": [lambda title: _similarities(title, title.fused)],
    }
    if len(units.ranges) > 1:
        of |= {
            f"{SIMILARITIES_OF}{each}": [_similarities_of(columns)]
            for each, columns in units.ranges.items()
        }
    return FixedRepresentation(name, units, of[name]) if name in of else None


def _modality(columns: tuple[int, int]) -> Callable[[TitleUnits], np.ndarray]:
    return lambda title: title.pool(unit_length(title.fused[:, slice(*columns)]))


def _flat(title: TitleUnits) -> np.ndarray:
    return title.pool(title.fused)


def _neighbours(title: TitleUnits) -> np.ndarray:
    """Concatenate the shot before, the unit and the shot after, `[k, 3 d]`; zeros at the ends."""
    edge = np.zeros_like(title.fused[:1])
    shots = np.concatenate([edge, title.fused, edge])  # shot i at i + 1
    first, stop = title.spans.T
    return np.concatenate([shots[first], _flat(title), shots[stop + 1]], axis=1)


def _similarities_of(columns: tuple[int, int]) -> Callable[[TitleUnits], np.ndarray]:
    return lambda title: _similarities(title, unit_length(title.fused[:, slice(*columns)]))


def _similarities(title: TitleUnits, vectors: np.ndarray) -> np.ndarray:
    """Compute cosines across the start of each unit, `[k, 20]`.

    Beyond the ends of a title, its first and last shot are repeated. With zeros, the ends of titles
    would look like scene boundaries, which would put this baseline at a disadvantage. A shot
    without a vector has a cosine of zero with every other.

    Args:
        title: A title and its units.
        vectors: `[s, w]`, vectors of its shots, of unit length.
    """
    shots = np.pad(vectors, ((_BEFORE, _FROM), (0, 0)), mode="edge")
    first = title.spans[:, 0] + _BEFORE
    cosines = [
        np.einsum("ij,ij->i", shots[first - back], shots[first + on])
        for back in range(1, _BEFORE + 1)
        for on in range(_FROM)
    ]
    return np.stack(cosines, axis=1)
