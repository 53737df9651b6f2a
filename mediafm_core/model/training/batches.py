"""Sequences of shots that every training step reads.

A step takes runs of consecutive shots ("crops") from several titles, chosen in proportion to their
shots. The crops of `POOL_STEPS` steps are sorted by length before they are divided among these
steps, so that lengths in a step are similar and little is padded; then the steps are shuffled.

The sequences and masks of a step are a function of the seed and of the step alone. So a training is
resumed from its step number, and every process of a data-parallel training draws the whole step and
takes its own sequences of it.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.model.training.masking import Masks, masks_of_step
from mediafm_core.model.training.objective import Batch, Counts
from mediafm_core.model.training.past_future import pairs_of
from mediafm_core.model.training.random_streams import CROPS, random_stream
from mediafm_core.model.training.scene_targets import SceneTargets
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.runtime.prefetch import prefetch

POOL_STEPS = 32  # steps whose crops are sorted together


class StepPlan(NamedTuple):
    """The sequences of one step, the shortest first; int64 `[b]` each."""

    titles: np.ndarray
    starts: np.ndarray  # first shot of the crop in its title
    lengths: np.ndarray
    first_positions: np.ndarray  # of the crop's first shot in the network's sequence


class Plan:
    """Choice of the sequences of each step.

    Args:
        shots: `[titles]` shots of every title of the data.
        titles: indices of those to train on.
        settings: seed, titles per batch, length of crops.
        max_shots: longest sequence of the network. A crop is put at a random position of it, so
            that learnt positions are all trained however short the titles are.
    """

    def __init__(
        self,
        shots: np.ndarray,
        titles: Sequence[int],
        settings: TrainingSettings,
        max_shots: int,
    ) -> None:
        self._titles = np.asarray(titles, dtype=np.int64)
        self._shots = shots[self._titles]
        self._ends = np.cumsum(self._shots)
        self._settings = settings
        self._max_shots = max_shots
        self._pool: tuple[int, list[StepPlan]] = (-1, [])

    def step(self, step: int) -> StepPlan:
        """Return the sequences of a step, counted from 1."""
        pool, place = divmod(step - 1, POOL_STEPS)
        if self._pool[0] != pool:
            self._pool = (pool, self._draw(pool))
        return self._pool[1][place]

    def _draw(self, pool: int) -> list[StepPlan]:
        generator = random_stream(self._settings.seed, CROPS, pool)
        size = self._settings.titles_per_batch
        count = POOL_STEPS * size
        # Shots are drawn from all shots, which chooses titles in proportion to their shots.
        drawn = generator.integers(self._ends[-1], size=count)
        chosen = np.searchsorted(self._ends, drawn, side="right")
        shots = self._shots[chosen]
        lengths = np.minimum(shots, self._settings.crop_shots)
        starts = generator.integers(shots - lengths + 1)
        order = np.argsort(lengths, kind="stable")
        steps = []
        for step in generator.permutation(POOL_STEPS):
            taken = order[step * size : (step + 1) * size]
            room = self._max_shots - int(lengths[taken[-1]]) + 1  # also for padding
            steps.append(
                StepPlan(
                    self._titles[chosen[taken]],
                    starts[taken],
                    lengths[taken],
                    generator.integers(room, size=size),
                )
            )
        return steps


class StepBatches(NamedTuple):
    """One process's part of a step: batches to be computed one after the other."""

    batches: list[Batch]
    counts: Counts
    positions: int  # of the whole step, in all processes: shots and padding


