"""Training MediaFM on the fused vectors of a catalogue: one code path from a laptop to many GPUs.

`batches` chooses and reads the sequences of each step, `objective` computes the losses,
`optimisers` updates the weights, `training_loop` takes the steps, `validation` measures the result,
`training_checkpoint` saves what a killed training resumes from, and `distributed` divides the work
among processes.

All random numbers follow from the seed and the step: the sequences, the masks, and (from generators
that are seeded for every step) dropout. So the same seed, data, processes, thread count and machine
give the same weights, bit for bit on a CPU, in one go or resumed; global random state, flags and
thread counts are restored.
"""

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity
from mediafm_core.model.model_files import MODEL_VERSION
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import identity_of, own_settings, save_model
from mediafm_core.model.training.batches import BatchReader, Plan
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.initial_network import (
    initial_network,
    network_configuration,
    own_randomness,
)
from mediafm_core.model.training.past_future_validation import PastFutureValidation
from mediafm_core.model.training.progress_events import (
    CurvePoint,
    Observer,
    ParameterGroup,
    Phase,
    Started,
)
from mediafm_core.model.training.scene_targets import SceneTargets
from mediafm_core.model.training.training_checkpoint import Checkpoints, remove_old_checkpoints
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.model.training.training_loop import TrainingLoop
from mediafm_core.model.training.validation import Kind, Validation, split_titles
from mediafm_core.model.training.warm_start import starting_identity
from mediafm_core.runtime.precision import fast_precision
from mediafm_core.runtime.threads import torch_threads

# Without a number of steps: passes over the shots of the catalogue, and bounds of the steps that
# follow. On films validation loss hardly falls after about 20 passes, on 98 half-episodes it still
# falls after 18.
_PASSES, _FEWEST_STEPS, _MOST_STEPS = 20, 20, 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and the record of its training.

    Attributes:
        folder: where the model was saved.
        identity: of the model.
        network: the trained network, in evaluation mode.
        curve: losses by step.
        kept_step: the step whose weights were kept: the best one if `patience` is set and titles
            that can be validated on are held out, else the last.
        baselines: validation loss of predictions without a network, by name.
        validation: "held-out titles", or "same titles" if validation is on titles of the training.
        validation_titles: their ids.
        groups: parameters by optimiser.
        padding_share: share of the computed positions that held no shot.
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
    checkpoints: Path | None = None,
    world: World | None = None,
) -> TrainingResult:
    """Train a model and save it as a folder below `out`.

    Args:
        data: the catalogue's fused vectors.
        model: shape of the network.
        training: steps, rates, seed.
        out: folder of models; the new one is `out/<identity>`.
        progress: called at the start, after every step on a CPU and every tenth on a GPU.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads while training; 0 leaves the number as it is.
        objective: losses of the training; the default ones if None.
        checkpoints: folder of the checkpoints of unfinished trainings. The same call resumes from
            the one that a killed call left there. None saves nothing before the end.
        world: the processes that train together. The first one saves.

    Raises:
        ConfigurationError: the loss is not finite, a file cannot be written, a checkpoint is
            damaged, another process trains the same, or settings contradict each other. No model is
            saved then; the last checkpoint stays.
        IdentityMismatchError: the weights to start from read other vectors.
        TitleError: a title's vectors are unusable.
    """
    objective = objective or ObjectiveSettings()
    world = world or World()
    training = with_steps(training, data)
    _check_settings(model, training, objective)
    target = torch.device(device)
    config = network_configuration(data, model, objective)
    request = training_request(data, model, objective, training, target)
    # From the same settings, another version of the code may make another network.
    architecture = {"version": MODEL_VERSION, **own_settings(config)}
    requested = Checkpoints(checkpoints or Path(), {**request, "network": architecture})
    saved = requested if checkpoints else None
    train_titles, validation_titles, kind = split_titles(data, training)
    with (
        # Before the processes agree: none loads a checkpoint that another training still writes.
        saved.held() if saved and world.is_first else nullcontext(),
        own_randomness(training.seed, target),
        torch_threads(threads),
    ):
        world.agree("data or settings", requested.key)
        if saved and checkpoints and world.is_first:
            kept = training.start_from.absolute() if training.start_from else None
            for folder in remove_old_checkpoints(checkpoints, {saved.folder.absolute(), kept}):
                _log.info("removed %s, an unfinished training that was not resumed", folder)
        observe = progress if progress and world.is_first else lambda _event: None
        observe(Phase("preparing the network"))
        network = initial_network(config, data, train_titles, training)
        observe(Phase("preparing validation"))
        network.to(target)  # type: ignore[arg-type]  # transformers wraps its signature
        validation = _validation(data, validation_titles, network, training, objective, world)
        loop = TrainingLoop(
            network,
            objective,
            training,
            BatchReader(
                data,
                Plan(data.shots, train_titles, training, model.max_shots),
                objective.mask_ratio,
                training,
                world.rank,
                world.size,
                pinned=target.type == "cuda",
                targets=_targets(data, network, objective),
            ),
            validation,
            saved,
            world,
            keeps_best=training.patience > 0
            and kind == "held-out titles"
            and validation.is_measurable,
        )
        loop.resume()
        observe(
            Started(
                loop.state.step,
                loop.steps,
                loop.optimisers.groups,
                len(train_titles),
                int(data.shots[train_titles].sum()),
                f"{target} in {loop.precision}",
                world.size,
            )
        )
        loop.run(observe)
        loop.restore_best_weights()
        network.eval()
        state = loop.state
        record = {
            **request,
            "shots": int(data.shots.sum()),
            "curve": [point.as_record() for point in state.curve],
            "kept_step": state.kept_step,
            "baselines": validation.baselines,
            "validation": kind,
            "validation_titles": validation.title_ids,
            "validation_shots": validation.shots,
            "groups": [group._asdict() for group in loop.optimisers.groups],
            "padding_share": state.padding_share,
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
        curve=state.curve,
        kept_step=state.kept_step,
        baselines=validation.baselines,
        validation=kind,
        validation_titles=validation.title_ids,
        groups=loop.optimisers.groups,
        padding_share=state.padding_share,
        seconds=loop.seconds,
        shots_per_second=loop.shots / loop.seconds if loop.seconds else 0.0,
    )


