"""Training MediaFM by Masked Shot Modeling on the fused vectors of a catalogue.

A step takes runs of consecutive shots ("crops") from several titles, chosen in proportion to their
shots, hides a fifth of the shots and descends on the cosine distance there. A crop is placed at
a random position of the sequence: every position is trained however short the catalogue's titles
are. Validation reads whole titles from position 0, as contextualisation does, with masks that
never change, beside what can be predicted without a network.

The same seed, data, thread count and machine give the same weights, bit for bit on a CPU; global
random state, flags and thread counts are left as they were.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.config import ModelSettings, ObjectiveSettings, TrainingSettings
from mediafm_core.errors import ConfigurationError
from mediafm_core.identity import Identity, digest_of
from mediafm_core.model.baselines import baseline_predictions
from mediafm_core.model.checkpoint import save_model
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.data import TrainingData
from mediafm_core.model.masking import sample_masks
from mediafm_core.model.network import MediaFM
from mediafm_core.model.optimisers import Optimisers, ParameterGroup

FEWEST_TITLES_TO_SPLIT = 10  # with fewer, one more to learn from is worth more than the figure
VALIDATION_SHOTS = 8192  # bound of what one validation reads

Validation = Literal["held-out titles", "same titles"]


class CurvePoint(NamedTuple):
    """Losses at a step: the mean over the training batches since the last point, and validation."""

    step: int
    training_loss: float
    validation_loss: float


class Progress(NamedTuple):
    """What is reported after every step; `validation_loss` is the latest one."""

    step: int
    steps: int
    training_loss: float
    validation_loss: float | None
    shots_per_second: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        folder: where the model was saved.
        identity: of the model.
        network: the trained network, in evaluation mode.
        curve: losses by step.
        baselines: validation loss of predictions without a network, by name.
        validation: whether the validation titles were held out of training.
        validation_titles: their ids.
        groups: parameters by optimiser.
        seconds: wall time of the steps, validation included.
        shots_per_second: shots that passed through the network in training, per second.
    """

    folder: Path
    identity: Identity
    network: MediaFM
    curve: list[CurvePoint]
    baselines: dict[str, float]
    validation: Validation
    validation_titles: list[str]
    groups: list[ParameterGroup]
    seconds: float
    shots_per_second: float


