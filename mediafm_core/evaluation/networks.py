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
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.settings import Settings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.units import NotMeasurableError, Units
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
        trained: False for the network that its training started from.

    Raises:
        ConfigurationError: The model is damaged or of another version.
        IdentityMismatchError: The model's input has other encoders or columns than these units.
    """

    units: Units
    model: StoredModel
    device: str
    trained: bool = True

    def __post_init__(self) -> None:
        from mediafm_core.model.saved_model import check_compatible

        # Checked at once, not after hours of probes for other representations.
        space = FusedSpace(self.units.encoders, self.units.ranges)
        check_compatible(self.model.load(self.device), space)

    def identity(self, fold: int) -> str:  # noqa: ARG002
        """Return the identity of the model, marked for the network before its first step."""
        return self.model.identity if self.trained else f"untrained-{self.model.identity}"

    def network(self, fold: int) -> "MediaFM":  # noqa: ARG002
        """Return the network of the loaded model, or the one that its training started from.

        Raises:
            NotMeasurableError: Its training started from other weights, or records no seed.
        """
        loaded = self.model.load(self.device)
        if self.trained:
            return loaded.network
        from mediafm_core.model.training.initial_network import redrawn_network

        seed = loaded.training.get("training", {}).get("seed")
        if loaded.training.get("started_from") is not None or not isinstance(seed, int):
            raise NotMeasurableError(
                f"The first weights of {self.model.identity} cannot be drawn again: its training "
                "started from another model's, or records no seed."
            )
        return redrawn_network(loaded.network, seed)


class _FoldTraining(NamedTuple):
    """Arguments of a fold's training, and a digest of all that decides its weights."""

    data: "TrainingData"
    model: ModelSettings
    training: TrainingSettings
    key: str


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
        trained: False for the networks before their first step.
    """

    units: Units
    fold_of: np.ndarray
    settings: Settings
    seed: int
    work: Path
    log: Log
    on_progress: Log = lambda _state: None
    trained: bool = True
    _identities: dict[int, str] = field(default_factory=dict, repr=False)
    _latest: "tuple[int, MediaFM] | None" = field(default=None, repr=False)

    def identity(self, fold: int) -> str:
        """Return the identity of a fold's network, training it if necessary."""
        if fold not in self._identities:
            self._identities[fold] = self._train(fold) if self.trained else self._untrained(fold)
        return self._identities[fold]

    def network(self, fold: int) -> "MediaFM":
        """Return the network of a fold; the latest one stays in memory."""
        from mediafm_core.model.saved_model import load_model
        from mediafm_core.model.training.initial_network import untrained_network
        from mediafm_core.runtime.device import resolve_device

        identity = self.identity(fold)
        if self._latest is None or self._latest[0] != fold:
            device = resolve_device(self.settings)
            if self.trained:
                (folder,) = (self.work / "models").glob(f"*/{identity}")
                network = load_model(folder, device).network
            else:
                of_fold = self._of_fold(fold)
                network = untrained_network(
                    of_fold.data, of_fold.model, self.settings.objective, of_fold.training
                )
                network.to(device)  # type: ignore[arg-type]  # transformers wraps its signature
            self._latest = (fold, network)
        return self._latest[1]

    def _of_fold(self, fold: int) -> "_FoldTraining":
        import torch

        from mediafm_core.model.model_files import MODEL_VERSION
        from mediafm_core.model.training.training import training_request
        from mediafm_core.runtime.device import resolve_device

        outside = np.unique(self.units.title_of[self.fold_of != fold])
        data = self._data(outside.tolist())
        model, training = cut_windows(self.settings, self.units.longest)
        # No warm start: another model may have been trained on the tested titles.
        training = training.model_copy(update={"seed": self.seed, "start_from": None})
        device = torch.device(resolve_device(self.settings))
        request = training_request(data, model, self.settings.objective, training, device)
        key = digest_of_settings({**request, "version": MODEL_VERSION})
        return _FoldTraining(data, model, training, key)

    def _untrained(self, fold: int) -> str:
        return f"untrained-{self._of_fold(fold).key}"

    def _train(self, fold: int) -> str:
        from mediafm_core.model.training.training import train
        from mediafm_core.runtime.device import resolve_device

        of_fold = self._of_fold(fold)
        data, out = of_fold.data, self.work / "models" / of_fold.key
        what = f"seed {self.seed}, fold {fold + 1} of {self.fold_of.max() + 1}"
        identity = _undamaged_model(out)
        if identity is not None:
            self.log(f"{what}: {identity} was trained before")
            return identity
        self.log(f"{what}: training on {len(data)} titles, {int(data.shots.sum()):,} shots")
        result = train(
            data,
            of_fold.model,
            of_fold.training,
            out,
            _progress_observer(what, self.on_progress),
            resolve_device(self.settings),
            self.settings.threads,
            objective=self.settings.objective,
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
