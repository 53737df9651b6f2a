"""Training MediaFM on the fused vectors of a catalogue: one code path from a laptop to many GPUs.

`mediafm_core.model.training.batches` says what each step reads, `objective` what it descends on,
`optimisers` how, `descent` takes the steps, `validation` tells what the result is worth,
`training_state` how a killed training goes on, and `distributed` how processes share the work.

Everything random follows from the seed and the step: what is read, what is hidden, and (from
generators that are seeded anew for every step) dropout. So the same seed, data, processes, thread
count and machine give the same weights, bit for bit on a CPU, in one go or resumed; global random
state, flags and thread counts are left as they were.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.model_files import MODEL_VERSION
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import identity_of, own_settings, save_model
from mediafm_core.model.training.batches import BatchReader, Plan
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.novelty_statistics import fit_novelty, sampled_titles
from mediafm_core.model.training.progress_events import (
    CurvePoint,
    Observer,
    ParameterGroup,
    Phase,
    Started,
)
from mediafm_core.model.training.training_checkpoint import TrainingStates, remove_old_states
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.model.training.training_loop import Descent
from mediafm_core.model.training.validation import Kind, Validation, split_titles
from mediafm_core.model.training.warm_start import starting_identity, starting_weights
from mediafm_core.runtime.precision import fast_precision
from mediafm_core.runtime.threads import torch_threads

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        folder: where the model was saved.
        identity: of the model.
        network: the trained network, in evaluation mode.
        curve: losses by step.
        kept_step: the step whose weights were kept: the best one where patience is asked for and
            titles are held out, else the last.
        baselines: validation loss of predictions without a network, by name.
        validation: whether the validation titles were held out of training.
        validation_titles: their ids.
        groups: parameters by optimiser.
        padding_share: share of the places computed that held no shot.
        seconds: wall time of the steps of this call, validation included.
        shots_per_second: shots that passed through the network in training, per second.
    """

    folder: Path
    identity: Identity
    network: MediaFM
    curve: list[CurvePoint]
    kept_step: int
    baselines: dict[str, float]
    validation: Kind
    validation_titles: list[str]
    groups: list[ParameterGroup]
    padding_share: float
    seconds: float
    shots_per_second: float


