"""Networks of an evaluation: one trained per fold, or an existing model for all folds.

For a table, MediaFM is trained for each fold on the titles outside it and on nothing else: training
uses no vector of a tested title, labelled or not. Models are kept in folders named by a digest of
the training request, so that a repeated request trains nothing.

A catalogue is evaluated with existing models, which were trained on its titles.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.settings import Settings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.units import Units
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.identity import digest_of, digest_of_settings
from mediafm_core.model.stored_model import StoredModel
from mediafm_core.vectors import to_arrow

if TYPE_CHECKING:
    from mediafm_core.model.network import MediaFM
    from mediafm_core.model.training.progress_events import Event, Observer
    from mediafm_core.model.training.training_data import TrainingData

Log = Callable[[str], None]


class Networks(Protocol):
    """Networks of the folds."""

    @property
    def units(self) -> Units:
        """Input of the networks, with all titles."""
        ...

    def identity(self, fold: int) -> str:
        """Return the identity of a fold's network, training it if necessary."""
        ...

    def network(self, fold: int) -> "MediaFM":
        """Return the network of a fold on the device of the settings."""
        ...


@dataclass
class OneNetwork:
    """One existing model for every fold.

    Attributes:
        units: Input of the model, with all titles.
        model: The model, which this class loads.
        device: Device to run on.

    Raises:
        ConfigurationError: The model is damaged or of another version.
        IdentityMismatchError: The model's input has other encoders or columns than these units.
    """

    units: Units
    model: StoredModel
    device: str

    def __post_init__(self) -> None:
        from mediafm_core.model.saved_model import check_compatible

        # Checked at once, not after hours of probes for other representations.
        space = FusedSpace(self.units.encoders, self.units.ranges)
        check_compatible(self.model.load(self.device), space)

    def identity(self, fold: int) -> str:  # noqa: ARG002
        """Return the identity of the model."""
        return self.model.identity

    def network(self, fold: int) -> "MediaFM":  # noqa: ARG002
        """Return the network of the loaded model."""
        return self.model.load(self.device).network


@dataclass
class FoldNetworks:
    """A network per fold, trained on the titles outside it.

    Attributes:
        units: Input of the networks, with all titles.
        fold_of: `[n]` int64, the fold that each unit is tested in.
        settings: Model, objective, training and device; windows are cut to the longest title.
        seed: Seed of the training, which replaces the one of the settings.
        work: Folder of models.
        log: Callback for a line about each training.
        on_progress: Callback for the state of a training whenever it changes.
    """

    units: Units
    fold_of: np.ndarray
    settings: Settings
    seed: int
    work: Path
    log: Log
    on_progress: Log = lambda _state: None
    _trained: dict[int, str] = field(default_factory=dict, repr=False)
    _latest: "tuple[int, MediaFM] | None" = field(default=None, repr=False)

    def identity(self, fold: int) -> str:
        """Return the identity of a fold's network, training it if necessary."""
        if fold not in self._trained:
            self._trained[fold] = self._train(fold)
        return self._trained[fold]

    def network(self, fold: int) -> "MediaFM":
        """Return the network of a fold; the latest one stays in memory."""
        from mediafm_core.model.saved_model import load_model
        from mediafm_core.runtime.device import resolve_device

        identity = self.identity(fold)
        if self._latest is None or self._latest[0] != fold:
            (folder,) = (self.work / "models").glob(f"*/{identity}")
            loaded = load_model(folder, resolve_device(self.settings))
            self._latest = (fold, loaded.network)
        return self._latest[1]

    def _train(self, fold: int) -> str:
        import torch

        from mediafm_core.model.model_files import MODEL_VERSION
        from mediafm_core.model.training.training import train, training_request
        from mediafm_core.runtime.device import resolve_device

        outside = np.unique(self.units.title_of[self.fold_of != fold])
        data = self._data(outside.tolist())
        model, training = cut_windows(self.settings, self.units.longest)
        # No warm start: another model may have been trained on the tested titles.
        training = training.model_copy(update={"seed": self.seed, "start_from": None})
        device, objective = resolve_device(self.settings), self.settings.objective
        request = training_request(data, model, objective, training, torch.device(device))
        out = self.work / "models" / digest_of_settings({**request, "version": MODEL_VERSION})
        what = f"seed {self.seed}, fold {fold + 1} of {self.fold_of.max() + 1}"
        identity = _undamaged_model(out)
        if identity is not None:
            self.log(f"{what}: {identity} was trained before")
            return identity
        titles = len(outside)
        self.log(f"{what}: training on {titles} titles, {int(data.shots.sum()):,} shots")
        result = train(
            data,
            model,
            training,
            out,
            _progress_observer(what, self.on_progress),
            device,
            self.settings.threads,
            objective=objective,
            checkpoints=self.work / "states",
        )
        self.log(f"{what}: trained in {result.seconds:.0f} s")
        self._latest = (fold, result.network)
        return str(result.identity)

    def _data(self, indices: list[int]) -> "TrainingData":
        """Write titles to a file each, and return them as training data that streams the files."""
        from mediafm_core.model.training.training_data import TitleSource, TrainingData

        folder = self.work / "fused" / self.units.digest
        folder.mkdir(parents=True, exist_ok=True)
        sources = []
        ranges = str(sorted(self.units.ranges.items()))
        for index in indices:
            title = self.units.read(index)
            path = folder / f"{index:06d}.parquet"
            if not path.exists():
                with atomic_file(path) as prepared:
                    pq.write_table(pa.table({"embedding": to_arrow(title.fused)}), prepared)
            version = digest_of(ranges, title.fused.tobytes())
            layout = title.fused.shape
            sources.append(
                TitleSource(title.title_id, path, version, title.metadata, (layout[0], layout[1]))
            )
        return TrainingData(sources, global_size=1, space=FusedSpace(ranges=self.units.ranges))


def _progress_observer(what: str, on_progress: Log) -> "Observer":
    """Return an observer that reports the state of a training after each of its events."""
    from mediafm_core.model.training.progress_events import TrainingProgress

    progress = TrainingProgress()

    def observe(event: "Event") -> None:
        on_progress(f"{what}, {progress.state(event).line()}")

    return observe


def cut_windows(settings: Settings, longest: int) -> tuple[ModelSettings, TrainingSettings]:
    """Cut the windows of model and training to the `longest` title, in shots."""
    model = settings.model.model_copy(
        update={"max_shots": max(1, min(settings.model.max_shots, longest))}
    )
    training = settings.training.model_copy(
        update={"crop_shots": min(settings.training.crop_shots, model.max_shots)}
    )
    return model, training


def _undamaged_model(folder: Path) -> str | None:
    """Return the identity of the model in a folder; remove a damaged one."""
    from mediafm_core.model.saved_model import load_model

    for path in sorted(folder.glob("*@*")):
        try:
            load_model(path)
        except ConfigurationError:
            shutil.rmtree(path)
        else:
            return path.name
    return None
