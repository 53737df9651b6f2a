"""The network of a training before its first step.

A training starts from it, and an evaluation compares the trained network with it: what both know
comes from the network's inputs and its architecture, and not from training.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import own_settings
from mediafm_core.model.training.input_statistics import fit_statistics
from mediafm_core.model.training.novelty_statistics import sampled_titles
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.model.training.validation import split_titles
from mediafm_core.model.training.warm_start import starting_weights


def network_configuration(
    data: TrainingData, model: ModelSettings, objective: ObjectiveSettings
) -> MediaFMConfig:
    """Return the configuration of the network that these settings train on this data."""
    return MediaFMConfig.from_settings(
        model,
        data.dimension,
        data.global_size,
        data.space,
        boundary_head=objective.boundary_weight > 0,
    )


def initial_network(
    config: MediaFMConfig, data: TrainingData, titles: Sequence[int], training: TrainingSettings
) -> MediaFM:
    """Make the network of a training before its first step, on the CPU.

    Weights are drawn from torch's default generator: call it within `own_randomness`.

    Args:
        config: configuration of the network.
        data: fused vectors, which its statistics are measured on.
        titles: positions in `data` of the titles that are trained on.
        training: seed, and weights to start from.

    Raises:
        ConfigurationError: the weights to start from are of another network, or damaged.
        IdentityMismatchError: they read other vectors.
        TitleError: a title's vectors are unusable.
    """
    network = MediaFM(config)
    if training.start_from is not None:
        _start_from(network, training.start_from)
    else:
        held_out = sorted(set(range(len(data))) - set(titles))
        fit_statistics(
            network,
            sampled_titles(data, titles, training.seed),
            sampled_titles(data, held_out, training.seed),
        )
    return network


def untrained_network(
    data: TrainingData,
    model: ModelSettings,
    objective: ObjectiveSettings,
    training: TrainingSettings,
) -> MediaFM:
    """Make the network that a training with these arguments starts from, in evaluation mode.

    Raises:
        ConfigurationError, IdentityMismatchError, TitleError: as `initial_network`.
    """
    titles, _, _ = split_titles(data, training)
    with own_randomness(training.seed, torch.device("cpu")):
        config = network_configuration(data, model, objective)
        return initial_network(config, data, titles, training).eval()


def redrawn_network(trained: MediaFM, seed: int) -> MediaFM:
    """Make the network that a trained one was before its first step, in evaluation mode.

    Weights are drawn again from the seed of its training. The statistics of its inputs are copied:
    they were measured before the first step, and training does not change them.

    Args:
        trained: a network whose training started from drawn weights.
        seed: of that training.
    """
    with own_randomness(seed, torch.device("cpu")):
        network = MediaFM(trained.config)
    network.load_state_dict(dict(trained.named_buffers()), strict=False)
    device = next(trained.parameters()).device
    network.to(device)  # type: ignore[arg-type]  # transformers wraps its signature
    return network.eval()


def _start_from(network: MediaFM, folder: Path) -> None:
    weights = starting_weights(folder, own_settings(network.config))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigurationError(
            f"training.start_from is {folder}, the weights of another network "
            f"({str(error).splitlines()[-1].strip()}): start from another or train without it."
        ) from None


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators, for initial weights, and restore them afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if not devices:
            yield
            return
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
            yield
