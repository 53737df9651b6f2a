"""Training loop: forward, backward, update, validation, checkpoint.

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
from mediafm_core.model.training.distributed import World, without_gradient_sync
from mediafm_core.model.training.objective import Losses, Objective
from mediafm_core.model.training.optimisers import Optimisers
from mediafm_core.model.training.past_future_validation import PastFutureValidation
from mediafm_core.model.training.progress_events import CurvePoint, Observer, Phase, Progress
from mediafm_core.model.training.training_checkpoint import Checkpoints, damaged_checkpoint
from mediafm_core.model.training.validation import Validation
from mediafm_core.model.training.warm_start import WEIGHTS
from mediafm_core.runtime.interruption import (
    Interrupt,
    closing_with,
    deferring_interrupts,
)
from mediafm_core.runtime.precision import autocast, fast_precision

# Steps whose losses are fetched together: reading a number from a GPU waits for all its work.
_FETCHED_STEPS = {"cpu": 1, "cuda": 10}
_MOMENTS, _BEST = "optimisers.", "best."  # prefixes of tensors in a checkpoint
_STATE = "course"  # stored name of the trainer state in a checkpoint's metadata


@dataclass
class TrainerState:
    """Progress of a training: the part of a checkpoint that is not tensors."""

    step: int = 0
    shots: int = 0
    places: int = 0  # positions of shots and padding; the stored name
    recent: list[float] = field(default_factory=list)  # training losses since the last point
    curve: list[CurvePoint] = field(default_factory=list)
    best: CurvePoint | None = None
    waited: int = 0  # validations since the best one

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "TrainerState":
        """Restore a state from JSON of its `asdict`."""
        return TypeAdapter(cls).validate_python(dict(document))

    @property
    def kept_step(self) -> int:
        """Step whose weights are kept."""
        return self.best.step if self.best else self.step

    @property
    def padding_share(self) -> float:
        """Share of the computed positions that held no shot."""
        return 1 - self.shots / self.places


class TrainingLoop:
    """Training of one network.

    Attributes:
        state: progress of the training, that of resumed runs included.
        seconds: wall time of the steps of this call.
        shots: that passed through the network in this call.
        steps: of the whole training.
    """

    def __init__(
        self,
        network: MediaFM,
        objective: ObjectiveSettings,
        settings: TrainingSettings,
        reader: BatchReader,
        validation: Validation | PastFutureValidation,
        checkpoints: Checkpoints | None,
        world: World,
        keeps_best: bool,
    ) -> None:
        self.network = network
        self.device = network.device
        self.precision = fast_precision(settings.precision, self.device)
        self.optimisers = Optimisers(network, settings)
        self.validation = validation
        self.state = TrainerState()
        self.seconds, self.shots = 0.0, 0
        self.steps = settings.planned_steps
        self._settings = settings
        self._reader = reader
        self._checkpoints = checkpoints
        self._world = world
        self._keeps_best = keeps_best
        self._best: dict[str, torch.Tensor] = {}
        module = Objective(network, objective)
        if settings.compile:
            module.compile()
        self._objective = world.parallel(module)
        self._names: list[str] = []  # of the objective's other terms

    def resume(self) -> None:
        """Load the checkpoint that a killed training left, if there is one.

        Raises:
            ConfigurationError: it is damaged, or of another network.
        """
        checkpoint = self._checkpoints.load() if self._checkpoints else None
        if checkpoint is None:
            return
        try:
            self.network.load_state_dict(checkpoint.below(WEIGHTS))
            self.optimisers.load(checkpoint.below(_MOMENTS))
            self._best = checkpoint.below(_BEST)
            self.state = TrainerState.from_json(checkpoint.metadata[_STATE])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[-1].strip()
            raise damaged_checkpoint(
                checkpoint.folder, f"it is of another network: {reason}"
            ) from None

    def run(self, observe: Observer) -> None:
        """Take all remaining steps, or stop early as `patience` says.

        Args:
            observe: called with every progress event.

        Raises:
            ConfigurationError: the training diverged, or a checkpoint cannot be written.
            Interrupt: the process was interrupted; the last step is saved.
        """
        settings, state = self._settings, self.state
        started, first = time.perf_counter(), state.step
        fetched = _FETCHED_STEPS.get(self.device.type, 1)
        pending: list[torch.Tensor] = []
        self.network.train()
        with (
            closing_with(self._stopped_message),
            self._whole_steps() as was_interrupted,
            closing(self._reader.prefetch(first + 1, self.steps)) as steps,
        ):
            for step, batches in steps:
                self._seed_dropout(step)
                pending.append(self._step(step, batches))
                state.step = step
                state.shots += batches.counts.shots
                state.places += batches.positions
                self.shots += batches.counts.shots
                validates = step % settings.validate_every == 0 or step == self.steps
                saves = self._checkpoints is not None and step % settings.checkpoint_every == 0
                interrupted = was_interrupted()
                if not (len(pending) == fetched or validates or saves or interrupted):
                    continue
                loss, terms = self._fetch(pending)
                pending.clear()
                stops = validates and self._validate(observe)
                self.seconds = time.perf_counter() - started
                observe(self._progress(step - first, loss, terms))
                if stops:
                    break
                if interrupted or (saves and step < self.steps):
                    observe(Phase("saving a checkpoint"))
                    self._save()
                if interrupted:
                    raise Interrupt
        self._require_finite_weights()

    def _whole_steps(self) -> AbstractContextManager[Callable[[], bool]]:
        """Defer interrupts until a step is complete, so that it can be saved.

        Processes that train together would wait for the first one that stops, so those stop at once
        and resume from the last checkpoint.
        """
        return deferring_interrupts() if self._world.size == 1 else nullcontext(bool)

    def _stopped_message(self) -> str:
        saved = "which is saved" if self._checkpoints else "and no step is saved"
        return (
            f"training stopped after step {self.state.step} of {self.steps}, {saved}; "
            "the same command resumes it"
        )

    def restore_best_weights(self) -> None:
        """Load the weights of the best validation, if they are kept, in place of the last ones."""
        if self._best:
            self.network.load_state_dict(self._best)

    def _step(self, step: int, batches: StepBatches) -> torch.Tensor:
        """Update the network once; return `[3 + terms]`: total, main loss, norm, other terms."""
        values: list[torch.Tensor] = []
        count = len(batches.batches)
        for index, batch in enumerate(batches.batches):
            batch = batch.to(self.device, non_blocking=True)
            with without_gradient_sync(self._objective, index < count - 1):
                with autocast(self.device, self.precision):
                    losses = cast(Losses, self._objective(batch, batches.counts))
                # Gradients are averaged over the processes, and the step needs their sum.
                (losses.total * self._world.size).backward()
            self._names = list(losses.terms)
            parts = [losses.total.detach(), losses.main, *losses.terms.values()]
            values.append(torch.stack([part.float() for part in parts]))
        norm = self.optimisers.step(step)
        total = torch.stack(values).sum(dim=0)
        return torch.cat([total[:2], norm.detach()[None] / self._world.size, total[2:]])

    def _fetch(self, pending: list[torch.Tensor]) -> tuple[float, dict[str, float]]:
        """Wait for the losses of the last steps; return that of the last one, and its terms."""
        rows = self._world.sum(torch.stack(pending)).tolist()  # [steps][3 + terms]
        for index, (total, main, norm, *_) in enumerate(rows):
            step = self.state.step - len(rows) + 1 + index
            for what, value in (("loss", total), ("gradient", norm)):
                if not math.isfinite(value):
                    raise self._diverged(f"training {what} is {value} at step {step}")
            self.state.recent.append(main)
        return rows[-1][1], dict(zip(self._names, rows[-1][3:], strict=True))

    def _validate(self, observe: Observer) -> bool:
        """Add a point to the curve; return True if `patience` is exhausted."""
        state = self.state
        loss, accuracy = self.validation.measure(
            self.network, self.precision, lambda share: observe(Phase("validating", share))
        )
        point = CurvePoint(state.step, float(np.mean(state.recent)), loss, accuracy)
        state.curve.append(point)
        state.recent.clear()
        if not self._keeps_best:
            return False
        if state.best is None or loss < state.best.validation_loss:
            self._require_finite_weights()
            state.best, state.waited = point, 0
            weights = self.network.state_dict()
            self._best = {name: each.detach().cpu().clone() for name, each in weights.items()}
        else:
            state.waited += 1
        return state.waited >= self._settings.patience

    def _progress(self, steps: int, loss: float, terms: dict[str, float]) -> Progress:
        state = self.state
        latest = state.curve[-1] if state.curve else None
        return Progress(
            state.step,
            self.steps,
            loss,
            latest.validation_loss if latest else None,
            self.shots / self.seconds,
            (self.steps - state.step) * self.seconds / steps,
            terms,
            latest.validation_accuracy if latest else None,
        )

    def _save(self) -> None:
        self._require_finite_weights()
        if self._checkpoints is None or not self._world.is_first:
            return
        tensors = {
            **_with_prefix(WEIGHTS, self.network.state_dict()),
            **_with_prefix(_MOMENTS, self.optimisers.state()),
            **_with_prefix(_BEST, self._best),
        }
        metadata = {
            "model_version": MODEL_VERSION,
            "config": own_settings(self.network.config),
            _STATE: asdict(self.state),
        }
        self._checkpoints.save(self.state.step, metadata, tensors)

    def _require_finite_weights(self) -> None:
        finite = torch.stack([each.isfinite().all() for each in self.network.parameters()]).all()
        if not finite:
            raise self._diverged(f"weights are not finite after step {self.state.step}")

    def _diverged(self, what: str) -> ConfigurationError:
        settings = self._settings
        checkpoint = self._checkpoints.latest() if self._checkpoints else None
        restart = (
            f", and set training.start_from to {checkpoint} to keep what it learnt"
            if checkpoint
            else ""
        )
        rates = [f"training.adamw_learning_rate (now {settings.adamw_learning_rate})"]
        if settings.optimiser == "muon":
            rates.insert(0, f"training.muon_learning_rate (now {settings.muon_learning_rate})")
        return ConfigurationError(f"The {what}: lower {' or '.join(rates)}{restart}.")

    def _seed_dropout(self, step: int) -> None:
        """Seed dropout from step and process, so that no generator has to be saved."""
        seed = np.random.SeedSequence([self._settings.seed % 2**64, step, self._world.rank])
        number = int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)


def _with_prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}
