"""Candidates: the trained models of a store, resolved once and passed on.

`resolve` turns what a user names into a `Candidate`. Evaluation, comparison, release and serving
take the candidate: its folder is found, its record read and its network loaded at most once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mediafm_core.errors import ConfigurationError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.bounds import checked_configuration
from mediafm_core.model.model_files import (
    CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    created_at,
    pickles_in,
    recorded_identity,
)
from mediafm_core.model.stored_model import StoredModel
from mediafm_core.store.model_store import find_model, model_folders
from mediafm_core.store.store import Store

_PARTS: dict[str, type] = {
    **dict.fromkeys(("titles", "training", "objective", "baselines"), dict),
    **dict.fromkeys(("curve", "validation_titles"), list),
    "validation": str,
}


_COMPARED = ("titles_per_batch", "crop_shots", "accumulation", "processes")


@dataclass(frozen=True)
class TrainingRecord:
    """Facts about a trained model from its JSON files, as evidence for a release.

    Attributes:
        version: of the network, part of the identity.
        created_at: date of the training, UTC.
        titles: number of titles it was trained on, with those held out for validation.
        shots: of these titles.
        steps: after which its weights were kept.
        validation_loss: at that step, a cosine distance, or the loss of past against future; None
            if the titles of the validation are too short to have both.
        predicted: "masked shots", or "the future of shots".
        best_baseline: name and loss of the best prediction without a network.
        validation: "held-out titles" or "same titles".
        validation_data: everything that determines the shots of its validation and how they are
            compared; losses of two models can be compared only where this is equal.
        space: the fused space it reads.
    """

    version: str
    created_at: datetime
    titles: int
    shots: int
    steps: int
    validation_loss: float | None
    predicted: str
    best_baseline: tuple[str, float] | None
    validation: str
    validation_data: Mapping[str, Any]
    space: FusedSpace

    @property
    def evidence(self) -> str:
        """The validation loss beside that of the best baseline, in words."""
        if self.validation_loss is None:
            return "no validation loss, because the titles are too short to have past and future"
        found = f"validation loss {self.validation_loss:.4f} on {self.validation}"
        if self.best_baseline is None:
            return found
        name, loss = self.best_baseline
        return f"{found}, best baseline {loss:.4f} ({name.replace('_', ' ')})"


class Candidate(StoredModel):
    """A trained model that can be compared with the serving model and released."""

    @cached_property
    def record(self) -> TrainingRecord:
        """The record of its training, read without its weights.

        Raises:
            ConfigurationError: a file is missing or damaged, a file is a pickle, or the folder has
                another model's name.
        """
        check_files(self.folder)
        config = checked_configuration(self.folder / CONFIG_FILE, self.config)
        self.require_undamaged(CONFIG_FILE)
        identity = recorded_identity(self.folder, self.training)
        try:
            record = _training_record(self, identity.version, config)
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
        ) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ConfigurationError(
                f"{self.folder} does not say what was trained ({reason}): copy the model again, or "
                "delete it and train one."
            ) from None
        if str(identity) != self.identity:
            raise ConfigurationError(
                f"{self.folder} holds {identity} by its {TRAINING_FILE}: give the folder that name."
            )
        return record


class OutsideCandidate(Candidate):
    """A candidate in a folder outside the store, which may have any name."""

    @cached_property
    def identity(self) -> str:
        """The identity that its training recorded.

        Raises:
            ConfigurationError: there is no such record, or it is damaged.
        """
        return str(recorded_identity(self.folder, self.training))


@dataclass(frozen=True)
class DamagedCandidate:
    """A model folder that cannot be used; `reason` names the damage and the remedy."""

    identity: str
    created_at: datetime
    reason: str


def resolve(store: Store, version: str) -> Candidate:
    """Return the candidate of a version: the identity of a model, or the beginning of its digest.

    Raises:
        ConfigurationError: as `mediafm_core.store.model_store.find_model`.
    """
    return Candidate(find_model(store, version))


def list_candidates(store: Store) -> list[Candidate | DamagedCandidate]:
    """Return all trained models of a store, the newest first."""
    dated: list[tuple[datetime, Candidate | DamagedCandidate]] = []
    for folder in model_folders(store):
        candidate = Candidate(folder)
        try:
            dated.append((candidate.record.created_at, candidate))
        except ConfigurationError as error:
            date = created_at(folder, {})
            dated.append((date, DamagedCandidate(folder.name, date, str(error))))
    dated.sort(key=lambda each: (each[0], each[1].identity), reverse=True)
    return [candidate for _, candidate in dated]


def check_files(folder: Path) -> None:
    """Refuse a model's folder without weights, or with a pickle in it.

    Raises:
        ConfigurationError: names the file and the remedy.
    """
    if folder.is_dir() and (pickles := pickles_in(folder)):
        raise ConfigurationError(
            f"{folder} holds {pickles[0]}, a pickle, which can run any code when it is loaded: "
            "delete that file, the weights belong into model.safetensors."
        )
    if folder.is_dir() and not (folder / WEIGHTS_FILE).is_file():
        raise ConfigurationError(
            f"{folder} has no {WEIGHTS_FILE}: copy the model again, or delete it and train one."
        )


def kept_point(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point of a curve (step, losses) whose weights were kept.

    It is the last one, or the one with the lowest validation loss if the settings say so.

    Args:
        training: content of `training.json`.

    Raises:
        KeyError, IndexError, TypeError: the record has no such point.
    """
    points = {point["step"]: dict(point) for point in training["curve"]}
    return points[training.get("kept_step", training["curve"][-1]["step"])]