class BatchReader:
    """Reader of the sequences of a step with their masks.

    Args:
        data: the catalogue's fused vectors.
        plan: sequences of each step.
        mask_ratio: fraction of masked shots.
        settings: seed and accumulation.
        rank: of this process.
        processes: that share every step.
        targets: of the scene boundary loss, where the network needs them.
        pinned: put tensors into pinned memory, which a GPU copies from asynchronously.

    Raises:
        ConfigurationError: the sequences of a step cannot be shared out evenly.
    """

    def __init__(
        self,
        data: TrainingData,
        plan: Plan,
        mask_ratio: float,
        settings: TrainingSettings,
        rank: int = 0,
        processes: int = 1,
        pinned: bool = False,
        targets: SceneTargets | None = None,
    ) -> None:
        parts = processes * settings.accumulation
        if settings.titles_per_batch % parts:
            raise ConfigurationError(
                f"training.titles_per_batch is {settings.titles_per_batch}, which {processes} "
                f"processes with training.accumulation {settings.accumulation} cannot share "
                f"evenly: make it a multiple of {parts}."
            )
        self._data = data
        self._first_shots = np.cumsum(data.shots) - data.shots  # [titles]
        self._plan = plan
        self._mask_ratio, self._seed = mask_ratio, settings.seed
        self._size = settings.titles_per_batch // parts
        self._first, self._count = rank * settings.accumulation, settings.accumulation
        self._parts = parts
        self._pinned = pinned
        self._targets = targets

    def read(self, step: int) -> StepBatches:
        """Read the batches of a step that this process computes.

        Raises:
            TitleError: a title's vectors are unusable.
        """
        plan = self._plan.step(step)
        lengths = torch.from_numpy(plan.lengths)
        # Of the whole step, whichever part of it this process reads.
        masks = masks_of_step(step, lengths, self._mask_ratio, self._seed)
        parts = [
            slice(i * self._size, (i + 1) * self._size)
            for i in range(self._first, self._first + self._count)
        ]
        batches = [self._batch(plan, masks, part) for part in parts]
        counts = Counts(
            masked=int(masks.row_weights.sum()),
            shots=int(plan.lengths.sum()),
            pairs=int(pairs_of(lengths).sum()),
        )
        longest = plan.lengths.reshape(self._parts, self._size).max(axis=1)
        return StepBatches(batches, counts, int(longest.sum()) * self._size)

    def prefetch(self, first: int, last: int) -> Generator[tuple[int, StepBatches]]:
        """Yield steps `first` to `last`, each read while the one before it is computed."""
        return prefetch((step, self.read(step)) for step in range(first, last + 1))

    def _batch(self, plan: StepPlan, masks: Masks, part: slice) -> Batch:
        lengths = plan.lengths[part]
        longest = int(lengths.max())
        rows = int((masks.row_weights[part].sum(dim=0) > 0).sum())
        present = np.arange(longest) < lengths[:, None]  # [b, n]
        batch = Batch(
            fused=torch.from_numpy(self._read(plan, part)),
            global_=torch.from_numpy(self._data.globals[plan.titles[part]]),
            present=None if present.all() else torch.from_numpy(present),
            masked=masks.masked[part, :longest].contiguous(),
            rows=masks.rows[part, :rows].contiguous(),
            row_weights=masks.row_weights[part, :rows].contiguous(),
            first_position=torch.from_numpy(plan.first_positions[part]),
            first_shot=torch.from_numpy(self._first_shots[plan.titles[part]] + plan.starts[part]),
            boundaries=self._boundaries(plan, part),
        )
        if not self._pinned:
            return batch
        pinned = {
            name: tensor.pin_memory()
            for name, tensor in batch._asdict().items()
            if tensor is not None
        }
        return batch._replace(**pinned)

    def _boundaries(self, plan: StepPlan, part: slice) -> torch.Tensor | None:
        """Read targets `[b, n, grains]` of the boundary loss, zero in the padding."""
        if self._targets is None:
            return None
        lengths = plan.lengths[part]
        sequences = zip(plan.titles[part], plan.starts[part], lengths, strict=True)
        rows = [
            torch.tensor(self._targets.read(int(title), int(start), int(start + length)))
            for title, start, length in sequences
        ]
        return pad_sequence(rows, batch_first=True)

    def _read(self, plan: StepPlan, part: slice) -> np.ndarray:
        """Read fused vectors `[b, n, d]`, zero in the padding."""
        lengths = plan.lengths[part]
        fused = np.zeros((len(lengths), lengths.max(), self._data.dimension), dtype=np.float32)
        sequences = zip(plan.titles[part], plan.starts[part], lengths, strict=True)
        for place, (title, start, length) in enumerate(sequences):
            fused[place, :length] = self._data.read(title, start, start + length)
        return fused
