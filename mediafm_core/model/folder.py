"""The files of a model's folder, and reading those that are JSON.

Imports no torch, so that models can be listed and compared quickly.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mediafm_core.errors import ConfigurationError
from mediafm_core.seals import read_sealed_json, sealed_json, sha256_of_file

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
TRAINING_FILE, CARD_FILE = "training.json", "README.md"
DIGESTS = "digests"  # in the record of the training: SHA-256 of the folder's other files, by name
MODEL_VERSION = "4"  # raise when the same weights would give other vectors, or cannot be read
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def pickles_in(folder: Path) -> list[str]:
    """Names of the files of a folder that are pickles by their suffix."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a model's folder.

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    path = folder / name
    try:
        document = read_sealed_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"{folder} is no trained model, it has no {name}: name a folder below models/."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): mend its permissions or copy the model again."
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged ({error}): copy the model again.") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} is damaged (no JSON object): copy the model again.")
    return document


def write_training_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a training, last: it has the digests of the folder's other files."""
    names = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE)
    digests = {name: sha256_of_file(folder / name).hex() for name in names}
    part = folder / f".{TRAINING_FILE}.part"
    part.write_bytes(sealed_json({**record, DIGESTS: digests}))
    part.replace(folder / TRAINING_FILE)


def require_undamaged(
    folder: Path, training: Mapping[str, Any], names: Iterable[str] | None = None
) -> None:
    """Compare files of a model's folder with their digests; earlier records have none.

    Args:
        folder: of the model.
        training: its record.
        names: of files; None takes all that have a digest.

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
                f"{folder / name} is damaged (its SHA-256 is another than when it was written): "
                "copy the model again or train it again."
            )


def other_version(folder: Path, version: str | None) -> str | None:
    """The refusal of a model of a version that this MediaFM does not read; None for its own."""
    if version == MODEL_VERSION:
        return None
    return (
        f"{folder} holds a model of version {version} and this MediaFM reads version "
        f"{MODEL_VERSION}: train one anew with `mediafm train --release`."
    )
