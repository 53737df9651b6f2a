"""The steps of a training: forward, backward, update, validation, state.

Imports torch: import this module only where a network is trained.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from pydantic import TypeAdapter

from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.model_files import MODEL_VERSION
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import own_settings
from mediafm_core.model.training.batches import BatchReader, StepBatches
from mediafm_core.model.training.distributed import World, without_exchange
from mediafm_core.model.training.objective import Losses, Objective
from mediafm_core.model.training.optimisers import Optimisers
from mediafm_core.model.training.progress_events import CurvePoint, Observer, Phase, Progress
from mediafm_core.model.training.training_checkpoint import TrainingStates, damaged_state
from mediafm_core.model.training.validation import Validation
from mediafm_core.model.training.warm_start import WEIGHTS
from mediafm_core.runtime.interruption import (
    Interrupt,
    closing_with,
    holding_interrupts_back,
)
from mediafm_core.runtime.precision import autocast, fast_precision

# Steps whose losses are fetched together: asking a GPU for a number waits for all it has to do.
_FETCHED_STEPS = {"cpu": 1, "cuda": 10}
_MOMENTS, _BEST = "optimisers.", "best."  # prefixes of tensors in a state


@dataclass
class Course:
    """How a training has gone so far: what a state keeps beside the tensors."""

    step: int = 0
    shots: int = 0
    places: int = 0  # shots and padding
    recent: list[float] = field(default_factory=list)  # training losses since the last point
    curve: list[CurvePoint] = field(default_factory=list)
    best: CurvePoint | None = None
    waited: int = 0  # validations since the best one

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> "Course":
        """From what `asdict` made of it, by way of JSON."""
        return TypeAdapter(cls).validate_python(dict(facts))

    @property
    def kept_step(self) -> int:
        """The step whose weights are kept."""
        return self.best.step if self.best else self.step

    @property
    def padding_share(self) -> float:
        """Share of the places computed that held no shot."""
        return 1 - self.shots / self.places


class Descent:
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
        self.arithmetic = fast_precision(settings.precision, self.device)
        self.optimisers = Optimisers(network, settings)
        self.check = check
        self.course = Course()
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
        """Take over the state that a killed training left.

        Raises:
            ConfigurationError: it is damaged, or of another network.
        """
        state = self._states.load() if self._states else None
        if state is None:
            return
        try:
            self.network.load_state_dict(state.below(WEIGHTS))
            self.optimisers.load(state.below(_MOMENTS))
            self._best = state.below(_BEST)
            self.course = Course.from_json(state.facts["course"])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[-1].strip()
            raise damaged_state(state.folder, f"it is of another network: {reason}") from None

    def descend(self, observe: Observer) -> None:
        """Take all steps that are left, or as many as patience allows."""
        settings, course = self._settings, self.course
        started, first = time.perf_counter(), course.step
        fetched = _FETCHED_STEPS.get(self.device.type, 1)
        pending: list[torch.Tensor] = []
        self.network.train()
        with (
            closing_with(self._how_far),
            self._whole_steps() as interrupt_came,
            closing(self._reader.ahead(first + 1, settings.steps)) as steps,
        ):
            for step, batches in steps:
                self._seed_dropout(step)
                pending.append(self._step(step, batches))
                course.step = step
                course.shots += batches.counts.shots
                course.places += batches.places
                self.shots += batches.counts.shots
                validates = step % settings.validate_every == 0 or step == settings.steps
                saves = self._states is not None and step % settings.checkpoint_every == 0
                interrupted = interrupt_came()
                if not (len(pending) == fetched or validates or saves or interrupted):
                    continue
                loss, terms = self._fetch(pending)
                pending.clear()
                stops = validates and self._validate(observe)
                self.seconds = time.perf_counter() - started
                observe(self._progress(step - first, loss, terms))
                if stops:
                    break
                if interrupted or (saves and step < settings.steps):
                    observe(Phase("saving its state"))
                    self._save()
                if interrupted:
                    raise Interrupt
        self._refuse_faulty_weights()

    def _whole_steps(self) -> AbstractContextManager[Callable[[], bool]]:
        """Hold interrupts back while steps are taken, so that the last one can be saved.

        Processes that train together would wait for the first one that stops, so those are stopped
        wherever they are, and go on from the last state.
        """
        return holding_interrupts_back() if self._world.size == 1 else nullcontext(bool)

    def _how_far(self) -> str:
        kept = "which is saved" if self._states else "of which nothing is kept"
        return (
            f"training stopped after step {self.course.step} of {self._settings.steps}, {kept}; "
            "the same command goes on"
        )

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
                with autocast(self.device, self.arithmetic):
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

    def _validate(self, observe: Observer) -> bool:
        """Add a point to the curve; returns whether training has gone on in vain for too long."""
        course = self.course
        loss = self.check.loss(
            self.network, self.arithmetic, lambda share: observe(Phase("validating", share))
        )
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
        facts = {
            "model_version": MODEL_VERSION,
            "config": own_settings(self.network.config),
            "course": asdict(self.course),
        }
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


def _above(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}
