"""Sources of an evaluation: a table of shots, with networks trained for it, or the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mediafm_core.config.presets import with_preset
from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.networks import FoldNetworks, Log, Networks, OneNetwork
from mediafm_core.evaluation.representations import NetworkVariant
from mediafm_core.evaluation.units import Units, without
from mediafm_core.model.stored_model import StoredModel

if TYPE_CHECKING:
    from mediafm_core.evaluation.label_list import LabelCount


class EvaluationSource(Protocol):
    """A source of units, labels and networks."""

    @property
    def trains(self) -> bool:
        """True if networks are trained for the folds, False for existing models."""
        ...

    def labels(self, settings: Settings) -> "list[LabelCount]":
        """Count the units and titles of each label."""
        ...

    def units(self, settings: Settings, labels: Sequence[str], task: Task | None) -> Units:
        """Read units and labels."""
        ...

    def others(self, settings: Settings) -> list[str]:
        """Return the names of representations of further models."""
        ...

    def networks(
        self,
        settings: Settings,
        units: Units,
        variant: NetworkVariant,
        fold_of: np.ndarray,
        seed: int,
        work: Path,
        log: Log,
        on_progress: Log,
    ) -> Networks:
        """Return the networks of the folds, each trained or loaded when it is first used."""
        ...

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return the origin of the networks, as the report's `model`."""
        ...


@dataclass(frozen=True)
class Table:
    """A file of shots in order, see `mediafm_core.evaluation.table_units`.

    Attributes:
        path: Parquet or CSV file.
        vectors: Names of its columns of vectors, one per modality.
        split: Name of its column with a fixed split; None divides the titles into folds.
    """

    path: Path
    vectors: tuple[str, ...]
    split: str | None = None

    @property
    def trains(self) -> bool:
        """True: networks are trained on the titles outside each fold."""
        return True

    def labels(self, settings: Settings) -> "list[LabelCount]":  # noqa: ARG002
        """Count the labels of the file."""
        from mediafm_core.evaluation.label_list import labels_in_table

        return labels_in_table(self.path, self.vectors)

    def units(self, settings: Settings, labels: Sequence[str], task: Task | None) -> Units:  # noqa: ARG002
        """Read the file."""
        from mediafm_core.evaluation.table_units import read_table

        return read_table(self.path, self.vectors, labels, task, self.split)

    def others(self, settings: Settings) -> list[str]:  # noqa: ARG002
        """Return no names, because a table has no further models."""
        return []

    def networks(
        self,
        settings: Settings,
        units: Units,
        variant: NetworkVariant,
        fold_of: np.ndarray,
        seed: int,
        work: Path,
        log: Log,
        on_progress: Log,
    ) -> Networks:
        """Return networks that are trained when they are first used."""
        if variant.model is not None:
            raise MediaFMError(
                f"in_context@{variant.model} is of a model of the catalogue: networks are trained "
                "for a table."
            )
        if variant.preset is not None:
            settings = with_preset(settings, variant.preset)
        model = settings.model
        if variant.window is not None:
            model = model.model_copy(update={"max_shots": variant.window})
        if not variant.normalised:
            from mediafm_core.evaluation.table_units import unnormalised

            units = unnormalised(units, self.path)
        if variant.without is not None:
            units = without(units, variant.without)
        return FoldNetworks(
            units,
            fold_of,
            settings.model_copy(update={"model": model}),
            seed,
            work,
            log,
            on_progress,
            variant.trained,
        )

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return the settings of training."""
        sections = ("model", "objective", "training")
        return {
            "trained": True,
            "settings": {name: getattr(settings, name).recorded() for name in sections},
        }


@dataclass(frozen=True)
class Catalogue:
    """Clips or spans of the published titles, and existing models.

    Attributes:
        models: Models, or identities or beginnings of digests to find; empty takes the published
            model. The first of several gives the representations of networks, and each other one
            an additional `in_context@<digest>`.
        labels_file: File with labels of clips or spans; None takes the labels of `clips.csv`.
    """

    models: tuple[StoredModel | str, ...] = ()
    labels_file: Path | None = None
    _found: dict[str, StoredModel] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def trains(self) -> bool:
        """False: the models were trained before, on these titles as well."""
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
        """Return the names of the representations of all models but the first."""
        others = self._models(settings)[1:]
        return [f"in_context@{other.identity.rpartition('@')[2]}" for other in others]

    def networks(
        self,
        settings: Settings,
        units: Units,
        variant: NetworkVariant,
        fold_of: np.ndarray,  # noqa: ARG002 - the same model for every fold
        seed: int,  # noqa: ARG002
        work: Path,  # noqa: ARG002
        log: Log,  # noqa: ARG002
        on_progress: Log,  # noqa: ARG002
    ) -> Networks:
        """Return a model of the store, the same for every fold."""
        from mediafm_core.runtime.device import resolve_device

        if variant != NetworkVariant(model=variant.model, trained=variant.trained):
            raise MediaFMError(
                "The catalogue is measured with its models as they are: ablations that train a "
                "network need a table (--data)."
            )
        model = self._model(settings, variant.model)
        return OneNetwork(units, model, resolve_device(settings), variant.trained)

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return the identities of the models."""
        return {"trained": False, "models": [model.identity for model in self._models(settings)]}

    def _models(self, settings: Settings) -> list[StoredModel]:
        from mediafm_core.evaluation.catalogue_units import published_model
        from mediafm_core.store.open_store import open_store

        return [
            self._find(settings, model) if isinstance(model, str) else model
            for model in self.models or (published_model(open_store(settings)),)
        ]

    def _model(self, settings: Settings, digest: str | None) -> StoredModel:
        """Return the model of a digest, or of its first digits; the first model for None."""
        models = self._models(settings)
        if digest is None:
            return models[0]
        same = [model for model in models if model.identity.rpartition("@")[2] == digest]
        return same[0] if same else self._find(settings, digest)

    def _find(self, settings: Settings, version: str) -> StoredModel:
        """Find a model, and keep it with its network for later calls."""
        from mediafm_core.store.model_store import find_model
        from mediafm_core.store.open_store import open_store

        if version not in self._found:
            self._found[version] = StoredModel(find_model(open_store(settings), version))
        return self._found[version]
