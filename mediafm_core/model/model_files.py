"""Files of a model's folder, and readers of those that are JSON.

Imports no torch, so that models can be listed and compared quickly.
"""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.disk.seals import read_sealed_json, sealed_json, sha256_of_file
from mediafm_core.disk.strict_json import parse_json, read_bounded
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
TRAINING_FILE, CARD_FILE = "training.json", "README.md"
DIGESTS = "digests"  # in the record of the training: SHA-256 of the folder's other files, by name
MODEL_VERSION = "7"  # raise when the same weights would give other vectors, or cannot be read
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}

# A record lists every title of its training: 64 MiB are a million of them.
_MOST_BYTES = {CONFIG_FILE: 1 << 20, TRAINING_FILE: 64 << 20, CARD_FILE: 1 << 20}


@dataclass(frozen=True)
class ModelFiles:
    """The JSON files of a model's folder, each read at most once.

    Attributes:
        folder: on this machine; its name is the identity of the model.
    """

    folder: Path
    _compared: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def identity(self) -> str:
        """The name of the folder, `name-version@digest`."""
        return self.folder.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of `config.json`.

        Raises:
            ConfigurationError: the file is missing or damaged.
        """
        return read_json(self.folder, CONFIG_FILE)

    @cached_property
    def training(self) -> dict[str, Any]:
        """The content of `training.json`.

        Raises:
            ConfigurationError: the file is missing or damaged.
        """
        return read_json(self.folder, TRAINING_FILE)

    def require_undamaged(self, *names: str) -> None:
        """Compare files with their digests, each file once.

        Raises:
            ConfigurationError: one is missing or damaged.
        """
        new = set(names) - self._compared
        require_undamaged(self.folder, self.training, new)
        self._compared.update(new)


def pickles_in(folder: Path) -> list[str]:
    """Return the names of files in a folder that are pickles by their suffix."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON file of a model's folder.

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    path = folder / name
    try:
        refuse_strange_file(path)
        content = read_bounded(path, _MOST_BYTES[name])
        # Losses of a failed training may be NaN; no number of a configuration may.
        document = parse_json(content) if name == CONFIG_FILE else read_sealed_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"{folder} is no trained model, it has no {name}: name a folder below models/."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}): fix its permissions or copy the model "
            "again."
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged ({error}): copy the model again.") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} is damaged (no JSON object): copy the model again.")
    return document


def read_card(folder: Path) -> str:
    """Read the model card of a model's folder.

    Raises:
        ConfigurationError: it is missing or damaged.
    """
    path = folder / CARD_FILE
    try:
        refuse_strange_file(path)
        return read_bounded(path, _MOST_BYTES[CARD_FILE]).decode("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The model card {path} cannot be read ({error}): copy the model again."
        ) from None


def refuse_strange_file(path: Path) -> None:
    """Refuse a pipe, a device or a link in place of a file of a model's folder.

    Raises:
        OSError: it is missing or inaccessible.
        ConfigurationError: it is no regular file.
    """
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # reading a folder fails with its own error
        return
    kind = "a link" if stat.S_ISLNK(mode) else "a pipe or device"
    raise ConfigurationError(f"{path} is {kind}: put the file itself there.")


def recorded_identity(folder: Path, training: dict[str, Any]) -> Identity:
    """Return the identity in a `training.json`.

    Raises:
        ConfigurationError: it has none.
    """
    try:
        return Identity.model_validate(training.get("identity"))
    except ValidationError:
        raise ConfigurationError(
            f"{folder / TRAINING_FILE} names no identity: copy the model again."
        ) from None


def created_at(folder: Path, training: Mapping[str, Any] | None = None) -> datetime:
    """Return when a model was trained, UTC, from its record or else the date of its folder.

    Args:
        folder: of the model.
        training: its record; None reads it, where it can be read.

    Raises:
        ValueError, TypeError: the date in `training` is none.
    """
    if training is None:
        try:
            return created_at(folder, read_json(folder, TRAINING_FILE))
        except (ConfigurationError, ValueError, TypeError):
            training = {}
    recorded = training.get("created_at")
    if recorded is None:  # damaged, or trained before the date was recorded
        return datetime.fromtimestamp(int(folder.stat().st_mtime), UTC)
    return datetime.fromisoformat(recorded).astimezone(UTC)


def write_training_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a training after the folder's other files, whose digests it has."""
    names = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE)
    digests = {name: sha256_of_file(folder / name).hex() for name in names}
    with atomic_file(folder / TRAINING_FILE) as prepared:
        prepared.write_bytes(sealed_json({**record, DIGESTS: digests}))


def require_undamaged(
    folder: Path, training: Mapping[str, Any], names: Iterable[str] | None = None
) -> None:
    """Compare files of a model's folder with their digests; earlier records have none.

    Args:
        folder: of the model.
        training: its record.
        names: of files; None compares all that have a digest.

    Raises:
        ConfigurationError: one is missing or damaged.
    """
    digests = training.get(DIGESTS) or {}
    for name in digests if names is None else digests.keys() & set(names):
        try:
            found = sha256_of_file(folder / name).hex()
        except FileNotFoundError:
            raise ConfigurationError(f"{folder} has no {name}: copy the model again.") from None
        if found != digests[name]:
            raise ConfigurationError(
                f"{folder / name} is damaged (its SHA-256 has changed since it was written): "
                "copy the model again or train it again."
            )


def other_version(folder: Path, version: str | None) -> str | None:
    """Return the reason against a model of another version than `MODEL_VERSION`, else None."""
    if version == MODEL_VERSION:
        return None
    return (
        f"{folder} holds a model of version {version} and this MediaFM reads version "
        f"{MODEL_VERSION}: train a new one with `mediafm train --release`."
    )
