"""The loss on whole titles, under masks that never change.

The same shots are hidden whatever the objective is, so that the figure compares trainings with each
other, and with what can be predicted without a network.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.identity import digest_of
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.baselines import baseline_predictions
from mediafm_core.model.training.distributed import World
from mediafm_core.model.training.masking import Masks, sample_masks
from mediafm_core.model.training.objective import Batch, take_rows
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.runtime.precision import Precision, autocast

FEWEST_TITLES_TO_SPLIT = 10  # with fewer, one more to learn from is worth more than the figure
VALIDATION_SHOTS = 8192  # bound of what one validation reads and keeps in memory
_BATCH_SHOTS = 4096  # padding included

Kind = Literal["held-out titles", "same titles"]


def split_titles(
    data: TrainingData, settings: TrainingSettings
) -> tuple[list[int], list[int], Kind]:
    """Divide titles, never the shots of one, into those to train on and those to validate on.

    A title's side follows from a digest of its id and the seed. With few titles, or a validation
    share of 0, all titles serve both sides: validation then has masks of its own, but no unseen
    shots, and the result says "same titles".
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
        titles: places of the titles to validate on; as many as `VALIDATION_SHOTS` allows are.
        max_shots: of a longer title, the leading shots are read.
        settings: seed.
        mask_ratio: share of shots that are hidden.
        modalities: of the fused vectors.
        world: the processes that divide the batches among them.

    Attributes:
        shots: that are read.
        title_ids: that they belong to.
        baselines: loss of predictions without a network, by name.
    """

    def __init__(
        self,
        data: TrainingData,
        titles: list[int],
        max_shots: int,
        settings: TrainingSettings,
        mask_ratio: float,
        modalities: int,
        world: World,
    ) -> None:
        # A shot that is alone in its title is predicted from nothing: no measure of context.
        able = [i for i in titles if data.shots[i] > 1] or titles
        lengths = np.minimum(data.shots[able], max_shots)
        enough = int(np.searchsorted(np.cumsum(lengths), VALIDATION_SHOTS)) + 1
        chosen, lengths = able[:enough], lengths[:enough]
        self.shots = int(lengths.sum())
        self.title_ids = [data.titles[i].title_id for i in chosen]
        generator = torch.Generator().manual_seed(settings.seed + 1)
        objective = ObjectiveSettings(mask_ratio=mask_ratio)
        masks = [
            sample_masks(torch.tensor([length]), None, objective, modalities, generator)
            for length in lengths
        ]
        fused = [
            torch.tensor(data.read(title, 0, length))
            for title, length in zip(chosen, lengths, strict=True)
        ]
        metadata = torch.from_numpy(data.globals[chosen])
        self.baselines = _baselines(fused, masks)
        batches = [_collate(fused, metadata, masks, places) for places in _divide(lengths)]
        self._batches = batches[world.rank :: world.size]
        self._world = world

    @torch.inference_mode()
    def loss(
        self,
        network: MediaFM,
        arithmetic: Precision,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> float:
        """Mean cosine distance of all hidden shots.

        Args:
            network: runs on its own device.
            arithmetic: of the network.
            progress: called before each batch with the share that is done.
        """
        device = network.device
        training = network.training
        network.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        for place, batch in enumerate(self._batches):
            progress(place / len(self._batches))
            batch = batch.to(device)
            with autocast(device, arithmetic):
                output = network(
                    batch.fused,
                    batch.global_,
                    batch.present,
                    batch.masked,
                    batch.first_position,
                    batch.rows,
                )
            distance = _distance(output.reconstruction, take_rows(batch.fused, batch.rows))
            sums += torch.stack([(distance * batch.row_weights).sum(), batch.row_weights.sum()])
        network.train(training)
        total, count = self._world.sum(sums).tolist()
        return float(total / count)


def _distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 1 - functional.cosine_similarity(prediction.float(), target.float(), dim=-1)


def _baselines(fused: list[torch.Tensor], masks: list[Masks]) -> dict[str, float]:
    totals: dict[str, float] = {}
    count = 0
    for shots, mask in zip(fused, masks, strict=True):
        masked = mask.masked[0].any(dim=-1)  # [n]
        if masked.all():
            continue
        count += int(masked.sum())
        for name, prediction in baseline_predictions(shots, masked).items():
            distance = _distance(prediction[masked], shots[masked]).sum()
            totals[name] = totals.get(name, 0.0) + float(distance)
    return {name: total / count for name, total in totals.items()}


def _divide(lengths: np.ndarray) -> list[np.ndarray]:
    """Places of the titles of each batch; like lengths together."""
    batches: list[list[int]] = [[]]
    for place in np.argsort(-lengths, kind="stable").tolist():
        if batches[-1] and lengths[batches[-1][0]] * (len(batches[-1]) + 1) > _BATCH_SHOTS:
            batches.append([])
        batches[-1].append(place)
    return [np.array(batch) for batch in batches]


def _collate(
    fused: list[torch.Tensor], metadata: torch.Tensor, masks: list[Masks], places: np.ndarray
) -> Batch:
    lengths = torch.tensor([len(fused[i]) for i in places])
    present = torch.arange(int(lengths.max())) < lengths[:, None]  # [b, n]
    chosen = [masks[i] for i in places]
    return Batch(
        fused=pad_sequence([fused[i] for i in places], batch_first=True),
        global_=metadata[places],
        present=None if bool(present.all()) else present,
        masked=pad_sequence([mask.masked[0] for mask in chosen], batch_first=True),
        rows=pad_sequence([mask.rows[0] for mask in chosen], batch_first=True),
        row_weights=pad_sequence([mask.row_weights[0] for mask in chosen], batch_first=True),
        dropped=torch.cat([mask.dropped for mask in chosen]),
        first_position=torch.zeros(len(places), dtype=torch.int64),
    )
