"""Representations of one seed. Each network computes all requested vectors while it is loaded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.evaluation.cpu_clock import CpuClock
from mediafm_core.evaluation.evaluation_sources import EvaluationSource
from mediafm_core.evaluation.evaluation_task import Representation
from mediafm_core.evaluation.fixed_representations import fixed_representation
from mediafm_core.evaluation.network_inputs import CompactInputs
from mediafm_core.evaluation.network_vectors import NetworkVectors
from mediafm_core.evaluation.networks import Log, Networks
from mediafm_core.evaluation.representations import (
    COMPACT,
    COMPOSED,
    ComposedRepresentation,
    NetworkRepresentation,
    NetworkVariant,
    network_request,
)
from mediafm_core.evaluation.units import Units
from mediafm_core.runtime.precision import vector_precision


class SeedRepresentations:
    """Representations of one seed, made by name.

    Args:
        settings: Settings of networks.
        source: Source of networks.
        units: Units that the representations describe.
        fold_of: `[n]` int64, the fold that each unit is tested in.
        seed: Seed of training.
        names: Names of all representations that will be made.
        work: Folder of networks and of their vectors.
        log: Callback for a line about each training.
        on_progress: Callback for the state of a training whenever it changes.
        clock: Clock of the CPU time of trainings and vectors; None takes a new one.

    Raises:
        MediaFMError: A representation's name is unknown, or the source does not support it.
    """

    def __init__(
        self,
        settings: Settings,
        source: EvaluationSource,
        units: Units,
        fold_of: np.ndarray,
        seed: int,
        names: Sequence[str],
        work: Path,
        log: Log,
        on_progress: Callable[[str], None] = lambda _state: None,
        clock: CpuClock | None = None,
    ) -> None:
        clock = clock or CpuClock()
        self.units = units
        self.fold_of = fold_of
        self.seed = seed
        self._folder = work / "readings"
        self._vectors: dict[NetworkVariant, NetworkVectors] = {}
        single = [each for name in names for each in COMPOSED.get(name, (name,))]
        for name in single:
            if name == COMPACT or fixed_representation(name, units) is not None:
                continue
            network, request = network_request(name, units)
            if network not in self._vectors:
                networks = source.networks(
                    settings, units, network, fold_of, seed, work, log, on_progress
                )
                self._vectors[network] = NetworkVectors(
                    networks, {}, self._folder, clock, vector_precision(settings)
                )
            self._vectors[network].requests.setdefault(request, name)

    def make(self, name: str) -> Representation:
        """Make the representation of a name. Its vectors are freed with the object."""
        if name in COMPOSED:
            return ComposedRepresentation(name, [self.make(each) for each in COMPOSED[name]])
        if name == COMPACT:
            return CompactInputs(name, self.units, self.fold_of, self.seed, self._folder)
        fixed = fixed_representation(name, self.units)
        if fixed is not None:
            return fixed
        network, request = network_request(name, self.units)
        return NetworkRepresentation(name, self._vectors[network], request)

    @property
    def networks(self) -> Networks:
        """Networks of `in_context` itself.

        Raises:
            KeyError: No representation needs them.
        """
        return self._vectors[NetworkVariant()].networks

    def models(self) -> list[dict[str, Any]]:
        """Return seed, fold, identity and tested titles of each network of `in_context`.

        A network that no representation has needed so far is trained by this call.
        """
        vectors = self._vectors.get(NetworkVariant())
        if vectors is None:
            return []
        models = []
        for fold in range(int(self.fold_of.max()) + 1):
            tested = np.unique(self.units.title_of[self.fold_of == fold])
            models.append(
                {
                    "seed": self.seed,
                    "fold": fold,
                    "model": vectors.networks.identity(fold),
                    "tested": [self.units.titles[index] for index in tested],
                }
            )
        return models
