"""The catalogue as training data, and a trained model as the catalogue's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.errors import ConfigurationError, StoreError
from mediafm_core.identity import digest_of
from mediafm_core.model.folder import TRAINING_FILE, read_json
from mediafm_core.pipeline.candidates import model_folders
from mediafm_core.pipeline.platform import Platform

if TYPE_CHECKING:
    from mediafm_core.model.data import TrainingData
    from mediafm_core.model.training import Progress


def fused_titles(platform: Platform) -> list[str]:
    """Ids of the inbox's titles that have fused vectors and are not quarantined."""
    from mediafm_core.pipeline.quarantine import Quarantine
    from mediafm_core.titles.folder import scan_inbox

    store = platform.store
    held_back = {entry.title_id for entry in Quarantine(store)}
    return [
        folder.name
        for folder in scan_inbox(platform.inbox)
        if folder.has_usable_name
        and folder.name not in held_back
        and store.path("fused_embeddings", folder.name).exists()
    ]


def training_data(platform: Platform, title_ids: Sequence[str]) -> "TrainingData":
    """The fused vectors of titles, as a stream.

    Raises:
        ConfigurationError: the catalogue holds nothing to train on.
        IdentityMismatchError: titles were fused from different encoders.
    """
    from mediafm_core.errors import IdentityMismatchError
    from mediafm_core.model.data import TitleSource, TrainingData
    from mediafm_core.vectors import to_numpy

    store = platform.store
    sources = []
    spaces: dict[str, str] = {}
    details: dict[str, dict] = {}
    for title_id in title_ids:
        record = store.record("fused_embeddings", title_id)
        if record is None:
            raise StoreError(f"{title_id} has no fused_embeddings: materialise them first.")
        details = record.details
        spaces[json.dumps([details["ranges"], details["encoders"]], sort_keys=True)] = title_id
        metadata = store.read("title_metadata_embedding", title_id)
        metadata_record = store.record("title_metadata_embedding", title_id)
        both = (record.data_version, metadata_record.data_version if metadata_record else "")
        sources.append(
            TitleSource(
                title_id=title_id,
                path=store.path("fused_embeddings", title_id),
                data_version=digest_of(*both),
                global_vector=to_numpy(metadata["embedding"])[0],
            )
        )
    if not sources:
        raise ConfigurationError(
            f"The store {store.root} holds no fused titles to train on: take in titles first."
        )
    if len(spaces) > 1:
        raise IdentityMismatchError(
            f"The titles {', '.join(sorted(spaces.values()))} were fused from different encoders: "
            "refresh the catalogue before training."
        )
    return TrainingData(
        sources,
        global_size=platform.text_encoder.dimension,
        ranges={name: (start, stop) for name, (start, stop) in details["ranges"].items()},
        identities=details["encoders"],
    )


@dataclass(frozen=True)
class TrainedModel:
    """A trained model of the store.

    Attributes:
        identity: also the name of its folder under `<store>/models`.
        training: what `training.json` says: settings, titles, curve, baselines, groups.
        seconds: of training; None if this model had been trained before.
        shots_per_second: likewise.
    """

    identity: str
    training: dict[str, Any]
    seconds: float | None = None
    shots_per_second: float | None = None


def train_model(
    platform: Platform, progress: Callable[["Progress"], None] | None = None
) -> TrainedModel:
    """Train MediaFM on the whole catalogue and keep the result under `<store>/models`.

    The same settings on the same data give the same model, so one that was trained before (by a
    run that was killed before it could release it, for instance) is not trained again.
    """
    from mediafm_core.device import resolve_device
    from mediafm_core.model.training import train

    settings = platform.settings
    data = training_data(platform, fused_titles(platform))
    asked = {
        "model": settings.model.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json"),
        "titles": {title.title_id: title.data_version for title in data.titles},
    }
    for folder in model_folders(platform.store):
        try:
            training = read_json(folder, TRAINING_FILE)
        except ConfigurationError:  # `mediafm models` tells; it is not the one asked for
            continue
        if asked == {name: training.get(name) for name in asked}:
            return TrainedModel(folder.name, training)
    trained = train(
        data,
        settings.model,
        settings.training,
        platform.store.models,
        progress,
        resolve_device(settings),
        settings.threads,
    )
    return TrainedModel(
        str(trained.identity),
        read_json(trained.folder, TRAINING_FILE),
        trained.seconds,
        trained.shots_per_second,
    )


def adopt_model(platform: Platform, folder: Path) -> str:
    """Copy a model trained elsewhere into the store; returns its identity.

    Raises:
        ConfigurationError: the folder holds no sound model.
    """
    from mediafm_core.model.checkpoint import copy_model

    return str(copy_model(folder, platform.store.models))
