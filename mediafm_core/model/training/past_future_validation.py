"""Validation of past against future: its loss and accuracy on fixed crops, without dropout.

The crops are drawn from the titles to validate on as those of training are from theirs, with a seed
of their own, and kept in memory. A batch is as large as in training, because the loss depends on
how many futures are compared.
"""

from collections.abc import Callable

import torch

from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.batches import BatchReader, Plan
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.objective import Batch, Objective, shots_of
from mediafm_core.model.training.past_future import pairs_of, past_future
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.model.training.validation import Validated, sum_over_batches
from mediafm_core.runtime.precision import Precision, autocast

VALIDATION_SHOTS = 4096  # about as many in all crops together, but at least one batch
_MOST_PASSES = 4  # over the shots of the titles: more crops of a few titles say nothing new


class PastFutureValidation:
    """Fixed crops of titles, kept in memory.

    Args:
        data: the catalogue's fused vectors.
        titles: indices of the titles to validate on.
        settings: seed, sequences per batch and length of crops.
        objective: temperature.
        world: the processes that divide the batches among them.

    Attributes:
        shots: number of shots in all crops.
        title_ids: of the titles that they are from.
        baselines: loss of `chance`; empty if no shot has a past that is long enough.
        is_measurable: False if no shot has one, so that all losses are zero.
    """

    def __init__(
        self,
        data: TrainingData,
        titles: list[int],
        settings: TrainingSettings,
        objective: ObjectiveSettings,
        world: World,
    ) -> None:
        self._objective = objective
        # Batches of one process, whatever shares them later.
        fixed = settings.model_copy(
            update={
                "seed": settings.seed + 1,
                "titles_per_batch": settings.titles_per_batch
                // (settings.accumulation * world.size),
                "accumulation": 1,
            }
        )
        plan = Plan(data.shots, titles, fixed, settings.crop_shots)
        reader = BatchReader(data, plan, objective.mask_ratio, fixed)
        batches: list[Batch] = []
        seen: set[int] = set()
        self.shots = 0
        most = min(VALIDATION_SHOTS, _MOST_PASSES * int(data.shots[titles].sum()))
        while self.shots < most and len(batches) < _most_batches(fixed):
            step = len(batches) + 1
            batches += reader.read(step).batches
            drawn = plan.step(step)
            self.shots += int(drawn.lengths.sum())
            seen.update(drawn.titles.tolist())
        self.title_ids = [data.titles[i].title_id for i in sorted(seen)]
        self.baselines = _chance(batches)
        self.is_measurable = bool(self.baselines)
        self._batches = batches[world.rank :: world.size]
        self._world = world

    def measure(
        self,
        network: MediaFM,
        precision: Precision,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Validated:
        """Compute the mean loss of all pairs, and the share whose own future has the best score.

        Args:
            network: runs on its own device.
            precision: of the network.
            progress: called before each batch with the completed fraction.
        """
        objective = Objective(network, self._objective)

        def comparison(batch: Batch) -> torch.Tensor:
            with autocast(network.device, precision):
                directions = network.directions(batch.fused, batch.global_, batch.present)
            found = objective.compare(directions, batch)
            return torch.stack([found.loss, found.correct, _pairs(batch)])

        sums = sum_over_batches(network, self._batches, comparison, 3, progress)
        loss, correct, count = self._world.sum(sums).tolist()
        return Validated(loss / max(1, count), correct / max(1, count))


def _most_batches(settings: TrainingSettings) -> int:
    """Return how many batches are read where titles are much shorter than crops."""
    return max(1, VALIDATION_SHOTS // settings.titles_per_batch // 8)


def _chance(batches: list[Batch]) -> dict[str, float]:
    """Compute the loss of chance, where all futures have the same score."""
    total, pairs = 0.0, 0
    for batch in batches:
        same = batch.fused.new_zeros(*batch.fused.shape[:2], 1)
        total += float(past_future(same, same, batch.present, shots_of(batch), 1.0).loss)
        pairs += int(_pairs(batch))
    return {"chance": total / pairs} if pairs else {}


def _pairs(batch: Batch) -> torch.Tensor:
    count, width = batch.fused.shape[:2]
    present = batch.present
    lengths = (
        torch.full((count,), width, device=batch.fused.device)
        if present is None
        else present.sum(dim=1)
    )
    return pairs_of(lengths).sum()
