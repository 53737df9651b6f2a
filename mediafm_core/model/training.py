"""Training MediaFM on the fused vectors of a catalogue: one code path from a laptop to many GPUs.

`mediafm_core.model.batches` says what each step reads, `objective` what it descends on,
`optimisers` how, `validation` what the result is worth, `training_state` how a killed training goes
on, and `distributed` how processes share the work.

Everything random follows from the seed and the step: what is read, what is hidden, and (from
generators that are seeded anew for every step) dropout. So the same seed, data, processes, thread
count and machine give the same weights, bit for bit on a CPU, in one go or resumed; global random
state, flags and thread counts are left as they were.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from mediafm_core.config import ModelSettings, ObjectiveSettings, TrainingSettings
from mediafm_core.device import Arithmetic
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity
from mediafm_core.model.batches import BatchReader, Plan, StepBatches
from mediafm_core.model.checkpoint import identity_of, own_settings, save_model
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.data import TrainingData
from mediafm_core.model.distributed import World, without_exchange
from mediafm_core.model.network import MediaFM
from mediafm_core.model.objective import Losses, Objective
from mediafm_core.model.optimisers import Optimisers
from mediafm_core.model.progress import Observer, ParameterGroup, Progress, Started
from mediafm_core.model.starting_point import WEIGHTS, starting_identity, starting_weights
from mediafm_core.model.training_state import TrainingStates, remove_old_states
from mediafm_core.model.validation import Kind, Validation, split_titles

# Steps whose losses are fetched together: asking a GPU for a number waits for all it has to do.
_FETCHED_STEPS = {"cpu": 1, "cuda": 10}
_MOMENTS, _BEST = "optimisers.", "best."  # prefixes of tensors in a state

_log = logging.getLogger(__name__)


class CurvePoint(NamedTuple):
    """Losses at a step: the mean over the training batches since the last point, and validation."""

    step: int
    training_loss: float
    validation_loss: float


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
        ConfigurationError: the loss is not finite, a file cannot be written, a state is damaged, or
            the settings do not fit each other. No model is saved then; the last state stays.
        IdentityMismatchError: the weights to start from read other vectors.
        TitleError: a title's vectors are unusable.
    """
    objective = objective or ObjectiveSettings()
    world = world or World()
    _check_settings(model, training)
    target = torch.device(device)
    request = training_request(data, model, objective, training)
    saved = TrainingStates(states, request) if states else None
    world.agree("data or settings", TrainingStates(Path(), request).key)
    if saved and states and world.is_first:
        kept = training.start_from.absolute() if training.start_from else None
        for folder in remove_old_states(states, {saved.folder.absolute(), kept}):
            _log.info("removed %s, an unfinished training that nobody went on with", folder)
    train_titles, validation_titles, kind = split_titles(data, training)
    with _own_randomness(training.seed, target), _threads(threads):
        config = MediaFMConfig.from_settings(
            model,
            data.dimension,
            data.global_size,
            data.ranges,
            data.identities,
            boundary_head=objective.boundary_weight > 0,
        )
        network = MediaFM(config)
        if training.start_from is not None:
            network.load_state_dict(starting_weights(training.start_from, own_settings(config)))
        network.to(target)  # type: ignore[arg-type]  # transformers wraps its signature
        ranges = config.modality_ranges
        run = _Run(
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
                objective.mask_share,
                len(ranges),
                world,
            ),
            saved,
            world,
            keeps_best=training.patience > 0 and kind == "held-out titles",
        )
        run.resume()
        observe = progress if progress and world.is_first else lambda _event: None
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
    course, check = run.course, run.check
    network.eval()
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
        "arithmetic": run.arithmetic,
        "device": target.type,
    }
    if world.is_first:
        folder, identity = save_model(network, record, out)
        if saved:
            saved.remove()
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
) -> dict[str, Any]:
    """Everything that decides the weights of a training, JSON-representable.

    It is part of the record of the trained model. What it starts from is in it by identity and not
    by path.

    Raises:
        ConfigurationError: there is nothing to start from in the folder that is to be started from.
    """
    return {
        "model": model.model_dump(mode="json"),
        "objective": objective.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"start_from"}),
        "titles": {title.title_id: title.data_version for title in data.titles},
        "started_from": starting_identity(training.start_from),
    }