def train(
    data: TrainingData,
    model: ModelSettings,
    training: TrainingSettings,
    out: Path,
    progress: Observer | None = None,
    device: str = "cpu",
    threads: int = 0,
    *,
    objective: ObjectiveSettings | None = None,
    states: Path | None = None,
    world: World | None = None,
) -> TrainingResult:
    """Train a model and save it as a folder below `out`.

    Args:
        data: the catalogue's fused vectors.
        model: shape of the network.
        training: steps, rates, seed.
        out: folder of models; the new one is `out/<identity>`.
        progress: told of the start, and of every step on a CPU and every tenth on a GPU.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads while training; 0 leaves the number as it is.
        objective: what the network is trained to do; Masked Shot Modeling by default.
        states: folder of the states of unfinished trainings. The same call goes on from the state
            that a killed one left there. None: nothing is kept before the end.
        world: the processes that train together. The first one saves.

    Raises:
        ConfigurationError: the loss is not finite, a file cannot be written, a state is damaged,
            another process trains the same, or the settings do not fit each other. No model is
            saved then; the last state stays.
        IdentityMismatchError: the weights to start from read other vectors.
        TitleError: a title's vectors are unusable.
    """
    objective = objective or ObjectiveSettings()
    world = world or World()
    _check_settings(model, training)
    target = torch.device(device)
    config = MediaFMConfig.from_settings(
        model,
        data.dimension,
        data.global_size,
        data.space,
        boundary_head=objective.boundary_weight > 0,
    )
    request = training_request(data, model, objective, training, target)
    # Of the same settings, code of another version may make another network.
    network_made = {"version": MODEL_VERSION, **own_settings(config)}
    asked = TrainingStates(states or Path(), {**request, "network": network_made})
    saved = asked if states else None
    train_titles, validation_titles, kind = split_titles(data, training)
    with (
        # Before the processes agree: none loads what another training still writes.
        saved.held() if saved and world.is_first else nullcontext(),
        _own_randomness(training.seed, target),
        torch_threads(threads),
    ):
        world.agree("data or settings", asked.key)
        if saved and states and world.is_first:
            kept = training.start_from.absolute() if training.start_from else None
            for folder in remove_old_states(states, {saved.folder.absolute(), kept}):
                _log.info("removed %s, an unfinished training that nobody went on with", folder)
        observe = progress if progress and world.is_first else lambda _event: None
        observe(Phase("preparing the network"))
        network = MediaFM(config)
        if training.start_from is not None:
            _start_from(network, training.start_from)
        elif network.structure is not None:
            fit_novelty(network.structure, sampled_titles(data, train_titles, training.seed))
        observe(Phase("preparing validation"))
        network.to(target)  # type: ignore[arg-type]  # transformers wraps its signature
        ranges = config.modality_ranges
        run = Descent(
            network,
            objective,
            training,
            BatchReader(
                data,
                Plan(data.shots, train_titles, training, model.max_shots),
                ranges,
                objective,
                training,
                world.rank,
                world.size,
                pinned=target.type == "cuda",
            ),
            Validation(
                data,
                validation_titles,
                model.max_shots,
                training,
                objective.mask_ratio,
                len(ranges),
                world,
            ),
            saved,
            world,
            keeps_best=training.patience > 0 and kind == "held-out titles",
        )
        run.resume()
        observe(
            Started(
                run.course.step,
                training.steps,
                run.optimisers.groups,
                len(train_titles),
                int(data.shots[train_titles].sum()),
                f"{target} in {run.arithmetic}",
                world.size,
            )
        )
        run.descend(observe)
        run.take_best()
        network.eval()
        course, check = run.course, run.check
        record = {
            **request,
            "shots": int(data.shots.sum()),
            "curve": [point._asdict() for point in course.curve],
            "kept_step": course.kept_step,
            "baselines": check.baselines,
            "validation": kind,
            "validation_titles": check.title_ids,
            "validation_shots": check.shots,
            "groups": [group._asdict() for group in run.optimisers.groups],
            "padding_share": course.padding_share,
            "device": target.type,
        }
        if world.is_first:
            observe(Phase("saving the model"))
            folder, identity = save_model(network, record, out)
            if saved:
                saved.remove()
            observe(Phase("done"))
        else:
            identity = identity_of(network)
            folder = out / str(identity)
    return TrainingResult(
        folder=folder,
        identity=identity,
        network=network,
        curve=course.curve,
        kept_step=course.kept_step,
        baselines=check.baselines,
        validation=kind,
        validation_titles=check.title_ids,
        groups=run.optimisers.groups,
        padding_share=course.padding_share,
        seconds=run.seconds,
        shots_per_second=run.shots / run.seconds if run.seconds else 0.0,
    )


def training_request(
    data: TrainingData,
    model: ModelSettings,
    objective: ObjectiveSettings,
    training: TrainingSettings,
    device: torch.device,
) -> dict[str, Any]:
    """Everything that decides the weights of a training, JSON-representable.

    It is part of the record of the trained model. What it starts from is in it by identity and not
    by path, and of the device what matters: the arithmetic that `auto` means there.

    Raises:
        ConfigurationError: there is nothing to start from in the folder that is to be started from.
    """
    return {
        "model": model.recorded(),
        "objective": objective.recorded(),
        "training": training.recorded(exclude={"start_from"}),
        "titles": {title.title_id: title.data_version for title in data.titles},
        "started_from": starting_identity(training.start_from),
        "arithmetic": fast_precision(training.precision, device),
    }


def _start_from(network: MediaFM, folder: Path) -> None:
    weights = starting_weights(folder, own_settings(network.config))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigurationError(
            f"training.start_from is {folder}, the weights of another network "
            f"({str(error).splitlines()[-1].strip()}): start from another or train without it."
        ) from None


def _check_settings(model: ModelSettings, training: TrainingSettings) -> None:
    if training.crop_shots > model.max_shots:
        raise ConfigurationError(
            f"training.crop_shots is {training.crop_shots} and model.max_shots only "
            f"{model.max_shots}: lower the first or raise the second."
        )
    if model.hidden % model.heads:
        raise ConfigurationError(
            f"model.hidden is {model.hidden}, which {model.heads} heads cannot share: make it a "
            "multiple of model.heads."
        )
    if (model.context_layer or 0) > model.layers:
        raise ConfigurationError(
            f"model.context_layer is {model.context_layer} and there are {model.layers} layers: "
            "name one of them."
        )


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for initial weights, and restore them afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if not devices:
            yield
            return
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
            yield
