"""Split of titles, and the validation loss of masked shots: whole titles under fixed masks.

The masked shots are chosen with the objective's mask ratio and the training's seed, so that
trainings on the same titles with the same ratio and seed have the same masks, and their losses can
be compared with each other. The baselines predict under the same masks.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.identity import digest_of
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.baselines import baseline_predictions
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.masking import Masks, sample_masks
from mediafm_core.model.training.objective import Batch, cosine_distance, take_rows
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.runtime.precision import Precision, autocast

FEWEST_TITLES_TO_SPLIT = 10  # with fewer, training needs every title more than validation does
VALIDATION_SHOTS = 8192  # bound of the shots that a validation keeps in memory
_BATCH_SHOTS = 4096  # padding included

Kind = Literal["held-out titles", "same titles"]


class Validated(NamedTuple):
    """Result of a validation."""

    loss: float
    accuracy: float | None = None  # of past against future


def split_titles(
    data: TrainingData, settings: TrainingSettings
) -> tuple[list[int], list[int], Kind]:
    """Split titles, never the shots of one, into training and held-out titles.

    The side of a title follows from a digest of its id and the seed. With few titles, or a
    `validation_fraction` of 0, all titles are on both sides: validation then has masks or crops
    of its own but no unseen shots, and the kind is "same titles".

    Returns:
        Indices of the titles to train on and to validate on, and the kind of validation.
    """
    everything = list(range(len(data)))
    if len(data) < FEWEST_TITLES_TO_SPLIT or settings.validation_fraction == 0:
        return everything, everything, "same titles"
    held_out = max(1, round(settings.validation_fraction * len(data)))
    by_digest = sorted(
        everything, key=lambda i: digest_of(data.titles[i].title_id, str(settings.seed))
    )
    return sorted(by_digest[held_out:]), by_digest[:held_out], "held-out titles"


class Validation:
    """Fixed titles under fixed masks, kept in memory.

    Args:
        data: the catalogue's fused vectors.
        titles: indices of the titles to validate on, used up to `VALIDATION_SHOTS`.
        max_shots: longest sequence; longer titles are cut.
        settings: seed.
        mask_ratio: of the objective, fraction of masked shots; constant over the training.
        world: the processes that divide the batches among them.

    Attributes:
        shots: number of shots.
        title_ids: their titles.
        baselines: loss of predictions without a network, by name.
        is_measurable: True, because every title has a masked shot.
    """

    is_measurable = True

    def __init__(
        self,
        data: TrainingData,
        titles: list[int],
        max_shots: int,
        settings: TrainingSettings,
        mask_ratio: float,
        world: World,
    ) -> None:
        # A title of one shot has no visible shots to predict it from.
        usable = [i for i in titles if data.shots[i] > 1] or titles
        lengths = np.minimum(data.shots[usable], max_shots)
        enough = int(np.searchsorted(np.cumsum(lengths), VALIDATION_SHOTS)) + 1
        chosen, lengths = usable[:enough], lengths[:enough]
        self.shots = int(lengths.sum())
        self.title_ids = [data.titles[i].title_id for i in chosen]
        generator = torch.Generator().manual_seed(settings.seed + 1)
        masks = [sample_masks(torch.tensor([length]), mask_ratio, generator) for length in lengths]
        fused = [
            torch.tensor(data.read(title, 0, length))
            for title, length in zip(chosen, lengths, strict=True)
        ]
        metadata = torch.from_numpy(data.globals[chosen])
        self.baselines = _baselines(fused, masks)
        batches = [_collate(fused, metadata, masks, indices) for indices in _divide(lengths)]
        self._batches = batches[world.rank :: world.size]
        self._world = world

    def measure(
        self,
        network: MediaFM,
        precision: Precision,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Validated:
        """Compute the mean cosine distance of all masked shots.

        Args:
            network: runs on its own device.
            precision: of the network.
            progress: called before each batch with the completed fraction.
        """

        def distances(batch: Batch) -> torch.Tensor:
            with autocast(network.device, precision):
                output = network(
                    batch.fused,
                    batch.global_,
                    batch.present,
                    batch.masked,
                    batch.first_position,
                    batch.rows,
                )
            distance = cosine_distance(output.reconstruction, take_rows(batch.fused, batch.rows))
            return torch.stack([(distance * batch.row_weights).sum(), batch.row_weights.sum()])

        sums = sum_over_batches(network, self._batches, distances, 2, progress)
        total, count = self._world.sum(sums).tolist()
        return Validated(float(total / count))


@torch.inference_mode()
def sum_over_batches(
    network: MediaFM,
    batches: list[Batch],
    of_batch: Callable[[Batch], torch.Tensor],
    numbers: int,
    progress: Callable[[float], None],
) -> torch.Tensor:
    """Sum the results of batches, with the network in evaluation mode.

    Args:
        network: runs on its own device, to which batches are moved.
        batches: of this process; there may be none.
        of_batch: function that computes a vector of numbers from a batch.
        numbers: length of that vector.
        progress: called before each batch with the completed fraction.

    Returns:
        Sums `[numbers]`, float64, on the network's device.
    """
    training = network.training
    network.eval()
    sums = torch.zeros(numbers, dtype=torch.float64, device=network.device)
    for place, batch in enumerate(batches):
        progress(place / len(batches))
        sums += of_batch(batch.to(network.device))
    network.train(training)
    return sums


def _baselines(fused: list[torch.Tensor], masks: list[Masks]) -> dict[str, float]:
    totals: dict[str, float] = {}
    count = 0
    for shots, mask in zip(fused, masks, strict=True):
        masked = mask.masked[0]  # [n]
        if masked.all():
            continue
        count += int(masked.sum())
        for name, prediction in baseline_predictions(shots, masked).items():
            distance = cosine_distance(prediction[masked], shots[masked]).sum()
            totals[name] = totals.get(name, 0.0) + float(distance)
    return {name: total / count for name, total in totals.items()}


def _divide(lengths: np.ndarray) -> list[np.ndarray]:
    """Group indices of titles into batches of similar lengths."""
    batches: list[list[int]] = [[]]
    for place in np.argsort(-lengths, kind="stable").tolist():
        if batches[-1] and lengths[batches[-1][0]] * (len(batches[-1]) + 1) > _BATCH_SHOTS:
            batches.append([])
        batches[-1].append(place)
    return [np.array(batch) for batch in batches]


def _collate(
    fused: list[torch.Tensor], metadata: torch.Tensor, masks: list[Masks], indices: np.ndarray
) -> Batch:
    lengths = torch.tensor([len(fused[i]) for i in indices])
    present = torch.arange(int(lengths.max())) < lengths[:, None]  # [b, n]
    chosen = [masks[i] for i in indices]
    return Batch(
        fused=pad_sequence([fused[i] for i in indices], batch_first=True),
        global_=metadata[indices],
        present=None if bool(present.all()) else present,
        masked=pad_sequence([mask.masked[0] for mask in chosen], batch_first=True),
        rows=pad_sequence([mask.rows[0] for mask in chosen], batch_first=True),
        row_weights=pad_sequence([mask.row_weights[0] for mask in chosen], batch_first=True),
        first_position=torch.zeros(len(indices), dtype=torch.int64),
        first_shot=torch.zeros(len(indices), dtype=torch.int64),
    )
