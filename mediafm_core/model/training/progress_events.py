"""Training progress events: one at the start, one after every few steps, phases in between.

Plain values without torch, so that a display does not have to import it. The processes of a
training send them as lines of JSON.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from mediafm_core.runtime.progress import Show, WorkProgress, percent


class ParameterGroup(NamedTuple):
    """One row of the table of parameter groups."""

    name: str
    optimiser: str
    tensors: int
    parameters: int


class CurvePoint(NamedTuple):
    """Losses at a step: the mean over the training batches since the last point, and validation.

    `validation_accuracy` is the share of shots whose future was found from their past, for a
    network that reads in two directions.
    """

    step: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float | None = None

    def as_record(self) -> dict[str, float]:
        """Return the values that were measured, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Started(NamedTuple):
    """Event before the first step.

    Attributes:
        step: steps that are complete: 0, or those of the training that is resumed.
        steps: of the whole training.
        groups: parameters by optimiser.
        titles: to train on.
        shots: of these titles.
        device: such as `cpu` or `cuda:0`, with the precision.
        processes: that share each step.
    """

    step: int
    steps: int
    groups: list[ParameterGroup]
    titles: int
    shots: int
    device: str
    processes: int

    def lines(self) -> list[str]:
        """Return lines for a log."""
        table = [
            f"{group.name}: {group.optimiser}, {group.tensors} tensors, "
            f"{group.parameters:,} parameters"
            for group in self.groups
        ]
        begun = f"resuming after step {self.step} of" if self.step else "training for"
        processes = f", {self.processes} processes" if self.processes > 1 else ""
        where = f"{begun} {self.steps} steps on {self.device}{processes}: "
        return [where + f"{self.shots:,} shots of {self.titles:,} titles", *table]


class Progress(NamedTuple):
    """Event after a step; `validation_loss` is the latest one, None before the first.

    `terms` are the losses beside the main one, and the accuracy of past against future, by name.
    """

    step: int
    steps: int
    training_loss: float
    validation_loss: float | None
    shots_per_second: float
    seconds_left: float
    terms: Mapping[str, float] = MappingProxyType({})
    validation_accuracy: float | None = None

    def lines(self) -> list[str]:
        """Return lines for a log."""
        known = self.validation_loss is not None
        validation = f", validation loss {self.validation_loss:.4f}" if known else ""
        if self.validation_accuracy is not None:
            validation += f", validation accuracy {self.validation_accuracy:.1%}"
        terms = "".join(f", {name} {value:.4f}" for name, value in self.terms.items())
        return [
            f"step {self.step} of {self.steps}: training loss {self.training_loss:.4f}{terms}"
            f"{validation}, {self.shots_per_second:,.0f} shots per second, "
            f"{self.seconds_left:.0f} s left"
        ]


class Phase(NamedTuple):
    """Event of work beside the steps, such as "validating"; `share` is the completed fraction."""

    what: str
    share: float | None = None

    def lines(self) -> list[str]:
        """Return lines for a log."""
        return [self.what if self.share is None else f"{self.what} {percent(self.share)}"]


Event = Started | Progress | Phase
Observer = Callable[[Event], None]
_EVENTS: dict[str, type[Event]] = {"started": Started, "progress": Progress, "phase": Phase}


class TrainingProgress:
    """Progress of a training for a display, from its events."""

    def __init__(self) -> None:
        self._losses = ""
        self._latest = WorkProgress("training")

    def state(self, event: Event) -> WorkProgress:
        """Process an event and return the progress after it; counts are steps."""
        match event:
            case Phase():
                doing = f"training: {event.lines()[0]}{self._losses}"
                self._latest = replace(self._latest, doing=doing)
            case Started():
                share = event.step / event.steps
                self._latest = WorkProgress(
                    "training: first step", share, event.step, event.steps, "steps"
                )
            case Progress():
                known = event.validation_loss is not None
                validation = f", validation {event.validation_loss:.4f}" if known else ""
                self._losses = f", loss {event.training_loss:.4f}{validation}"
                self._latest = WorkProgress(
                    f"training{self._losses}",
                    event.step / event.steps,
                    event.step,
                    event.steps,
                    "steps",
                    f"{event.shots_per_second:,.0f} shots/s",
                    event.seconds_left,
                )
        return self._latest


def training_observer(show: Show, write: Callable[[str], None]) -> Observer:
    """Return a callback that writes the lines of the start and shows progress after each event."""
    progress = TrainingProgress()

    def observe(event: Event) -> None:
        if isinstance(event, Started):
            for line in event.lines():
                write(line)
        show(progress.state(event))

    return observe


def to_json(event: Event) -> str:
    """Return an event as one line of JSON."""
    kind = next(name for name, found in _EVENTS.items() if isinstance(event, found))
    values = event._asdict()
    if isinstance(event, Progress):
        values["terms"] = dict(event.terms)
    return json.dumps({"event": kind, **values})


def from_json(document: dict) -> Event:
    """Return the event of an object that `to_json` wrote.

    Raises:
        KeyError, TypeError: it is no event.
    """
    values = dict(document)
    event = _EVENTS[values.pop("event")]
    if "groups" in values:
        values["groups"] = [ParameterGroup(*group) for group in values["groups"]]
    return event(**values)