def resolve_arithmetic(training: TrainingSettings, device: torch.device) -> Arithmetic:
    """What the network computes in: `auto` takes bfloat16 on GPUs that have it by nature.

    Weights, losses and updates are float32 either way.
    """
    if training.precision != "auto":
        return training.precision
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"


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


@dataclass
class _Course:
    """How a training has gone so far: what a state keeps beside the tensors."""

    step: int = 0
    shots: int = 0
    places: int = 0  # shots and padding
    recent: list[float] = field(default_factory=list)  # training losses since the last point
    curve: list[CurvePoint] = field(default_factory=list)
    best: CurvePoint | None = None
    waited: int = 0  # validations since the best one

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "_Course":
        values = dict(facts)
        values["curve"] = [CurvePoint(*point) for point in values["curve"]]
        values["best"] = CurvePoint(*values["best"]) if values["best"] else None
        return cls(**values)

    @property
    def kept_step(self) -> int:
        return self.best.step if self.best else self.step

    @property
    def padding_share(self) -> float:
        return 1 - self.shots / self.places


class _Run:
    """One training: the network and all that changes it."""

    def __init__(
        self,
        network: MediaFM,
        objective: ObjectiveSettings,
        settings: TrainingSettings,
        reader: BatchReader,
        check: Validation,
        states: TrainingStates | None,
        world: World,
        keeps_best: bool,
    ) -> None:
        self.network = network
        self.device = network.device
        self.arithmetic = resolve_arithmetic(settings, self.device)
        self.optimisers = Optimisers(network, settings)
        self.check = check
        self.course = _Course()
        self.seconds, self.shots = 0.0, 0  # of this call
        self._settings = settings
        self._reader = reader
        self._states = states
        self._world = world
        self._keeps_best = keeps_best
        self._best: dict[str, torch.Tensor] = {}
        module = Objective(network, objective)
        if settings.compile:
            module.compile()
        self._objective = world.parallel(module)
        self._names: list[str] = []  # of the objective's further terms

    def resume(self) -> None:
        """Take over the state that a killed training left."""
        state = self._states.load() if self._states else None
        if state is None:
            return
        self.network.load_state_dict(_below(WEIGHTS, state.tensors))
        self.optimisers.load(_below(_MOMENTS, state.tensors))
        self._best = _below(_BEST, state.tensors)
        self.course = _Course.from_json(state.facts["course"])

    def descend(self, observe: Observer) -> None:
        """Take all steps that are left, or as many as patience allows."""
        settings, course = self._settings, self.course
        started, first = time.perf_counter(), course.step
        fetched = _FETCHED_STEPS.get(self.device.type, 1)
        pending: list[torch.Tensor] = []
        self.network.train()
        with closing(self._reader.ahead(first + 1, settings.steps)) as steps:
            for step, batches in steps:
                self._seed_dropout(step)
                pending.append(self._step(step, batches))
                course.step = step
                course.shots += batches.counts.shots
                course.places += batches.places
                self.shots += batches.counts.shots
                validates = step % settings.validate_every == 0 or step == settings.steps
                saves = self._states is not None and step % settings.checkpoint_every == 0
                if not (len(pending) == fetched or validates or saves):
                    continue
                loss, terms = self._fetch(pending)
                pending.clear()
                stops = validates and self._validate()
                self.seconds = time.perf_counter() - started
                observe(self._progress(step - first, loss, terms))
                if stops:
                    break
                if saves and step < settings.steps:
                    self._save()
        self._refuse_faulty_weights()

    def take_best(self) -> None:
        """Put the weights of the best validation in place of the last ones, if they are kept."""
        if self._best:
            self.network.load_state_dict(self._best)

    def _step(self, step: int, batches: StepBatches) -> torch.Tensor:
        """Update the network once; returns `[3 + terms]`: total, masked loss, norm, other terms."""
        values: list[torch.Tensor] = []
        count = len(batches.batches)
        for place, batch in enumerate(batches.batches):
            batch = batch.to(self.device, non_blocking=True)
            with without_exchange(self._objective, place < count - 1):
                with self._autocast():
                    losses = cast(Losses, self._objective(batch, batches.counts))
                # Gradients are averaged over the processes, and they should be added up.
                (losses.total * self._world.size).backward()
            self._names = list(losses.terms)
            parts = [losses.total.detach(), losses.masked, *losses.terms.values()]
            values.append(torch.stack([part.float() for part in parts]))
        norm = self.optimisers.step(step)
        total = torch.stack(values).sum(dim=0)
        return torch.cat([total[:2], norm.detach()[None] / self._world.size, total[2:]])

    def _fetch(self, pending: list[torch.Tensor]) -> tuple[float, dict[str, float]]:
        """Wait for the losses of the last steps; returns that of the last one, and its terms."""
        rows = self._world.sum(torch.stack(pending)).tolist()  # [steps][3 + terms]
        for place, (total, masked, norm, *_) in enumerate(rows):
            step = self.course.step - len(rows) + 1 + place
            for what, value in (("loss", total), ("gradient", norm)):
                if not math.isfinite(value):
                    raise self._diverged(f"training {what} is {value} at step {step}")
            self.course.recent.append(masked)
        return rows[-1][1], dict(zip(self._names, rows[-1][3:], strict=True))

    def _validate(self) -> bool:
        """Add a point to the curve; returns whether training has gone on in vain for too long."""
        course = self.course
        loss = self.check.loss(self.network, self.arithmetic)
        point = CurvePoint(course.step, float(np.mean(course.recent)), loss)
        course.curve.append(point)
        course.recent.clear()
        if not self._keeps_best:
            return False
        if course.best is None or loss < course.best.validation_loss:
            self._refuse_faulty_weights()
            course.best, course.waited = point, 0
            weights = self.network.state_dict()
            self._best = {name: each.detach().cpu().clone() for name, each in weights.items()}
        else:
            course.waited += 1
        return course.waited >= self._settings.patience

    def _progress(self, steps: int, loss: float, terms: dict[str, float]) -> Progress:
        course = self.course
        return Progress(
            course.step,
            self._settings.steps,
            loss,
            course.curve[-1].validation_loss if course.curve else None,
            self.shots / self.seconds,
            (self._settings.steps - course.step) * self.seconds / steps,
            terms,
        )

    def _save(self) -> None:
        self._refuse_faulty_weights()
        if self._states is None or not self._world.is_first:
            return
        tensors = {
            **_above(WEIGHTS, self.network.state_dict()),
            **_above(_MOMENTS, self.optimisers.state()),
            **_above(_BEST, self._best),
        }
        facts = {"config": own_settings(self.network.config), "course": asdict(self.course)}
        self._states.save(self.course.step, facts, tensors)

    def _refuse_faulty_weights(self) -> None:
        finite = torch.stack([each.isfinite().all() for each in self.network.parameters()]).all()
        if not finite:
            raise self._diverged(f"weights are not finite after step {self.course.step}")

    def _diverged(self, what: str) -> ConfigurationError:
        settings = self._settings
        state = self._states.latest() if self._states else None
        restart = (
            f", and set training.start_from to {state} to keep what it learnt" if state else ""
        )
        return ConfigurationError(
            f"The {what}: lower training.muon_learning_rate (now {settings.muon_learning_rate}) or "
            f"training.adamw_learning_rate (now {settings.adamw_learning_rate}){restart}."
        )

    def _seed_dropout(self, step: int) -> None:
        """Give every step and process numbers of its own, so that no generator need be saved."""
        seed = np.random.SeedSequence([self._settings.seed % 2**64, step, self._world.rank])
        number = int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _autocast(self) -> torch.autocast:
        enabled = self.arithmetic == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def _above(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


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


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Another number of CPU threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
