"""Weights that a training starts from in place of random ones: a model's, or another training's."""

from pathlib import Path
from typing import Any

import torch

from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.model.model_files import (
    MODEL_VERSION,
    TRAINING_FILE,
    read_json,
    recorded_identity,
)
from mediafm_core.model.training.training_checkpoint import find_state, load_state, read_facts

_FREE = {"hidden_dropout_prob", "attention_probs_dropout_prob", "context_layer"}
WEIGHTS = "network."  # prefix of the network's tensors in a state


def starting_identity(folder: Path | None) -> str | None:
    """What is in a folder to start from, read from its JSON files alone; None for None.

    Raises:
        ConfigurationError: the folder holds neither a model nor a training's state.
    """
    if folder is None:
        return None
    state = find_state(folder)
    if state is not None:
        facts = read_facts(state)
        return f"training-{facts['key']}-step-{facts['step']}@{facts['digest'][:16]}"
    if not (folder / TRAINING_FILE).exists():
        raise ConfigurationError(
            f"training.start_from is {folder}, which holds neither a trained model nor the state "
            "of a training: name a folder below models/ or training/ of a store."
        )
    return str(recorded_identity(folder, read_json(folder, TRAINING_FILE)))


def starting_weights(folder: Path, settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a folder to start from.

    Args:
        folder: of a model, of a state, or of a training's states.
        settings: MediaFM's own configuration of the network that takes them.

    Raises:
        ConfigurationError: the folder is damaged, or of a network of another shape or version.
        IdentityMismatchError: of a network that reads other vectors.
    """
    from mediafm_core.model.saved_model import load_model, own_settings

    found: dict[str, Any]
    state = find_state(folder)
    if state is None:
        recorded = recorded_identity(folder, read_json(folder, TRAINING_FILE))
        _require_current(folder, recorded.version)
        model = load_model(folder)
        found, weights = own_settings(model.network.config), model.network.state_dict()
    else:
        loaded = load_state(state)
        _require_current(folder, loaded.facts.get("model_version"))
        found, weights = loaded.facts["config"], loaded.below(WEIGHTS)
    for name in sorted(settings.keys() - _FREE):
        if found.get(name) != settings[name]:
            space = name in ("encoder_identities", "fused_ranges", "fused_size", "global_size")
            error = IdentityMismatchError if space else ConfigurationError
            remedy = "the vectors it was trained on" if space else "the settings of that model"
            theirs, ours = _differing(found.get(name), settings[name])
            raise error(
                f"training.start_from is {folder}, a network with {name} {theirs}, and this one "
                f"has {ours}: start from another or use {remedy}."
            )
    return weights


def _differing(one: Any, other: Any) -> tuple[Any, Any]:
    """Return two values, of two dictionaries only what differs."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one, other
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return {name: one.get(name) for name in names}, {name: other.get(name) for name in names}


def _require_current(folder: Path, version: str | None) -> None:
    """Refuse the weights of another version of the network; None is one before version 4."""
    if version != MODEL_VERSION:
        raise ConfigurationError(
            f"training.start_from is {folder}, a network of version {version or '3 or earlier'}, "
            f"and this MediaFM trains version {MODEL_VERSION}: remove training.start_from, which "
            "trains from the beginning."
        )
