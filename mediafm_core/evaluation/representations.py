"""Representations of units that an evaluation compares, by name.

    <modality>                  one modality alone
    flat                        the fused vector: modalities concatenated, no context
    late_fusion                 a probe for each modality, whose scores are averaged
    neighbours                  the shot before, the unit and the shot after, side by side
    similarities                cosines between each of the 4 shots before and each of the 5 from
                                the unit on
    similarities_<modality>     the same of one modality
    compact                     leading components, novelty features and neighbour means, see
                                `mediafm_core.evaluation.network_inputs`
    inputs                      `flat` beside `compact`: all that the network is given
    untrained                   the network before its first step, from the whole title
    alone                       MediaFM's vectors from the unit's shots only
    in_context                  MediaFM's vectors from the whole title
    both                        `compact` beside `in_context`
    both_untrained              `compact` beside `untrained`
    flat_in_context             `flat` beside `in_context`: own detail and context
    prefix                      MediaFM's vectors from the title's shots up to the unit's end
    title                       MediaFM's vector of the whole title
    scenes                      one number, found without labels: the probability of a scene that
                                starts at the unit, in log-odds, from the whole title

and ablations of `in_context`:

    published                               a network trained with the preset of this name
    in_context_zeroed_<modality>            the same network, with zeros for one modality
    in_context_trained_without_<modality>   a network trained without one modality
    in_context_unnormalised                 modalities concatenated without scaling to unit length
    in_context_window_<n>                   trained and applied in windows of n shots
    in_context@<digest>                     another model of the catalogue
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_core.config.presets import PRESET_NAMES
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Representation
from mediafm_core.evaluation.fixed_representations import FIXED, SIMILARITIES_OF
from mediafm_core.evaluation.network_vectors import IN_CONTEXT, NetworkVectors, VectorRequest
from mediafm_core.evaluation.units import Units

INPUTS, UNTRAINED = "inputs", "untrained"
BOTH, BOTH_UNTRAINED = "both", "both_untrained"
COMPACT = "compact"
STRONGEST = "strongest"
"""Baseline without training that is the best one by the training titles of each fold."""
COMPOSED: dict[str, tuple[str, ...]] = {
    INPUTS: ("flat", COMPACT),
    BOTH: (COMPACT, IN_CONTEXT),
    BOTH_UNTRAINED: (COMPACT, UNTRAINED),
    "flat_in_context": ("flat", IN_CONTEXT),
}
"""Representations that stand side by side in one probe, each penalised separately."""
FROM_NETWORK = (UNTRAINED, "alone", IN_CONTEXT, "prefix", "title", "scenes")
WITHOUT_NETWORK = (*FIXED, COMPACT, INPUTS)
WINDOWS = (8, 32, 128)
"""Window lengths that `--ablations` tests where they are shorter than the longest title."""


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


@dataclass
class ComposedRepresentation:
    """Several representations side by side in one probe, as blocks of columns.

    Attributes:
        name: Name of the representation.
        of: Representations whose blocks it has, each of a single part.
    """

    name: str
    of: Sequence[Representation]

    def parts(self, fold: int) -> list[tuple[np.ndarray, ...]]:
        """Return one part with the blocks of all."""
        blocks: list[np.ndarray] = []
        for each in self.of:
            (part,) = each.parts(fold)
            blocks += part if isinstance(part, tuple) else [part]
        return [tuple(blocks)]


@dataclass(frozen=True)
class NetworkVariant:
    """Variant of the network for a representation; by default the one of `in_context` itself.

    Attributes:
        without: Modality that the network is trained without.
        normalised: True where modalities have unit length before they are concatenated.
        window: Number of shots per window in training and inference; None takes the setting.
        model: Identity or digest of a model of the catalogue.
        preset: Preset whose values override the settings.
        trained: False for the network before its first step.
    """

    without: str | None = None
    normalised: bool = True
    window: int | None = None
    model: str | None = None
    preset: str | None = None
    trained: bool = True


def network_request(name: str, units: Units) -> tuple[NetworkVariant, VectorRequest]:
    """Return the network variant and the kind of vectors for a representation's name.

    Raises:
        MediaFMError: The name is unknown.
    """
    if name == UNTRAINED:
        return NetworkVariant(trained=False), VectorRequest("in_context")
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
        if rest.startswith("@"):
            return NetworkVariant(model=rest[1:]), in_context
    names = [*units.ranges, *WITHOUT_NETWORK, *FROM_NETWORK, *COMPOSED, *PRESET_NAMES]
    known = ", ".join(dict.fromkeys(names))
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
        INPUTS,
        UNTRAINED,
        "alone",
        IN_CONTEXT,
        BOTH,
        "prefix",
        *(["title"] if units.labels.task in ("multiclass", "multilabel") else []),
    ]


def without_training(names: Iterable[str], units: Units) -> list[str]:
    """Return those of some representations that need no training, in their order.

    The strongest of them is the baseline that a trained network has to exceed.
    """
    plain = (*units.ranges, *FIXED, INPUTS, UNTRAINED)
    return [name for name in names if name in plain or name.startswith(SIMILARITIES_OF)]


def is_from_trained_network(name: str) -> bool:
    """Return True for a representation that needs a trained network."""
    single = COMPOSED.get(name, (name,))
    return any(
        (each in FROM_NETWORK and each != UNTRAINED)
        or each in PRESET_NAMES
        or each.startswith(IN_CONTEXT)
        for each in single
    )


def ablations(units: Units, *, trained: bool) -> list[str]:
    """Return the names of the ablations that apply to a data set.

    Args:
        units: The data set.
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
    return names


def require_free_names(units: Units) -> None:
    """Refuse a column of vectors with the name of another representation.

    Raises:
        MediaFMError: A column has such a name.
    """
    for name in units.ranges:
        reserved = (*WITHOUT_NETWORK, *FROM_NETWORK, *COMPOSED, *PRESET_NAMES, STRONGEST)
        if name in reserved or name.startswith((IN_CONTEXT, SIMILARITIES_OF)):
            raise MediaFMError(
                f"The column of vectors {name!r} has the name of a representation: rename it."
            )
