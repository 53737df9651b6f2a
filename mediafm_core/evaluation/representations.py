"""Representations of units that an evaluation compares, by name.

    <modality>      one modality alone
    flat            the fused vector: modalities concatenated, no context
    late_fusion     a probe for each modality, whose scores are averaged
    neighbours      the shot before, the unit and the shot after, side by side
    similarities    cosines between each of the 4 shots before and each of the 5 from the unit on
    alone           MediaFM's vectors from the unit's shots only
    in_context      MediaFM's vectors from the whole title
    prefix          MediaFM's vectors from the title's shots up to the unit's end
    title           MediaFM's vector of the whole title

and ablations of `in_context`:

    published                               a network trained with the preset of this name
    in_context_zeroed_<modality>            the same network, with zeros for one modality
    in_context_trained_without_<modality>   a network trained without one modality
    in_context_unnormalised                 modalities concatenated without scaling to unit length
    in_context_window_<n>                   trained and applied in windows of n shots
    in_context_absence_learnt               a learnt vector where a modality is missing
    in_context_absence_zeros                zeros where a modality is missing
    in_context@<digest>                     another model of the catalogue
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mediafm_core.config.presets import PRESET_NAMES
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.network_vectors import NetworkVectors, VectorRequest
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.vectors import unit_length

IN_CONTEXT = "in_context"
FROM_NETWORK = ("alone", IN_CONTEXT, "prefix", "title")
WITHOUT_NETWORK = ("flat", "late_fusion", "neighbours", "similarities")
WINDOWS = (8, 32, 128)
"""Window lengths that `--ablations` tests where they are shorter than the longest title."""

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


@dataclass
class NetworkRepresentation:
    """A representation from the networks of the folds.

    Attributes:
        name: Name of the representation.
        vectors: Vectors of these networks.
        request: Kind of the vectors.
    """

    name: str
    vectors: NetworkVectors
    request: VectorRequest

    def parts(self, fold: int) -> list[np.ndarray]:
        """Return the vectors, mapped from a file."""
        return [self.vectors.vectors(fold, self.request)]


def fixed_representation(name: str, units: Units) -> FixedRepresentation | None:
    """Return the representation of a name; None for one that needs a network or is unknown."""
    modalities = {each: _modality(columns) for each, columns in units.ranges.items()}
    if name in modalities:
        return FixedRepresentation(name, units, [modalities[name]])
    of: dict[str, list[Callable[[TitleUnits], np.ndarray]]] = {
        "flat": [_flat],
        "late_fusion": list(modalities.values()),
        "neighbours": [_neighbours],
        "similarities": [_similarities],
    }
    return FixedRepresentation(name, units, of[name]) if name in of else None


@dataclass(frozen=True)
class NetworkVariant:
    """Variant of the network for a representation; by default the one of `in_context` itself.

    Attributes:
        without: Modality that the network is trained without.
        normalised: True where modalities have unit length before they are concatenated.
        window: Number of shots per window in training and inference; None takes the setting.
        missing_modality: Setting of this name; None takes the setting.
        model: Identity or digest of a model of the catalogue.
        preset: Preset whose values override the settings.
    """

    without: str | None = None
    normalised: bool = True
    window: int | None = None
    missing_modality: str | None = None
    model: str | None = None
    preset: str | None = None


def network_request(name: str, units: Units) -> tuple[NetworkVariant, VectorRequest]:
    """Return the network variant and the kind of vectors for a representation's name.

    Raises:
        MediaFMError: The name is unknown.
    """
    if name in FROM_NETWORK:
        return NetworkVariant(), VectorRequest(name)  # type: ignore[arg-type]  # a mode by its name
    in_context = VectorRequest("in_context")
    if name in PRESET_NAMES:
        return NetworkVariant(preset=name), in_context
    prefix, _, rest = name.partition("in_context")
    if not prefix:
        for modality in units.ranges if len(units.ranges) > 1 else ():
            if rest == f"_zeroed_{modality}":
                return NetworkVariant(), VectorRequest("in_context", modality)
            if rest == f"_trained_without_{modality}":
                return NetworkVariant(without=modality), in_context
        if rest == "_unnormalised":
            return NetworkVariant(normalised=False), in_context
        if window := re.fullmatch(r"_window_([1-9]\d{0,6})", rest):
            return NetworkVariant(window=int(window[1])), in_context
        if rest in ("_absence_learnt", "_absence_zeros"):
            return NetworkVariant(missing_modality=rest.removeprefix("_absence_")), in_context
        if rest.startswith("@"):
            return NetworkVariant(model=rest[1:]), in_context
    known = ", ".join([*units.ranges, *WITHOUT_NETWORK, *FROM_NETWORK, *PRESET_NAMES])
    raise MediaFMError(
        f"There is no representation {name!r}: choose from {known}, or an ablation such as "
        "in_context_window_32."
    )


def default_names(units: Units) -> list[str]:
    """Return the representations that are compared by default.

    `title` is the same for all units of a title. So it is included for classes and labels, which
    are compared across titles, and not where units are ordered within a title.
    """
    several = len(units.ranges) > 1
    return [
        *(units.ranges if several else []),
        "flat",
        *(["late_fusion"] if several else []),
        "neighbours",
        "similarities",
        "alone",
        "in_context",
        "prefix",
        *(["title"] if units.labels.task in ("multiclass", "multilabel") else []),
    ]


def ablations(units: Units, missing_modality: str, *, trained: bool) -> list[str]:
    """Return the names of the ablations that apply to a data set.

    Args:
        units: The data set.
        missing_modality: Setting `model.missing_modality`.
        trained: True if networks are trained for the data set.
    """
    modalities = list(units.ranges) if len(units.ranges) > 1 else []
    names = [f"in_context_zeroed_{modality}" for modality in modalities]
    if not trained:
        return names
    names += PRESET_NAMES
    names += [f"in_context_trained_without_{modality}" for modality in modalities]
    if modalities:
        names.append("in_context_unnormalised")
    names += [f"in_context_window_{length}" for length in WINDOWS if length < units.longest]
    if units.incomplete:
        other = "zeros" if missing_modality == "learnt" else "learnt"
        names.append(f"in_context_absence_{other}")
    return names


def require_free_names(units: Units) -> None:
    """Refuse a column of vectors with the name of another representation.

    Raises:
        MediaFMError: A column has such a name.
    """
    for name in units.ranges:
        if name in (*WITHOUT_NETWORK, *FROM_NETWORK, *PRESET_NAMES) or name.startswith(
            "in_context"
        ):
            raise MediaFMError(
                f"The column of vectors {name!r} has the name of a representation: rename it."
            )


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


def _similarities(title: TitleUnits) -> np.ndarray:
    """Compute cosines across the start of each unit, `[k, 20]`.

    Beyond the ends of a title, its first and last shot are repeated. With zeros, the ends of titles
    would look like scene boundaries, which would put this baseline at a disadvantage.
    """
    shots = np.pad(title.fused, ((_BEFORE, _FROM), (0, 0)), mode="edge")
    first = title.spans[:, 0] + _BEFORE
    cosines = [
        np.einsum("ij,ij->i", shots[first - back], shots[first + on])
        for back in range(1, _BEFORE + 1)
        for on in range(_FROM)
    ]
    return np.stack(cosines, axis=1)
