"""A trained model in its folder, passed from the code that finds it to the code that reads it.

Imports no torch, so that models can be listed and compared quickly.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from mediafm_core.model.model_files import ModelFiles

if TYPE_CHECKING:
    from mediafm_core.model.saved_model import LoadedModel


class StoredModel(ModelFiles):
    """A trained model in its folder: read when it is first used, loaded at most once, and kept.

    That is safe because the model of an identity never changes.
    """

    def load(self, device: str = "cpu") -> "LoadedModel":
        """Return the network in evaluation mode; later calls only move it to their device.

        Raises:
            ConfigurationError: as `mediafm_core.model.saved_model.load_model`.
        """
        self._loaded.network.to(device)  # type: ignore[arg-type]  # transformers wraps it
        return self._loaded

    @cached_property
    def _loaded(self) -> "LoadedModel":
        from mediafm_core.model.saved_model import load_model

        return load_model(self)
