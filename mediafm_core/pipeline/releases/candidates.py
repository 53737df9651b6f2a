"""The trained models of a store, read from their JSON files alone: weights stay on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mediafm_core.errors import ConfigurationError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.bounds import checked_configuration
from mediafm_core.model.model_files import (
    CONFIG_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    pickles_in,
    read_card,
    read_json,
    recorded_identity,
    require_undamaged,
)
from mediafm_core.store.model_store import model_folder, model_names
from mediafm_core.store.store import Store

_PARTS: dict[str, type] = {
    **dict.fromkeys(("titles", "training", "objective", "baselines"), dict),
    **dict.fromkeys(("curve", "validation_titles"), list),
    "validation": str,
}
_NAMED_MODELS = 5  # in an error, the newest
FEWEST_DIGITS = 4  # of a digest's beginning, as git asks for


@dataclass(frozen=True)
class Candidate:
    """A trained model, and the evidence for it.

    Attributes:
        identity: also the name of its folder.
        version: of the network, part of the identity.
        created_at: when it was trained, UTC.
        titles: how many it was trained on, with those held out for validation.
        shots: of these titles.
        steps: after which its weights were kept.
        validation_loss: at that step, a cosine distance.
        best_baseline: name and loss of the best prediction without a network.
        validation: "held-out titles" or "same titles".
        space: what it reads.
    """

    identity: str
    version: str
    created_at: datetime
    titles: int
    shots: int
    steps: int
    validation_loss: float
    best_baseline: tuple[str, float] | None
    validation: str
    space: FusedSpace

    @property
    def evidence(self) -> str:
        """How well it predicts hidden shots, in words."""
        found = f"validation loss {self.validation_loss:.4f} on {self.validation}"
        if self.best_baseline is None:
            return found
        name, loss = self.best_baseline
        return f"{found}, best baseline {loss:.4f} ({name.replace('_', ' ')})"


@dataclass(frozen=True)
class DamagedCandidate:
    """A model folder that cannot be used; `reason` says why and what to do."""

    identity: str
    created_at: datetime
    reason: str


def model_folders(store: Store) -> list[Path]:
    """Folders of all models on this machine, in the order of their names."""
    return [model_folder(store, identity) for identity in model_names(store)]


def list_candidates(store: Store) -> list[Candidate | DamagedCandidate]:
    """All trained models of a store, the newest first."""
    found: list[Candidate | DamagedCandidate] = []
    for folder in model_folders(store):
        try:
            found.append(read_candidate(folder))
        except ConfigurationError as error:
            found.append(DamagedCandidate(folder.name, _modified(folder), str(error)))
    return sorted(found, key=lambda each: (each.created_at, each.identity), reverse=True)


def read_candidate(folder: Path) -> Candidate:
    """A trained model of a store.

    Raises:
        ConfigurationError: a file is missing or damaged, a file is a pickle, or the folder has
            another model's name.
    """
    check_files(folder)
    config = checked_configuration(folder / CONFIG_FILE, read_json(folder, CONFIG_FILE))
    training = read_json(folder, TRAINING_FILE)
    require_undamaged(folder, training, (CONFIG_FILE,))
    identity = recorded_identity(folder, training)
    try:
        _require_types(training)
        kept = kept_point(training)
        baselines = {str(name): float(loss) for name, loss in training["baselines"].items()}
        candidate = Candidate(
            identity=str(identity),
            version=identity.version,
            created_at=_created(folder, training.get("created_at")),
            titles=len(training["titles"]),
            shots=int(training["shots"]),
            steps=int(kept["step"]),
            validation_loss=float(kept["validation_loss"]),
            best_baseline=min(baselines.items(), key=lambda each: each[1], default=None),
            validation=str(training["validation"]),
            space=FusedSpace.from_config(config),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"{folder} does not say what was trained ({reason}): copy the model again, or delete "
            "it and train one."
        ) from None
    if str(identity) != folder.name:
        raise ConfigurationError(
            f"{folder} holds {identity} by its {TRAINING_FILE}: give the folder that name."
        )
    return candidate


def _require_types(training: Mapping[str, Any]) -> None:
    """Refuse a record whose parts, those of the comparison with other models too, are others.

    Raises:
        TypeError: names the part.
    """
    for name, kind in _PARTS.items():
        found = training.get(name, kind())
        if not isinstance(found, kind):
            raise TypeError(f"{name} is a {type(found).__name__}, not a {kind.__name__}")


def kept_point(training: Mapping[str, Any]) -> dict[str, Any]:
    """The point of a curve (step, losses) whose weights were kept: the last, or the best if asked.

    Args:
        training: what `training.json` holds.

    Raises:
        KeyError, IndexError, TypeError: the record does not tell.
    """
    points = {point["step"]: dict(point) for point in training["curve"]}
    return points[training.get("kept_step", training["curve"][-1]["step"])]


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


def find_model(store: Store, version: str) -> Path:
    """The folder of a model of the store.

    Args:
        store: of the catalogue.
        version: its identity `name-version@digest`, or the beginning of its digest, four digits or
            more, that no other model's digest has.

    Raises:
        ConfigurationError: there is no such model, or there are several.
    """
    name, _, digest = version.rpartition("@")
    found = [
        folder
        for folder in model_folders(store)
        if digest
        and folder.name.rpartition("@")[2].startswith(digest)
        and name in ("", folder.name.rpartition("@")[0])
    ]
    if len(found) == 1 and len(digest) >= FEWEST_DIGITS:
        return found[0]
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise ConfigurationError(f"{version!r} may be any of {names}: name more of the digest.")
    if found:
        raise ConfigurationError(
            f"{version!r} is too short for {found[0].name}: name {FEWEST_DIGITS} digits of its "
            "digest or more."
        )
    there = [each.identity for each in list_candidates(store)]
    names = ", ".join(there[:_NAMED_MODELS]) or "none, so train one"
    more = f" and {len(there) - _NAMED_MODELS} more" if len(there) > _NAMED_MODELS else ""
    wanted = f"There is no model {version!r}" if version else "No model is chosen"
    raise ConfigurationError(
        f"{wanted} in {store.models}, which has {names}{more}: `mediafm models` compares them."
    )


def model_card_of(store: Store, version: str) -> str:
    """The model card, Markdown, of a model of the store.

    Raises:
        ConfigurationError: there is no such model, or it has no card.
    """
    return read_card(find_model(store, version))


def _created(folder: Path, recorded: str | None) -> datetime:
    if recorded is None:  # trained before the date was recorded
        return _modified(folder)
    return datetime.fromisoformat(recorded).astimezone(UTC)


def _modified(folder: Path) -> datetime:
    return datetime.fromtimestamp(int(folder.stat().st_mtime), UTC)
