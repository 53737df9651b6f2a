"""Warm start: initial weights from a trained model or from another training's checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.model_files import (
    MODEL_VERSION,
    TRAINING_FILE,
    read_json,
    recorded_identity,
)
from mediafm_core.model.training.training_checkpoint import (
    find_checkpoint,
    load_checkpoint,
    read_metadata,
)

_FREE = {
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "input_dropout_prob",
    "modality_dropout_prob",
}
WEIGHTS = "network."  # prefix of the network's tensors in a checkpoint


def starting_identity(folder: Path | None) -> str | None:
    """Return the identity of the weights in a folder, from its JSON files alone; None for None.

    Raises:
        ConfigurationError: the folder holds neither a model nor a training's checkpoint.
    """
    if folder is None:
        return None
    checkpoint = find_checkpoint(folder)
    if checkpoint is not None:
        found = read_metadata(checkpoint)
        return f"training-{found['key']}-step-{found['step']}@{found['digest'][:16]}"
    if not (folder / TRAINING_FILE).exists():
        raise ConfigurationError(
            f"training.start_from is {folder}, which has neither a trained model nor a checkpoint "
            "of a training: name a folder below models/ or training/ of a store."
        )
    return str(recorded_identity(folder, read_json(folder, TRAINING_FILE)))


def starting_weights(folder: Path, settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Load the weights in a folder to start from.

    Args:
        folder: of a model, of a checkpoint, or of a training's checkpoints.
        settings: MediaFM's own configuration of the network that takes them.

    Raises:
        ConfigurationError: the folder is damaged, or of a network of another shape or version.
        IdentityMismatchError: the folder's network reads vectors of another fused space.
    """
    from mediafm_core.model.saved_model import load_model, own_settings

    found: dict[str, Any]
    checkpoint = find_checkpoint(folder)
    if checkpoint is None:
        recorded = recorded_identity(folder, read_json(folder, TRAINING_FILE))
        _require_current(folder, recorded.version)
        model = load_model(folder)
        found, weights = own_settings(model.network.config), model.network.state_dict()
    else:
        loaded = load_checkpoint(checkpoint)
        _require_current(folder, loaded.metadata.get("model_version"))
        found, weights = loaded.metadata["config"], loaded.below(WEIGHTS)
    mismatch = _space_of(found).mismatch(_space_of(settings))
    if mismatch:
        raise IdentityMismatchError(
            f"training.start_from is {folder}, a network of another fused space ({mismatch}): "
            "start from another or use the vectors it was trained on."
        )
    for name in sorted(settings.keys() - _FREE):
        if found.get(name) != settings[name]:
            raise ConfigurationError(
                f"training.start_from is {folder}, a network with {name} {found.get(name)}, and "
                f"this one has {settings[name]}: start from another or use the settings of that "
                "model."
            )
    return weights


def _space_of(config: Mapping[str, Any]) -> FusedSpace:
    """Return the space of a configuration, empty where none was recorded."""
    encoders, ranges = config.get("encoder_identities"), config.get("fused_ranges")
    return FusedSpace(encoders or {}, ranges or {}, config.get("global_size"))


def _require_current(folder: Path, version: str | None) -> None:
    """Refuse weights of another version of the network; None means a version before 4."""
    if version != MODEL_VERSION:
        raise ConfigurationError(
            f"training.start_from is {folder}, a network of version {version or '3 or earlier'}, "
            f"and this MediaFM trains version {MODEL_VERSION}: remove training.start_from, which "
            "trains from the beginning."
        )
