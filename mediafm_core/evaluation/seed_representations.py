"""Where the representations of one seed are made: each network is asked everything at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.evaluation.evaluation_sources import EvaluationSource
from mediafm_core.evaluation.evaluation_task import Representation
from mediafm_core.evaluation.network_vectors import Readings
from mediafm_core.evaluation.networks import Networks, Tell
from mediafm_core.evaluation.representations import Network, Read, asked_of_network, described
from mediafm_core.evaluation.units import Units
from mediafm_core.runtime.precision import vector_precision


class Bench:
    """Makes representations by name.

    Args:
        settings: of networks.
        source: of networks.
        units: what is described.
        fold_of: `[n]` int64, the fold that each unit is tested in.
        seed: of training.
        names: of all representations that will be made.
        work: folder of networks and of what they said.
        tell: told what is being trained.
        doing: called with the state of a training whenever it changes.

    Raises:
        MediaFMError: there is no representation of a name, or not of this source.
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
        tell: Tell,
        doing: Tell = lambda _state: None,
    ) -> None:
        self.units = units
        self.fold_of = fold_of
        self.seed = seed
        self._readings: dict[Network, Readings] = {}
        for name in names:
            if described(name, units) is not None:
                continue
            network, reading = asked_of_network(name, units)
            if network not in self._readings:
                made = source.networks(settings, units, network, fold_of, seed, work, tell, doing)
                folder = work / "readings"
                self._readings[network] = Readings(made, [], folder, vector_precision(settings))
            self._readings[network].asked.append(reading)

    def make(self, name: str) -> Representation:
        """The representation of a name; what it holds is gone with it."""
        found = described(name, self.units)
        if found is not None:
            return found
        network, reading = asked_of_network(name, self.units)
        return Read(name, self._readings[network], reading)

    @property
    def networks(self) -> Networks:
        """Those of `in_context` itself; KeyError if no representation asks for them."""
        return self._readings[Network()].networks

    def models(self) -> list[dict[str, Any]]:
        """The networks of `in_context`: seed, fold, identity and the titles that it is tested on.

        Those that were not asked for are trained for it.
        """
        readings = self._readings.get(Network())
        if readings is None:
            return []
        found = []
        for fold in range(int(self.fold_of.max()) + 1):
            tested = np.unique(self.units.title_of[self.fold_of == fold])
            found.append(
                {
                    "seed": self.seed,
                    "fold": fold,
                    "model": readings.networks.identity(fold),
                    "tested": [self.units.titles[place] for place in tested],
                }
            )
        return found
