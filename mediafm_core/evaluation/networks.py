"""The networks that an evaluation reads units with: one per fold, or one that is there already.

Of a table, MediaFM is trained for each fold on the titles outside it and on nothing else: not a
vector of a tested title takes part, labelled or not. Models are kept in a folder by what was asked
for, so that asking again trains nothing.

A catalogue is measured with models as they are, which know its titles; nothing is trained.
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

Tell = Callable[[str], None]


class Networks(Protocol):
    """Which network reads the units when a fold is tested."""

    @property
    def units(self) -> Units:
        """What the networks read, all titles of it."""
        ...

    def identity(self, fold: int) -> str:
        """The network of a fold; it is made if need be."""
        ...

    def network(self, fold: int) -> "MediaFM":
        """The network itself, on the settings' device."""
        ...


@dataclass
class OneNetwork:
    """The same trained model for every fold.

    Attributes:
        units: what it reads.
        model: found and not yet loaded.
        device: to run on.

    Raises:
        ConfigurationError: the model is damaged or of another version.
        IdentityMismatchError: it reads other vectors than these.
    """

    units: Units
    model: StoredModel
    device: str

    def __post_init__(self) -> None:
        from mediafm_core.model.saved_model import check_compatible

        # Now, and not after the probes of other representations.
        space = FusedSpace(self.units.encoders, self.units.ranges)
        check_compatible(self.model.load(self.device), space)

    def identity(self, fold: int) -> str:  # noqa: ARG002
        """The model's."""
        return self.model.identity

    def network(self, fold: int) -> "MediaFM":  # noqa: ARG002
        """The model, loaded."""
        return self.model.load(self.device).network


@dataclass
class FoldNetworks:
    """A network per fold, trained on the titles outside it.

    Attributes:
        units: what is read, all titles.
        fold_of: `[n]` int64, the fold that each unit is tested in.
        settings: model, objective, training and device; lengths are cut to those of the titles.
        seed: of the training, in place of the settings'.
        work: folder of models.
        tell: told what is being trained.
        doing: called with the state of a training whenever it changes.
    """

    units: Units
    fold_of: np.ndarray
    settings: Settings
    seed: int
    work: Path
    tell: Tell
    doing: Tell = lambda _state: None
    _trained: dict[int, str] = field(default_factory=dict, repr=False)
    _latest: "tuple[int, MediaFM] | None" = field(default=None, repr=False)

    def identity(self, fold: int) -> str:
        """The network of a fold, trained if it was not before."""
        if fold not in self._trained:
            self._trained[fold] = self._train(fold)
        return self._trained[fold]

    def network(self, fold: int) -> "MediaFM":
        """The network of a fold; the latest one is kept."""
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
        model, training = lengths_cut(self.settings, self.units.longest)
        # What another model has learnt may be of the tested titles.
        training = training.model_copy(update={"seed": self.seed, "start_from": None})
        device, objective = resolve_device(self.settings), self.settings.objective
        request = training_request(data, model, objective, training, torch.device(device))
        out = self.work / "models" / digest_of_settings({**request, "version": MODEL_VERSION})
        what = f"seed {self.seed}, fold {fold + 1} of {self.fold_of.max() + 1}"
        found = _sound_model(out)
        if found is not None:
            self.tell(f"{what}: {found} was trained before")
            return found
        titles = len(outside)
        self.tell(f"{what}: training on {titles} titles, {int(data.shots.sum()):,} shots")
        result = train(
            data,
            model,
            training,
            out,
            _states(what, self.doing),
            device,
            self.settings.threads,
            objective=objective,
            states=self.work / "states",
        )
        self.tell(f"{what}: trained in {result.seconds:.0f} s")
        self._latest = (fold, result.network)
        return str(result.identity)

    def _data(self, places: list[int]) -> "TrainingData":
        """Titles as training data, streamed from a file per title."""
        from mediafm_core.model.training.training_data import TitleSource, TrainingData

        folder = self.work / "fused" / self.units.digest
        folder.mkdir(parents=True, exist_ok=True)
        sources = []
        ranges = str(sorted(self.units.ranges.items()))
        for place in places:
            title = self.units.read(place)
            path = folder / f"{place:06d}.parquet"
            if not path.exists():
                with atomic_file(path) as prepared:
                    pq.write_table(pa.table({"embedding": to_arrow(title.fused)}), prepared)
            version = digest_of(ranges, title.fused.tobytes())
            layout = title.fused.shape
            sources.append(
                TitleSource(title.title_id, path, version, title.metadata, (layout[0], layout[1]))
            )
        return TrainingData(sources, global_size=1, space=FusedSpace(ranges=self.units.ranges))


def _states(what: str, doing: Tell) -> "Observer":
    """Describe the state of a training after each of its events."""
    from mediafm_core.model.training.progress_events import TrainingProgress

    progress = TrainingProgress()

    def observe(event: "Event") -> None:
        doing(f"{what}, {progress.state(event).line()}")

    return observe


def lengths_cut(settings: Settings, longest: int) -> tuple[ModelSettings, TrainingSettings]:
    """Model and training settings for titles of at most `longest` shots: no window beyond that."""
    model = settings.model.model_copy(
        update={"max_shots": max(1, min(settings.model.max_shots, longest))}
    )
    training = settings.training.model_copy(
        update={"crop_shots": min(settings.training.crop_shots, model.max_shots)}
    )
    return model, training


def _sound_model(folder: Path) -> str | None:
    """The model in a folder; one that is damaged is removed."""
    from mediafm_core.model.saved_model import load_model

    for path in sorted(folder.glob("*@*")):
        try:
            load_model(path)
        except ConfigurationError:
            shutil.rmtree(path)
        else:
            return path.name
    return None