def train(
    data: TrainingData,
    model: ModelSettings,
    training: TrainingSettings,
    out: Path,
    progress: Callable[[Progress], None] | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> TrainingResult:
    """Train a model and save it as a folder below `out`.

    Args:
        data: the catalogue's fused vectors.
        model: shape of the network.
        training: steps, rates, seed.
        out: folder of models; the new one is `out/<identity>`.
        progress: called after every step.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads while training; 0 leaves the number as it is.

    Raises:
        ConfigurationError: the loss is not finite, or the settings do not fit each other. Nothing
            is saved then.
        TitleError: a title's vectors are unusable.
    """
    _check_settings(model, training)
    target = torch.device(device)
    train_titles, validation_titles, kind = split_titles(data, training)
    with _own_randomness(training.seed, target), _threads(threads):
        config = MediaFMConfig.from_settings(
            model, data.dimension, data.global_size, data.ranges, data.identities
        )
        network = MediaFM(config)
        network.to(target)  # type: ignore[arg-type]  # transformers wraps its signature
        sampler = _Sampler(data, train_titles, model.max_shots, training)
        check = _Validation(data, validation_titles, model.max_shots, training, target)
        optimisers = Optimisers(network, training)
        curve, seconds, shots = _descend(network, sampler, check, optimisers, training, progress)
    network.eval()
    record = {
        "model": model.model_dump(),
        "training": training.model_dump(),
        "titles": {title.title_id: title.data_version for title in data.titles},
        "shots": int(data.shots.sum()),
        "curve": [point._asdict() for point in curve],
        "baselines": check.baselines,
        "validation": kind,
        "validation_titles": check.title_ids,
        "validation_shots": check.shots,
        "groups": [group._asdict() for group in optimisers.groups],
    }
    folder, identity = save_model(network, record, out)
    return TrainingResult(
        folder=folder,
        identity=identity,
        network=network,
        curve=curve,
        baselines=check.baselines,
        validation=kind,
        validation_titles=check.title_ids,
        groups=optimisers.groups,
        seconds=seconds,
        shots_per_second=shots / seconds,
    )


def split_titles(
    data: TrainingData, settings: TrainingSettings
) -> tuple[list[int], list[int], Validation]:
    """Divide titles, never the shots of one, into those to train on and those to validate on.

    A title's side follows from a digest of its id and the seed. With few titles, or a validation
    share of 0, all titles serve both sides: validation then has masks of its own, but no unseen
    shots, and the result says "same titles".
    """
    everything = list(range(len(data)))
    if len(data) < FEWEST_TITLES_TO_SPLIT or settings.validation_share == 0:
        return everything, everything, "same titles"
    held_out = max(1, round(settings.validation_share * len(data)))
    by_digest = sorted(
        everything, key=lambda i: digest_of(data.titles[i].title_id, str(settings.seed))
    )
    return sorted(by_digest[held_out:]), by_digest[:held_out], "held-out titles"


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


class _Batch(NamedTuple):
    fused: torch.Tensor  # [b, n, d]
    global_: torch.Tensor  # [b, g]
    present: torch.Tensor  # [b, n]
    masked: torch.Tensor  # [b, n]
    first_position: torch.Tensor  # [b]

    def to(self, device: torch.device) -> "_Batch":
        return _Batch(*(tensor.to(device) for tensor in self))


class _Sampler:
    """Endless random batches of crops."""

    def __init__(
        self,
        data: TrainingData,
        titles: list[int],
        max_shots: int,
        settings: TrainingSettings,
    ) -> None:
        self._data = data
        self._titles = titles
        self._weights = torch.from_numpy(data.shots[titles].astype(np.float64))
        self._max_shots = max_shots
        self._settings = settings
        self._generator = torch.Generator().manual_seed(settings.seed)

    def __iter__(self) -> Iterator[_Batch]:
        while True:
            chosen = torch.multinomial(
                self._weights,
                self._settings.titles_per_batch,
                replacement=True,
                generator=self._generator,
            )
            titles = [self._titles[i] for i in chosen.tolist()]
            crops = [self._crop(title) for title in titles]
            room = self._max_shots - max(len(crop) for crop in crops) + 1
            yield _collate(
                crops,
                self._data.globals[titles],
                self._settings.mask_share,
                self._generator,
                [self._uniform(room) for _ in crops],
            )

    def _crop(self, title: int) -> np.ndarray:
        shots = int(self._data.shots[title])
        length = min(shots, self._settings.crop_shots)
        start = self._uniform(shots - length + 1)
        return self._data.read(title, start, start + length)

    def _uniform(self, bound: int) -> int:
        return int(torch.randint(bound, (), generator=self._generator))


class _Validation:
    """Fixed titles under fixed masks."""

    def __init__(
        self,
        data: TrainingData,
        titles: list[int],
        max_shots: int,
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self._data = data
        self._max_shots = max_shots
        self._settings = settings
        self._device = device
        # A shot that is alone in its title is predicted from nothing: no measure of context.
        able = [i for i in titles if data.shots[i] > 1] or titles
        lengths = np.minimum(data.shots[able], max_shots)
        enough = int(np.searchsorted(np.cumsum(lengths), VALIDATION_SHOTS)) + 1
        self._titles = able[:enough]
        self.shots = int(lengths[:enough].sum())
        self.title_ids = [data.titles[i].title_id for i in self._titles]
        self.baselines = self._baselines()

    @torch.inference_mode()
    def loss(self, network: MediaFM) -> float:
        """Mean masked cosine distance over titles' leading shots."""
        network.eval()
        total, count = 0.0, 0
        for batch in self._batches():
            batch = batch.to(self._device)
            output = network(batch.fused, batch.global_, masked=batch.masked)
            masked = int(batch.masked.sum())
            total += masked * float(
                masked_cosine_distance(output.reconstruction, batch.fused, batch.masked)
            )
            count += masked
        network.train()
        return total / count

    def _baselines(self) -> dict[str, float]:
        totals: dict[str, float] = {}
        count = 0
        for batch in self._batches():
            fused, masked = batch.fused[0], batch.masked[0]
            if masked.all():
                continue
            shots = int(masked.sum())
            count += shots
            for name, prediction in baseline_predictions(fused, masked).items():
                distance = masked_cosine_distance(prediction[None], fused[None], masked[None])
                totals[name] = totals.get(name, 0.0) + shots * float(distance)
        return {name: total / count for name, total in totals.items()}

    def _batches(self) -> Iterator[_Batch]:
        """One title at a time, so that nothing is padded and memory is bounded."""
        generator = torch.Generator().manual_seed(self._settings.seed + 1)
        for title in self._titles:
            stop = min(int(self._data.shots[title]), self._max_shots)
            yield _collate(
                [self._data.read(title, 0, stop)],
                self._data.globals[[title]],
                self._settings.mask_share,
                generator,
                [0],
            )


def _collate(
    sequences: list[np.ndarray],
    global_: np.ndarray,
    mask_share: float,
    generator: torch.Generator,
    first_positions: list[int],
) -> _Batch:
    """Pad sequences of shots to the longest and choose the shots to hide."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    fused = pad_sequence([torch.tensor(sequence) for sequence in sequences], batch_first=True)
    return _Batch(
        fused=fused,
        global_=torch.from_numpy(global_),
        present=torch.arange(fused.shape[1]) < lengths[:, None],
        masked=sample_masks(
            lengths, None, ObjectiveSettings(mask_share=mask_share), 1, generator
        ).masked[..., 0],
        first_position=torch.tensor(first_positions),
    )


def _descend(
    network: MediaFM,
    sampler: _Sampler,
    check: _Validation,
    optimisers: Optimisers,
    settings: TrainingSettings,
    progress: Callable[[Progress], None] | None,
) -> tuple[list[CurvePoint], float, int]:
    """Take all steps; returns the curve, the seconds and the number of shots seen."""
    started = time.perf_counter()
    curve: list[CurvePoint] = []
    recent: list[float] = []
    shots = 0
    validation_loss: float | None = None
    network.train()
    for step, batch in zip(range(1, settings.steps + 1), sampler, strict=False):
        batch = batch.to(network.device)
        output = network(*batch)
        loss = masked_cosine_distance(output.reconstruction, batch.fused, batch.masked)
        training_loss = float(loss.detach())
        if not math.isfinite(training_loss):
            raise ConfigurationError(
                f"The training loss is {training_loss} at step {step}: lower "
                f"training.muon_learning_rate (now {settings.muon_learning_rate}) or "
                f"training.adamw_learning_rate (now {settings.adamw_learning_rate})."
            )
        optimisers.step(loss)
        recent.append(training_loss)
        shots += int(batch.present.sum())
        if step % settings.validate_every == 0 or step == settings.steps:
            validation_loss = check.loss(network)
            curve.append(CurvePoint(step, float(np.mean(recent)), validation_loss))
            recent.clear()
        if progress:
            rate = shots / (time.perf_counter() - started)
            progress(Progress(step, settings.steps, training_loss, validation_loss, rate))
    return curve, time.perf_counter() - started, shots


def masked_cosine_distance(
    prediction: torch.Tensor, target: torch.Tensor, masked: torch.Tensor
) -> torch.Tensor:
    """Mean of `1 - cos` over the masked shots."""
    cosine = torch.nn.functional.cosine_similarity(
        prediction[masked].float(), target[masked].float(), dim=-1
    )
    return (1.0 - cosine).mean()


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for initial weights and dropout, and restore them afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
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
