"""The files of a model's folder, and reading those that are JSON.

Imports no torch, so that models can be listed and compared quickly.
"""

import json
from pathlib import Path
from typing import Any

from mediafm_core.errors import ConfigurationError

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
TRAINING_FILE, CARD_FILE = "training.json", "README.md"
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
        document = json.loads(path.read_bytes())
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


def other_version(folder: Path, version: str | None) -> str | None:
    """The refusal of a model of a version that this MediaFM does not read; None for its own."""
    if version == MODEL_VERSION:
        return None
    return (
        f"{folder} holds a model of version {version} and this MediaFM reads version "
        f"{MODEL_VERSION}: train one anew with `mediafm train --release`."
    )
