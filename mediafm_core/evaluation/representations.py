"""The ways to describe a unit that an evaluation compares.

    <modality>      one modality alone
    flat            the fused vector: modalities concatenated, no context
    late_fusion     a probe for each modality, whose scores are averaged
    neighbours      the shot before, the unit and the shot after, side by side
    similarities    cosines between each of the 4 shots before and each of the 5 from the unit on
    alone           what MediaFM says of the unit's shots when it sees nothing else
    in_context      what it says of them as part of their title
    prefix          ... as part of what came up to the unit's end
    title           what it says of the whole title

and ablations of `in_context`:

    in_context_zeroed_<modality>            the same network reads zeros for one modality
    in_context_trained_without_<modality>   ... has never seen it
    in_context_unnormalised                 modalities are concatenated with the lengths they had
    in_context_window_<n>                   trained and read in windows of n shots
    in_context_absence_learnt               a learnt vector where a modality is absent
    in_context_absence_zeros                zeros, where the settings say learnt
    in_context@<digest>                     another model of the catalogue
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.network_vectors import Reading, Readings
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.vectors import unit_length

IN_CONTEXT = "in_context"
FROM_NETWORK = ("alone", IN_CONTEXT, "prefix", "title")
WITHOUT_NETWORK = ("flat", "late_fusion", "neighbours", "similarities")
WINDOWS = (8, 32, 128)
"""Lengths that `--ablations` tries, those that are shorter than the longest title."""

_BEFORE, _FROM = 4, 5  # shots whose similarities are taken


@dataclass
class Described:
    """A representation that needs no network: the same for every fold.

    Attributes:
        name: of the representation.
        units: what is described.
        by: what gives the vectors of a title's units, one per part.
    """

    name: str
    units: Units
    by: Sequence[Callable[[TitleUnits], np.ndarray]]
    _parts: list[np.ndarray] | None = field(default=None, repr=False)

    def parts(self, fold: int) -> list[np.ndarray]:  # noqa: ARG002
        """The vectors, made once and held for as long as this object lives."""
        if self._parts is None:
            self._parts = [self.units.describe(each) for each in self.by]
        return self._parts


@dataclass
class Read:
    """A representation that the network of each fold gives.

    Attributes:
        name: of the representation.
        readings: of these networks.
        reading: how they are asked.
    """

    name: str
    readings: Readings
    reading: Reading

    def parts(self, fold: int) -> list[np.ndarray]:
        """The vectors, mapped from a file."""
        return [self.readings.vectors(fold, self.reading)]


def described(name: str, units: Units) -> Described | None:
    """The representation of a name if no network is needed for it."""
    modalities = {each: _modality(columns) for each, columns in units.ranges.items()}
    if name in modalities:
        return Described(name, units, [modalities[name]])
    of: dict[str, list[Callable[[TitleUnits], np.ndarray]]] = {
        "flat": [_flat],
        "late_fusion": list(modalities.values()),
        "neighbours": [_neighbours],
        "similarities": [_similarities],
    }
    return Described(name, units, of[name]) if name in of else None


@dataclass(frozen=True)
class Network:
    """Which network a representation is read with; by default that of `in_context` itself.

    Attributes:
        without: modality that it was trained without.
        normalised: modalities have unit length before they are concatenated.
        window: shots that it is trained and read with at a time.
        absent: what stands for an absent modality.
        model: identity or digest of a model of the catalogue.
    """

    without: str | None = None
    normalised: bool = True
    window: int | None = None
    absent: str | None = None
    model: str | None = None


def asked_of_network(name: str, units: Units) -> tuple[Network, Reading]:
    """What a representation's name asks of which network.

    Raises:
        MediaFMError: there is no representation of this name.
    """
    if name in FROM_NETWORK:
        return Network(), Reading(name)  # type: ignore[arg-type]  # one of the modes
    in_context = Reading("in_context")
    prefix, _, rest = name.partition("in_context")
    if not prefix:
        for modality in units.ranges if len(units.ranges) > 1 else ():
            if rest == f"_zeroed_{modality}":
                return Network(), Reading("in_context", modality)
            if rest == f"_trained_without_{modality}":
                return Network(without=modality), in_context
        if rest == "_unnormalised":
            return Network(normalised=False), in_context
        if window := re.fullmatch(r"_window_([1-9]\d{0,6})", rest):
            return Network(window=int(window[1])), in_context
        if rest in ("_absence_learnt", "_absence_zeros"):
            return Network(absent=rest.removeprefix("_absence_")), in_context
        if rest.startswith("@"):
            return Network(model=rest[1:]), in_context
    known = ", ".join([*units.ranges, *WITHOUT_NETWORK, *FROM_NETWORK])
    raise MediaFMError(
        f"There is no representation {name!r}: take some of {known}, or an ablation such as "
        "in_context_window_32."
    )


def default_names(units: Units) -> list[str]:
    """What is compared when nobody says.

    The title's vector is the same for all units of a title: it is there where units are compared
    across titles, by words, and not where they are ordered within one.
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


def ablations(units: Units, absent: str, *, trained: bool) -> list[str]:
    """Names of the ablations that mean something for a data set.

    Args:
        units: the data set.
        absent: what the settings put where a modality is absent.
        trained: whether networks are trained for it.
    """
    modalities = list(units.ranges) if len(units.ranges) > 1 else []
    names = [f"in_context_zeroed_{modality}" for modality in modalities]
    if not trained:
        return names
    names += [f"in_context_trained_without_{modality}" for modality in modalities]
    if modalities:
        names.append("in_context_unnormalised")
    names += [f"in_context_window_{length}" for length in WINDOWS if length < units.longest]
    if units.incomplete:
        other = "zeros" if absent == "learnt" else "learnt"
        names.append(f"in_context_absence_{other}")
    return names


def require_free_names(units: Units) -> None:
    """Refuse a column of vectors that would be mistaken for another representation.

    Raises:
        MediaFMError: names the column.
    """
    for name in units.ranges:
        if name in (*WITHOUT_NETWORK, *FROM_NETWORK) or name.startswith("in_context"):
            raise MediaFMError(
                f"The column of vectors {name!r} has the name of a representation: rename it."
            )


def _modality(columns: tuple[int, int]) -> Callable[[TitleUnits], np.ndarray]:
    return lambda title: title.pool(unit_length(title.fused[:, slice(*columns)]))


def _flat(title: TitleUnits) -> np.ndarray:
    return title.pool(title.fused)


def _neighbours(title: TitleUnits) -> np.ndarray:
    """`[k, 3 d]`; zeros where there is no shot before or after."""
    edge = np.zeros_like(title.fused[:1])
    shots = np.concatenate([edge, title.fused, edge])  # shot i at i + 1
    first, stop = title.spans.T
    return np.concatenate([shots[first], _flat(title), shots[stop + 1]], axis=1)


def _similarities(title: TitleUnits) -> np.ndarray:
    """`[k, 20]`; the first and the last shot stand for those beyond them.

    Zeros would do the rule of thumb an injustice: the ends of titles would look like scenes.
    """
    shots = np.pad(title.fused, ((_BEFORE, _FROM), (0, 0)), mode="edge")
    first = title.spans[:, 0] + _BEFORE
    cosines = [
        np.einsum("ij,ij->i", shots[first - back], shots[first + on])
        for back in range(1, _BEFORE + 1)
        for on in range(_FROM)
    ]
    return np.stack(cosines, axis=1)