def training_request(
    data: TrainingData,
    model: ModelSettings,
    objective: ObjectiveSettings,
    training: TrainingSettings,
    device: torch.device,
) -> dict[str, Any]:
    """Return everything that decides the weights of a training, JSON-representable.

    It is part of the record of the trained model. The weights to start from are in it by identity
    and not by path, and the device by its precision.

    Raises:
        ConfigurationError: `start_from` has neither a model nor a checkpoint.
    """
    return {
        "model": model.recorded(),
        "objective": objective.recorded(),
        "training": with_steps(training, data).recorded(exclude={"start_from"}),
        "titles": {title.title_id: title.data_version for title in data.titles},
        "started_from": starting_identity(training.start_from),
        "arithmetic": fast_precision(training.precision, device),
    }


def with_steps(training: TrainingSettings, data: TrainingData) -> TrainingSettings:
    """Return settings with a number of steps: the one that is set, or enough for the catalogue."""
    if training.steps is not None:
        return training
    per_step = training.titles_per_batch * training.crop_shots
    steps = round(_PASSES * int(data.shots.sum()) / per_step)
    return training.model_copy(update={"steps": min(max(steps, _FEWEST_STEPS), _MOST_STEPS)})


def _targets(
    data: TrainingData, network: MediaFM, objective: ObjectiveSettings
) -> SceneTargets | None:
    """Make the targets of the scene boundary loss, where the network learns from them."""
    if network.two_directions is None or not objective.boundary_weight:
        return None
    return SceneTargets(data, network.slow_features)


def _validation(
    data: TrainingData,
    titles: list[int],
    network: MediaFM,
    training: TrainingSettings,
    objective: ObjectiveSettings,
    world: World,
) -> Validation | PastFutureValidation:
    """Make the validation of the loss that the network is trained by."""
    if network.two_directions is not None:
        return PastFutureValidation(data, titles, training, objective, world)
    most = network.config.max_shots
    return Validation(data, titles, most, training, objective.mask_ratio, world)


def _check_settings(
    model: ModelSettings, training: TrainingSettings, objective: ObjectiveSettings
) -> None:
    if model.attention == "two_directions" and not objective.past_future_weight:
        raise ConfigurationError(
            "objective.past_future_weight is 0 and model.attention is two_directions, which is "
            "trained by it: raise it above 0."
        )
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
