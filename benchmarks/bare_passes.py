"""Bare passes of a network: the reference rates of `benchmarks.training_speed`."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import torch
from torch.utils.flop_counter import FlopCounterMode

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.inference.batching import TitleInput, inference
from mediafm_core.inference.whole_title import contextualise_titles
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.batches import BatchReader, Plan, StepBatches
from mediafm_core.model.training.objective import Objective
from mediafm_core.model.training.optimisers import Optimisers
from mediafm_core.model.training.scene_targets import SceneTargets
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.runtime.precision import Precision
from mediafm_core.vectors import to_numpy

CLOCKS = {"cuda": time.perf_counter, "cpu": time.process_time}
WARM_UP = 10  # steps before the clock starts; a multiple of the steps fetched together on a GPU


class BareTraining:
    """The passes of a training over batches that are ready on the device."""

    def __init__(
        self,
        data: TrainingData,
        model: ModelSettings,
        training: TrainingSettings,
        network: MediaFM,
        arithmetic: Precision,
    ) -> None:
        plan = Plan(data.shots, range(len(data)), training, model.max_shots)
        targets = SceneTargets(data, network.slow_features)
        reader = BatchReader(data, plan, ObjectiveSettings().mask_ratio, training, targets=targets)
        steps = [reader.read(step) for step in range(WARM_UP + 1, training.steps)]
        self.shots = sum(step.counts.shots for step in steps)
        self.padding_share = 1 - self.shots / sum(step.positions for step in steps)
        self._warm_up = [self._on_device(reader.read(step), network) for step in (1, 2, 3)]
        self._steps = [self._on_device(step, network) for step in steps]
        self._objective = Objective(network, ObjectiveSettings())
        if training.compile:
            self._objective.compile()
        self._optimisers = Optimisers(network, training)
        self._arithmetic = arithmetic
        self.device = network.device

    def shots_per_second(self, with_update: bool) -> float:
        """Measure forward and backward passes, with or without the optimisers' step."""
        self._objective.train()
        for step in self._warm_up:
            self._pass(step, with_update)
        return self.shots / timed(self.device, lambda: self._all(with_update))

    def operations_per_shot(self) -> float:
        """Count floating-point operations of forward and backward, padding included."""
        with FlopCounterMode(display=False) as counter:
            for step in self._warm_up:
                self._pass(step, with_update=False)
        return counter.get_total_flops() / sum(step.counts.shots for step in self._warm_up)

    def _all(self, with_update: bool) -> None:
        for step in self._steps:
            self._pass(step, with_update)

    def _pass(self, step: StepBatches, with_update: bool) -> None:
        for batch in step.batches:
            with self._autocast():
                losses = self._objective(batch, step.counts)
            losses.total.backward()
        if with_update:
            self._optimisers.step(1)
        else:
            self._objective.zero_grad()

    def _autocast(self) -> torch.autocast:
        enabled = self._arithmetic == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    @staticmethod
    def _on_device(step: StepBatches, network: MediaFM) -> StepBatches:
        return step._replace(batches=[batch.to(network.device) for batch in step.batches])


class BareReading:
    """Contextualisation from files, and the forward passes that it consists of."""

    def __init__(self, network: MediaFM, arithmetic: Precision) -> None:
        self._network = network
        self._arithmetic = arithmetic
        self._batches: list[tuple[Any, ...]] = []
        self._shots = 0.0

    def real(self, data: TrainingData) -> float:
        """Measure shots per second of contextualising every title, from file to vectors."""
        with inference(self._network):
            self._read(data, count=min(len(data), 8))
            seconds = timed(self._network.device, lambda: self._read(data, len(data)))
        return float(data.shots.sum()) / seconds

    def bare(self, data: TrainingData) -> float:
        """Measure shots per second of the forward passes alone, over the same batches."""
        if not self._batches:
            self._record(data)
            self._shots = float(data.shots.sum())
        with inference(self._network):
            self._replay(3)
            seconds = timed(self._network.device, lambda: self._replay(len(self._batches)))
        return float(data.shots.sum()) / seconds

    def operations_per_shot(self) -> float:
        """Count floating-point operations of the forward passes, overlaps of windows included."""
        with inference(self._network), FlopCounterMode(display=False) as counter:
            self._replay(len(self._batches))
        return float(counter.get_total_flops() / self._shots)

    def _read(self, data: TrainingData, count: int) -> None:
        for _ in contextualise_titles(
            self._network, stored(data.titles[:count]), precision=self._arithmetic
        ):
            pass

    def _record(self, data: TrainingData) -> None:
        contextual = self._network.contextual

        def recording(*inputs: Any) -> Any:
            self._batches.append(inputs)
            return contextual(*inputs)

        with patch.object(self._network, "contextual", recording), inference(self._network):
            self._read(data, len(data))

    def _replay(self, count: int) -> None:
        enabled = self._arithmetic == "bfloat16"
        with torch.autocast(self._network.device.type, torch.bfloat16, enabled=enabled):
            for inputs in self._batches[:count]:
                self._network.contextual(*inputs)


def stored(titles: list[TitleSource]) -> Iterator[TitleInput]:
    """Yield titles, each read from its file when it is requested."""
    for title in titles:
        fused = to_numpy(pq.ParquetFile(title.path, memory_map=True).read()["embedding"])
        yield TitleInput(fused, title.global_vector, title.title_id)


def timed(device: torch.device, work: Callable[[], Any]) -> float:
    """Return the seconds that work takes, until the device has done all of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    clock = clock_of(device)
    began = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - began


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return the clock: CPU time of this process, or with a GPU the wall clock."""
    return CLOCKS[device.type]
