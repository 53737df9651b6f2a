"""A trained model in its folder: found once, then read and loaded at most once.

Imports no torch, so that models can be listed and compared quickly.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_core.model.model_files import CONFIG_FILE, TRAINING_FILE, read_json

if TYPE_CHECKING:
    from mediafm_core.model.saved_model import LoadedModel


@dataclass(frozen=True)
class StoredModel:
    """A trained model in its folder, passed from the place that finds it to those that read it.

    Nothing is read before it is used. What has been read is kept: a model of an identity is never
    another one.

    Attributes:
        folder: on this machine; its name is the identity of the model.
    """

    folder: Path

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

    def load(self, device: str = "cpu") -> "LoadedModel":
        """Return the network in evaluation mode; later calls only move it to their device.

        Raises:
            ConfigurationError: as `mediafm_core.model.saved_model.load_model`.
        """
        self._loaded.network.to(device)  # type: ignore[arg-type]  # transformers wraps it
        return self._loaded

    @cached_property
    def _loaded(self) -> "LoadedModel":
        from mediafm_core.model.saved_model import load_stored

        return load_stored(self)
