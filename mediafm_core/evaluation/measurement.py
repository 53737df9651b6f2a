"""One evaluation: representations of a data set's units, linear probes on them, and their metrics.

For each seed, titles are divided into folds. For each fold, networks and probes are trained on the
other titles. Each unit is tested once per seed. `mediafm evaluate` calls `evaluate`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.config.presets import PRESET_NAMES
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.bootstrap import BASELINES, measure
from mediafm_core.evaluation.cpu_clock import CpuClock
from mediafm_core.evaluation.evaluation_sources import EvaluationSource
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.folds import folds_of
from mediafm_core.evaluation.metrics import metric_names
from mediafm_core.evaluation.networks import Log
from mediafm_core.evaluation.probe_scores import ProbeScores
from mediafm_core.evaluation.probes import out_of_fold_scores
from mediafm_core.evaluation.representations import (
    IN_CONTEXT,
    STRONGEST,
    ablations,
    default_names,
    require_free_names,
    without_training,
)
from mediafm_core.evaluation.results import Evaluation, Report, Result
from mediafm_core.evaluation.saved_results import require_writable
from mediafm_core.evaluation.seed_representations import SeedRepresentations
from mediafm_core.evaluation.units import NotMeasurableError, Units
from mediafm_core.runtime.progress import Show, WorkProgress, percent, rate, time_left

_FOLDS, _FOLDS_OF_RANKING = 5, 10


def evaluate(
    settings: Settings,
    source: EvaluationSource,
    labels: Sequence[str],
    *,
    task: Task | None = None,
    representations: Sequence[str] | None = None,
    with_ablations: bool = False,
    folds: int | None = None,
    seeds: Sequence[int] | None = None,
    bootstrap: int | None = None,
    work: Path | None = None,
    log: Log = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> Report:
    """Measure how well linear probes predict labels from representations.

    Args:
        settings: Model, objective and training of the folds' networks, device, store of the
            catalogue, and defaults of the arguments below.
        source: Source of units, labels and networks.
        labels: Names of labels; several make one multilabel task.
        task: Task of the probes; None infers it from the labels.
        representations: Names, see `mediafm_core.evaluation.representations`; None takes the
            defaults for the data set.
        with_ablations: Add the ablations.
        folds: Number of folds that the titles are divided into; None takes the setting.
        seeds: Seeds, one for each repetition; None takes the number in the settings, from 0 on.
        bootstrap: Number of draws of titles for the intervals; None takes the setting.
        work: Folder that keeps networks and their vectors for later calls; None takes a temporary
            one.
        log: Callback for a line about each step.
        progress: Callback for the state of the work, counted in representations times seeds.

    Returns:
        A report that depends on data, settings and seeds alone, apart from its duration.

    Raises:
        MediaFMError: The data or labels cannot be used, or a representation's name is unknown.
        ConfigurationError: No label or representation is named, `work` is not writable, or a model
            or the settings cannot be used.
        StoreError: The catalogue cannot be used.
    """
    if not labels or (representations is not None and not representations):
        what = "label" if not labels else "representation"
        raise ConfigurationError(f"No {what} is named: name one, or several with commas.")
    started, clock = time.perf_counter(), CpuClock()
    progress(WorkProgress("reading the data"))
    units = source.units(settings, labels, task)
    require_free_names(units)
    names = _names(settings, source, units, representations, with_ablations)
    known = units.labels
    titles = np.array(units.titles)[units.title_of]  # [n]
    chosen = list(range(settings.evaluation.seeds)) if seeds is None else list(seeds)
    fold_limit = folds or settings.evaluation.folds
    if fold_limit is None:
        fold_limit = _FOLDS_OF_RANKING if known.task == "ranking" else _FOLDS
    folds_by_seed = [folds_of(titles, known, fold_limit, seed) for seed in chosen]
    fold_count = int(folds_by_seed[0].max()) + 1
    labelled = len(np.unique(titles[known.known]))
    log(
        f"{known.task} of {known.name}: {int(known.known.sum()):,} labelled units of "
        f"{labelled:,} titles in {fold_count} folds"
    )
    state = _Progress(progress, len(chosen) * len(names), estimates=not source.trains)
    state.show("opening the models")
    scores = ProbeScores(units, chosen, folds_by_seed)
    unmeasured: dict[str, str] = {}
    networks: list[dict[str, Any]] = []
    with _folder(work) as folder:
        by_seed = [
            SeedRepresentations(
                settings, source, units, fold_of, seed, names, folder, log, state.show, clock
            )
            for seed, fold_of in zip(chosen, folds_by_seed, strict=True)
        ]
        for of_seed in by_seed:
            for name in names:
                state.begin(f"seed {of_seed.seed}: {name}")
                training_metrics: dict[int, float] = {}
                try:
                    with clock.working("probes", name):
                        found = out_of_fold_scores(
                            of_seed.make(name),
                            known,
                            titles,
                            of_seed.fold_of,
                            of_seed.seed,
                            state.part,
                            training_metrics.__setitem__,
                        )
                except NotMeasurableError as error:
                    unmeasured[name] = str(error)
                else:
                    scores.add(name, of_seed.seed, found, training_metrics)
                state.end()
            networks += of_seed.models() if source.trains else []
    draws = bootstrap or settings.evaluation.bootstrap_samples
    state.show("intervals over titles")
    strongest = scores.add_strongest(STRONGEST, without_training(names, units))
    compares_networks = any(
        name.startswith(f"{IN_CONTEXT}_") or "@" in name or name in PRESET_NAMES for name in names
    )
    baselines = [*BASELINES, *(list(strongest) if len(strongest) == 1 else [])]
    with clock.working("intervals"):
        evaluation = measure(
            scores.lists(),
            known,
            titles,
            baselines=list(dict.fromkeys([*baselines, *([IN_CONTEXT] * compares_networks)])),
            draws=draws,
            seed=chosen[0],
        )
    facts = source.facts(settings)
    return Report(
        source=units.source,
        label=known.name,
        task=known.task,
        classes=known.classes,
        titles=labelled,
        units=int(known.known.sum()),
        folds=fold_count,
        seeds=chosen,
        bootstrap=draws,
        seconds=time.perf_counter() - started,
        model={**facts, "networks": networks} if networks else facts,
        evaluation=_with_reasons(evaluation, known.task, unmeasured),
        strongest=strongest,
        cpu_seconds=clock.seconds(),
        scores=scores,
    )


class _Progress:
    """Progress of an evaluation: number of measured representations, and share of the current one.

    Args:
        callback: Called whenever the progress changes.
        total: Number of representations times seeds.
        estimates: Estimate the time left. It is not estimated where networks are trained, because
            a training takes far longer than a probe.
    """

    def __init__(self, callback: Show, total: int, estimates: bool) -> None:
        self._callback = callback
        self._total = total
        self._estimates = estimates
        self._started = time.monotonic()
        self._done = 0
        self._share = 0.0  # of the current representation
        self._what = ""

    def begin(self, what: str) -> None:
        """Begin a representation."""
        self._what = what
        self.part(0.0)

    def part(self, share: float) -> None:
        """Set the share of the current representation that is done."""
        self._share = share
        self.show(f"{self._what} {percent(share)}")

    def end(self) -> None:
        """Count the current representation as done."""
        self._done, self._share = self._done + 1, 0.0

    def show(self, what: str) -> None:
        """Report the current step with the progress so far."""
        done, seconds = self._done + self._share, time.monotonic() - self._started
        share = done / self._total
        self._callback(
            WorkProgress(
                what,
                share,
                self._done,
                self._total,
                "representations",
                rate(done, seconds, "representations") if self._estimates else "",
                time_left(share, seconds) if self._estimates else None,
            )
        )


def _with_reasons(evaluation: Evaluation, task: Task, reasons: Mapping[str, str]) -> Evaluation:
    """Add a row with the reason for each representation without scores."""
    rows = [
        Result(name, metric, None, None, None, reason)
        for name, reason in reasons.items()
        for metric in metric_names(task)
    ]
    return replace(evaluation, results=[*evaluation.results, *rows])


def _names(
    settings: Settings,
    source: EvaluationSource,
    units: Units,
    representations: Sequence[str] | None,
    with_ablations: bool,
) -> list[str]:
    names = default_names(units) if representations is None else list(representations)
    names += source.others(settings)
    if with_ablations:
        names += ablations(units, settings.model.missing_modality, trained=source.trains)
    return list(dict.fromkeys(names))


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        require_writable(work)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
        yield Path(folder)
