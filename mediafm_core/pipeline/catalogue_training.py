"""Training of a model on the catalogue, and adoption of a model that was trained elsewhere."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.errors import ConfigurationError, IdentityMismatchError, StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.identity import digest_of
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import Candidate, OutsideCandidate
from mediafm_core.pipeline.releases.release import require_releasable
from mediafm_core.store.model_store import model_folders, upload_model
from mediafm_core.store.records import RECORD_KEY, ArtefactRecord
from mediafm_core.store.store import Store

if TYPE_CHECKING:
    from mediafm_core.model.training.distributed import World
    from mediafm_core.model.training.progress_events import Observer
    from mediafm_core.model.training.training_data import TrainingData

logger = logging.getLogger(__name__)


def fused_titles(platform: Platform) -> list[str]:
    """Return the ids of the inbox's titles that have fused vectors and are not quarantined."""
    from mediafm_core.pipeline.quarantine import Quarantine

    store = platform.store
    quarantined = {entry.title_id for entry in Quarantine(store)}
    fused = {entry.key for entry in store.files.entries("fused_embeddings")}
    return [
        folder.name
        for folder in platform.inbox.scan()
        if folder.has_usable_name
        and folder.name not in quarantined
        and store.key("fused_embeddings", folder.name) in fused
    ]


def training_data(
    platform: Platform,
    title_ids: Sequence[str],
    progress: Callable[[float], None] = lambda _share: None,
) -> "TrainingData":
    """Return the fused vectors of titles, as a stream.

    Args:
        platform: settings and store.
        title_ids: the titles.
        progress: called before each title with the share that is done.

    Raises:
        ConfigurationError: the catalogue holds nothing to train on.
        IdentityMismatchError: titles were fused from different encoders.
    """
    from mediafm_core.model.training.training_data import TitleSource, TrainingData
    from mediafm_core.vectors import to_numpy

    store = platform.store
    sources: list[TitleSource] = []
    space = FusedSpace()
    for index, title_id in enumerate(title_ids):
        progress(index / len(title_ids))
        record = store.record("fused_embeddings", title_id)
        if record is None:
            raise StoreError(f"{title_id} has no fused_embeddings: materialise them first.")
        of_title = FusedSpace.from_record(record.details)
        if not sources:
            space = of_title
        elif mismatch := space.mismatch(of_title):
            raise IdentityMismatchError(
                f"The titles {title_ids[0]} and {title_id} were fused from different encoders "
                f"({mismatch}): refresh the catalogue before training."
            )
        metadata = store.read("title_metadata_embedding", title_id)
        # The record that came with this very vector, and without opening the file again.
        made_by = ArtefactRecord.model_validate_json(metadata.schema.metadata[RECORD_KEY])
        both = (record.data_version, made_by.data_version)
        sources.append(
            TitleSource(
                title_id=title_id,
                path=store.path("fused_embeddings", title_id),
                data_version=digest_of(*both),
                global_vector=to_numpy(metadata["embedding"])[0],
                layout=_layout(record),
            )
        )
    if not sources:
        raise ConfigurationError(
            f"The store {store.location} holds no fused titles to train on: ingest titles first."
        )
    return TrainingData(sources, global_size=platform.text_encoder.dimension, space=space)


def _layout(record: ArtefactRecord) -> tuple[int, int] | None:
    """Return the number of shots and the width of fused vectors, if their record has them."""
    rows, ranges = record.details.get("rows"), record.details["ranges"]
    return None if rows is None else (rows, max(stop for _, stop in ranges.values()))


@dataclass(frozen=True)
class TrainedModel:
    """A trained model of the store.

    Attributes:
        candidate: the model in its folder under `<store>/models`.
        seconds: of training; None if this model had been trained before.
        shots_per_second: likewise.
    """

    candidate: Candidate
    seconds: float | None = None
    shots_per_second: float | None = None

    @property
    def identity(self) -> str:
        """Identity of the model."""
        return self.candidate.identity

    @property
    def training(self) -> dict[str, Any]:
        """Content of `training.json`: settings, titles, curve, baselines, groups."""
        return self.candidate.training


def train_model(
    platform: Platform, progress: "Observer | None" = None, world: "World | None" = None
) -> TrainedModel:
    """Train MediaFM on the whole catalogue and keep the result under `<store>/models`.

    The same settings on the same data give the same model. A model that was trained before, by a
    run that was killed before its release for instance, is not trained again unless it is damaged.
    A training that was killed resumes from its last checkpoint under `<store>/training`.

    Args:
        platform: settings and store.
        progress: called with the events of the training, its preparation included.
        world: the processes that train together, if this is one of them. None trains in this
            process, or in as many new ones as the setting `training.processes`.

    Raises:
        ConfigurationError: as `mediafm_core.model.training.training.train`.
    """
    from mediafm_core.model.training.progress_events import Phase

    observe = progress or (lambda _event: None)
    reading = "reading the catalogue"
    observe(Phase(reading))  # the imports below may take seconds

    import torch

    from mediafm_core.model.training.training import train, training_request
    from mediafm_core.runtime.device import resolve_device

    settings = platform.settings
    data = training_data(
        platform, fused_titles(platform), lambda share: observe(Phase(reading, share))
    )
    device = resolve_device(settings) if world is None else world.device
    request = training_request(
        data, settings.model, settings.objective, settings.training, torch.device(device)
    )
    trained = _trained_before(platform.store, request)
    if trained is not None:
        return trained
    if world is None and settings.training.processes > 1:
        from mediafm_core.model.training.launch import train_in_processes

        finished = train_in_processes(settings, progress)
        candidate = Candidate(platform.store.models / finished.identity)
        return TrainedModel(candidate, finished.seconds, finished.shots_per_second)
    result = train(
        data,
        settings.model,
        settings.training,
        platform.store.models,
        progress,
        device,
        settings.threads,
        objective=settings.objective,
        checkpoints=platform.store.root / "training",
        world=world,
    )
    if world is None or (world.is_first and result.folder.exists()):
        upload_model(platform.store, str(result.identity), again=True)
    return TrainedModel(Candidate(result.folder), result.seconds, result.shots_per_second)


def _trained_before(store: Store, request: Mapping[str, Any]) -> TrainedModel | None:
    """Return an undamaged model of the same request; saving a model replaces a damaged one."""
    for folder in model_folders(store):
        candidate = Candidate(folder)
        try:
            recorded = {name: candidate.training.get(name) for name in request}
        except ConfigurationError:  # listed as damaged by `mediafm models`
            continue
        if request != recorded:
            continue
        try:
            candidate.load()
        except ConfigurationError as error:
            logger.warning("a model that was trained before is trained again: %s", error)
        else:
            upload_model(store, candidate.identity)
            return TrainedModel(candidate)
    return None


def adopt_model(platform: Platform, folder: Path) -> Candidate:
    """Copy a model trained elsewhere into the store, as a candidate.

    It is checked first, as for a release, so that a refused model leaves nothing in the store. The
    serving model is not checked again.

    Raises:
        ConfigurationError: the folder holds no sound model of this version.
        IdentityMismatchError: it was trained on vectors of other encoders than the settings'.
    """
    from mediafm_core.model.saved_model import copy_model

    found = OutsideCandidate(folder)
    if found.identity != platform.serving_model:
        # The run that follows brings the titles to the settings' encoders.
        require_releasable(platform, found, compare_titles=False)
    identity = str(copy_model(folder, platform.store.models))
    upload_model(platform.store, identity)
    return Candidate(platform.store.models / identity)
