"""What can be evaluated: a table of shots, for which networks are trained, or the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.networks import FoldNetworks, Networks, OneNetwork, Tell
from mediafm_core.evaluation.representations import Network
from mediafm_core.evaluation.units import Units, without
from mediafm_core.model.stored_model import StoredModel

if TYPE_CHECKING:
    from mediafm_core.evaluation.label_list import LabelCount

_DIGITS_SHOWN = 16  # of a digest, in the name of a representation


class EvaluationSource(Protocol):
    """Where units, labels and networks come from."""

    @property
    def trains(self) -> bool:
        """Whether networks are trained for the folds."""
        ...

    def labels(self, settings: Settings) -> "list[LabelCount]":
        """Count the labels that there are."""
        ...

    def units(self, settings: Settings, labels: Sequence[str], task: Task | None) -> Units:
        """Read units and labels."""
        ...

    def others(self, settings: Settings) -> list[str]:
        """Names of representations of further models."""
        ...

    def networks(
        self,
        settings: Settings,
        units: Units,
        wanted: Network,
        fold_of: np.ndarray,
        seed: int,
        work: Path,
        tell: Tell,
        doing: Tell,
    ) -> Networks:
        """The networks of the folds; none is trained or loaded before it is asked for."""
        ...

    def facts(self, settings: Settings) -> dict[str, Any]:
        """What gives the representations of networks, for the report."""
        ...


@dataclass(frozen=True)
class Table:
    """A file of shots in order, see `mediafm_core.evaluation.table_units`.

    Attributes:
        path: Parquet or CSV.
        vectors: its columns of vectors, one per modality.
    """

    path: Path
    vectors: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Networks learn from the titles outside each fold."""
        return True

    def labels(self, settings: Settings) -> "list[LabelCount]":  # noqa: ARG002
        """Count the labels of the file."""
        from mediafm_core.evaluation.label_list import labels_in_table

        return labels_in_table(self.path, self.vectors)

    def units(self, settings: Settings, labels: Sequence[str], task: Task | None) -> Units:  # noqa: ARG002
        """Read the file."""
        from mediafm_core.evaluation.table_units import read_table

        return read_table(self.path, self.vectors, labels, task)

    def others(self, settings: Settings) -> list[str]:  # noqa: ARG002
        """There are none."""
        return []

    def networks(
        self,
        settings: Settings,
        units: Units,
        wanted: Network,
        fold_of: np.ndarray,
        seed: int,
        work: Path,
        tell: Tell,
        doing: Tell,
    ) -> Networks:
        """Networks that are trained when they are first asked for."""
        if wanted.model is not None:
            raise MediaFMError(
                f"in_context@{wanted.model} is of a model of the catalogue: networks are trained "
                "for a table."
            )
        changes: dict[str, Any] = {}
        if wanted.window is not None:
            changes["max_shots"] = wanted.window
        if wanted.absent is not None:
            changes["missing_modality"] = wanted.absent
        model = settings.model.model_copy(update=changes)
        if not wanted.normalised:
            from mediafm_core.evaluation.table_units import unnormalised

            units = unnormalised(units, self.path)
        if wanted.without is not None:
            units = without(units, wanted.without)
        return FoldNetworks(
            units, fold_of, settings.model_copy(update={"model": model}), seed, work, tell, doing
        )

    def facts(self, settings: Settings) -> dict[str, Any]:
        """The settings of training."""
        sections = ("model", "objective", "training")
        return {
            "trained": True,
            "settings": {name: getattr(settings, name).recorded() for name in sections},
        }


@dataclass(frozen=True)
class Catalogue:
    """Clips or spans of the titles that readers see, and models as they are.

    Attributes:
        models: found ones, or identities or beginnings of digests to find; none takes the model
            that readers see. Of several, the first gives the representations of networks, and each
            other one has `in_context@<digest>` beside them.
        labels_file: of clips or spans; None takes the labels that came with `clips.csv`.
    """

    models: tuple[StoredModel | str, ...] = ()
    labels_file: Path | None = None
    _found: dict[str, StoredModel] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def trains(self) -> bool:
        """The models know the titles already."""
        return False

    def labels(self, settings: Settings) -> "list[LabelCount]":
        """Count the labels of clips, or of the file."""
        from mediafm_core.evaluation.label_list import labels_in_catalogue
        from mediafm_core.store.open_store import open_store

        return labels_in_catalogue(open_store(settings), self.labels_file)

    def units(self, settings: Settings, labels: Sequence[str], task: Task | None) -> Units:
        """Read the labelled clips."""
        from mediafm_core.evaluation.catalogue_units import read_catalogue
        from mediafm_core.store.open_store import open_store

        return read_catalogue(open_store(settings), labels, task, self.labels_file)

    def others(self, settings: Settings) -> list[str]:
        """The models beside the first."""
        others = self._models(settings)[1:]
        return [f"in_context@{other.identity.rpartition('@')[2]}" for other in others]

    def networks(
        self,
        settings: Settings,
        units: Units,
        wanted: Network,
        fold_of: np.ndarray,  # noqa: ARG002 - the same model for every fold
        seed: int,  # noqa: ARG002
        work: Path,  # noqa: ARG002
        tell: Tell,  # noqa: ARG002
        doing: Tell,  # noqa: ARG002
    ) -> Networks:
        """A model of the store."""
        from mediafm_core.runtime.device import resolve_device

        if wanted != Network(model=wanted.model):
            raise MediaFMError(
                "The catalogue is measured with its models as they are: ablations that train a "
                "network need a table (--data)."
            )
        return OneNetwork(units, self._model(settings, wanted.model), resolve_device(settings))

    def facts(self, settings: Settings) -> dict[str, Any]:
        """The models."""
        return {"trained": False, "models": [model.identity for model in self._models(settings)]}

    def _models(self, settings: Settings) -> list[StoredModel]:
        from mediafm_core.evaluation.catalogue_units import model_of_readers
        from mediafm_core.store.open_store import open_store

        return [
            self._find(settings, model) if isinstance(model, str) else model
            for model in self.models or (model_of_readers(open_store(settings)),)
        ]

    def _model(self, settings: Settings, digest: str | None) -> StoredModel:
        """Return the model of a digest, or of its beginning; the first one for None."""
        models = self._models(settings)
        if digest is None:
            return models[0]
        same = [model for model in models if model.identity.rpartition("@")[2] == digest]
        return same[0] if same else self._find(settings, digest)

    def _find(self, settings: Settings, version: str) -> StoredModel:
        """Find a model, which is then kept with its network."""
        from mediafm_core.store.model_store import find_model
        from mediafm_core.store.open_store import open_store

        if version not in self._found:
            self._found[version] = StoredModel(find_model(open_store(settings), version))
        return self._found[version]
