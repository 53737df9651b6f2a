"""Trained models as folders: saved atomically, loaded after checks.

<models>/mediafm-<version>@<digest>/
  config.json         shape of the network, encoders and ranges of its fused space
  model.safetensors   weights; a pickle is never written nor read
  training.json       settings, data version of each title, curve, baselines, parameter groups,
                      date, SHA-256 of the other files
  README.md           model card
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig

from mediafm_core.disk.atomic import atomic_folder
from mediafm_core.errors import ConfigurationError, IdentityMismatchError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.identity import Identity, digest_of, digest_of_settings
from mediafm_core.model.bounds import checked_configuration
from mediafm_core.model.card import model_card
from mediafm_core.model.model_files import (
    CARD_FILE,
    CONFIG_FILE,
    MODEL_VERSION,
    TRAINING_FILE,
    WEIGHTS_FILE,
    ModelFiles,
    other_version,
    pickles_in,
    recorded_identity,
    refuse_strange_file,
    write_training_record,
)
from mediafm_core.model.network import MediaFM, MediaFMConfig

_LAYERS = "layers."  # begins the names of a layer's tensors


@dataclass(frozen=True)
class LoadedModel:
    """A trained network in evaluation mode, and its identity."""

    network: MediaFM
    identity: Identity
    folder: Path
    training: dict[str, Any]


def identity_of(network: MediaFM) -> Identity:
    """Compute a network's identity: a digest of its weights and of the settings of its output."""
    parts: list[bytes | str] = [digest_of_settings(own_settings(network.config))]
    for name, tensor in sorted(network.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        parts += [name, str(array.dtype), str(array.shape), array.tobytes()]
    return Identity(name="mediafm", version=MODEL_VERSION, digest=digest_of(*parts))


def save_model(
    network: MediaFM, training: Mapping[str, Any], models: Path
) -> tuple[Path, Identity]:
    """Save a network as `models/<identity>`.

    An intact model of the same identity stays as it is, a damaged one is replaced.

    Args:
        network: to save.
        training: JSON-representable record of the training.
        models: folder of all models, created if need be.

    Returns:
        The folder and the identity.

    Raises:
        ConfigurationError: the folder cannot be written (disk full, no permission).
    """
    identity = identity_of(network)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"identity": identity.model_dump(), "created_at": created_at, **training}
    with _staged(models, identity) as folder:
        network.config.save_pretrained(folder)
        save_file(network.state_dict(), folder / WEIGHTS_FILE, metadata={"format": "pt"})
        # safetensors permits only the owner to read the file; a store is shared.
        shutil.copymode(folder / CONFIG_FILE, folder / WEIGHTS_FILE)
        (folder / CARD_FILE).write_text(model_card(identity, network, record))
        write_training_record(folder, record)
    return models / str(identity), identity


def copy_model(folder: Path, models: Path) -> Identity:
    """Copy a model that was trained elsewhere into a folder of models, after checking it.

    As with `save_model`, it replaces a damaged model of the same identity.

    Args:
        folder: of the model, with any name.
        models: folder of all models; the copy is `models/<identity>`.

    Raises:
        ConfigurationError: as `load_model` and `save_model`.
    """
    identity = load_model(folder).identity
    with _staged(models, identity) as staged:
        for name in (CONFIG_FILE, WEIGHTS_FILE, TRAINING_FILE, CARD_FILE):
            if (folder / name).exists():
                shutil.copyfile(folder / name, staged / name)
    return identity


def load_model(model: Path | ModelFiles, device: str = "cpu") -> LoadedModel:
    """Load a trained model, in evaluation mode.

    Args:
        model: its folder, or the files of its folder where some of them have been read.
        device: to run on.

    Raises:
        ConfigurationError: a file is missing, damaged or altered, the weights are a pickle, or the
            folder holds a model of another architecture or version.
    """
    files = model if isinstance(model, ModelFiles) else ModelFiles(model)
    folder = files.folder
    config = _checked_config(files)
    training = files.training
    recorded = recorded_identity(folder, training)
    refusal = other_version(folder, recorded.version)
    if refusal:
        raise ConfigurationError(refusal)
    network = _network_of(folder, config)
    network.load_state_dict(_load_weights(folder), assign=True)
    identity = identity_of(network)
    if recorded != identity:
        raise ConfigurationError(
            f"{folder} holds {identity}, but {TRAINING_FILE} records another identity: the model "
            "was altered; copy it again or train one."
        )
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise ConfigurationError(
            f"{folder / WEIGHTS_FILE} holds numbers that are not finite: train the model again."
        )
    files.require_undamaged(CONFIG_FILE, WEIGHTS_FILE)
    network.to(torch.device(device))  # type: ignore[arg-type]  # transformers wraps its signature
    return LoadedModel(network.eval(), identity, folder, training)