def is_validated(training: Mapping[str, Any]) -> bool:
    """Return False if there was no future to find, so that the recorded loss and accuracy are zero.

    Args:
        training: content of `training.json`.

    Raises:
        KeyError, IndexError, TypeError: the record has no loss or no baselines.
    """
    return "validation_accuracy" not in kept_point(training) or bool(training["baselines"])


def _training_record(model: StoredModel, version: str, config: Mapping[str, Any]) -> TrainingRecord:
    training = model.training
    _require_types(training)
    kept = kept_point(training)
    baselines = {str(name): float(loss) for name, loss in training["baselines"].items()}
    return TrainingRecord(
        version=version,
        created_at=created_at(model.folder, training),
        titles=len(training["titles"]),
        shots=int(training["shots"]),
        steps=int(kept["step"]),
        validation_loss=float(kept["validation_loss"]) if is_validated(training) else None,
        predicted="the future of shots" if "validation_accuracy" in kept else "masked shots",
        best_baseline=min(baselines.items(), key=lambda each: each[1], default=None),
        validation=str(training["validation"]),
        validation_data=_validation_data(training, config),
        space=FusedSpace.from_config(config),
    )


def _require_types(training: Mapping[str, Any]) -> None:
    """Refuse a record with a part of another type, also of those that only comparisons read.

    Raises:
        TypeError: names the part.
    """
    for name, kind in _PARTS.items():
        found = training.get(name, kind())
        if not isinstance(found, kind):
            raise TypeError(f"{name} is a {type(found).__name__}, not a {kind.__name__}")


def _validation_data(training: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that determines a model's validation but its weights."""
    versions = training["titles"]
    training_settings = training.get("training", {})
    two = config.get("attention") == "two_directions"
    return {
        "attention": config.get("attention"),
        # A loss depends on how many futures are compared, and how sharply.
        "compared": [
            *(training_settings.get(name) for name in _COMPARED),
            training.get("objective", {}).get("past_future_temperature"),
        ]
        if two
        else None,
        "validation": training["validation"],
        "shots": training.get("validation_shots"),
        "titles": {title: versions.get(title) for title in training.get("validation_titles", [])},
        "seed": training_settings.get("seed"),
        "mask_share": training.get("objective", {}).get("mask_share"),
        "version": training.get("identity", {}).get("version"),
        "ranges": config.get("fused_ranges"),
    }