def check_compatible(model: LoadedModel, space: FusedSpace) -> None:
    """Refuse fused vectors of another space than the one that a model was trained in.

    Args:
        model: the model that is to read the vectors.
        space: of the vectors.

    Raises:
        IdentityMismatchError: names the first difference.
    """
    mismatch = model.network.config.fused_space.mismatch(space)
    if mismatch:
        raise IdentityMismatchError(
            f"{model.identity} is not compatible with the fused vectors ({mismatch}): train a "
            "model on these vectors or embed with the model's encoders."
        )


@contextmanager
def _staged(models: Path, identity: Identity) -> Iterator[Path]:
    """Yield a folder that becomes `models/<identity>` when the block ends without an error."""
    try:
        with atomic_folder(
            models / str(identity), durable=True, is_replaced=lambda path: not _is_intact(path)
        ) as staged:
            yield staged
    except (OSError, SafetensorError) as error:
        raise ConfigurationError(
            f"The model cannot be saved in {models} ({error}): make space or choose another folder."
        ) from None


def _is_intact(folder: Path) -> bool:
    try:
        load_model(folder)
    except ConfigurationError:
        return False
    return True


def own_settings(config: MediaFMConfig) -> dict[str, Any]:
    """Return MediaFM's own fields of a configuration, without those of transformers."""
    common = {field.name for field in fields(PreTrainedConfig)}
    return {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in common
    }


def _checked_config(files: ModelFiles) -> MediaFMConfig:
    path, settings = files.folder / CONFIG_FILE, files.config
    if settings.get("model_type") != MediaFMConfig.model_type:
        raise ConfigurationError(
            f"{path} describes a {settings.get('model_type')!r} model, not "
            f"{MediaFMConfig.model_type!r}: name the folder of a MediaFM model."
        )
    own = checked_configuration(path, settings)
    return MediaFMConfig(**{name: own[name] for name in own if name != "model_type"})


def _network_of(folder: Path, config: MediaFMConfig) -> MediaFM:
    """Make a network on the meta device with the shapes of the weights: it allocates nothing.

    Raises:
        ConfigurationError: the header of the weights contradicts the configuration.
    """
    there = _header(folder)
    layers = len({name.split(".")[1] for name in there if name.startswith(_LAYERS)})
    if layers != config.num_hidden_layers:  # before as many are built
        raise _mismatch(folder, f"{layers} layers in place of {config.num_hidden_layers}")
    with torch.device("meta"):
        network = MediaFM(config)
    wanted = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            raise _mismatch(folder, f"{name} {there.get(name)} in place of {wanted.get(name)}")
    return network


def _mismatch(folder: Path, difference: str) -> ConfigurationError:
    return ConfigurationError(
        f"{folder / WEIGHTS_FILE} contradicts {CONFIG_FILE} beside it ({difference}): copy the "
        "model again."
    )


def _header(folder: Path) -> dict[str, list[int]]:
    """Read the shapes of the tensors in a model's weights, without the tensors."""
    with _weights_errors(folder) as path, safe_open(path, framework="pt") as file:
        found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        other = {each.get_dtype() for each in found.values()} - {"F32"}
        if other:
            raise ConfigurationError(
                f"{path} holds numbers of type {min(other)} in place of F32: copy the model again."
            )
        return {name: list(each.get_shape()) for name, each in found.items()}


def _load_weights(folder: Path) -> dict[str, torch.Tensor]:
    with _weights_errors(folder) as path:
        return load_file(path)


@contextmanager
def _weights_errors(folder: Path) -> Iterator[Path]:
    """Yield the path of a model's weights; errors of reading it get a remedy."""
    path = folder / WEIGHTS_FILE
    try:
        refuse_strange_file(path)
        yield path
    except FileNotFoundError:
        pickles = pickles_in(folder)
        found = f"only {pickles[0]}, a pickle, which is never loaded" if pickles else "none"
        raise ConfigurationError(
            f"{folder} needs weights in {WEIGHTS_FILE} and has {found}: save the model as "
            "safetensors."
        ) from None
    except SafetensorError as error:
        raise ConfigurationError(
            f"{path} is truncated or damaged ({error}): copy the model again or train it again."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): fix its permissions, or copy the model again or "
            "train it again."
        ) from None
