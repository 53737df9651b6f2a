"""One measurement: representations of a data set's units, probes on them, and what they are worth.

For each seed, titles are divided into folds; for each fold, networks and probes learn from the
other titles; each unit is tested once. `mediafm evaluate` is this.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.bootstrap import BASELINES, measure
from mediafm_core.evaluation.evaluation_sources import EvaluationSource
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.evaluation.folds import folds_of
from mediafm_core.evaluation.metrics import metric_names
from mediafm_core.evaluation.networks import Tell
from mediafm_core.evaluation.probes import out_of_fold_scores
from mediafm_core.evaluation.representations import (
    IN_CONTEXT,
    ablations,
    default_names,
    require_free_names,
)
from mediafm_core.evaluation.results import Evaluation, Report, Result
from mediafm_core.evaluation.saved_results import require_writable
from mediafm_core.evaluation.seed_representations import Bench
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
    tell: Tell = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> Report:
    """Measure what representations are worth to linear probes on labels.

    Args:
        settings: model, objective and training of the folds' networks, device, store of the
            catalogue, and defaults of what follows.
        source: of units, labels and networks.
        labels: names of labels; several are one multilabel task.
        task: None guesses it from the labels.
        representations: names, see `mediafm_core.evaluation.representations`; None takes those
            that mean something for the data set.
        with_ablations: add the ablations.
        folds: parts of the titles; None takes the settings'.
        seeds: each is a repetition; None takes as many as the settings say, from 0 on.
        bootstrap: draws of titles for the intervals; None takes the settings'.
        work: folder in which networks and what they said are kept, to be used again; None takes a
            temporary one.
        tell: told what is being done.
        progress: called with the state of the work; its units are representations, by seeds.

    Returns:
        Figures that follow from data, settings and seeds alone.

    Raises:
        MediaFMError: the data or labels cannot be used, or there is no representation of a name.
        ConfigurationError: no label or representation is named, or `work` cannot be written.
        StoreError: the catalogue cannot be used.
        ConfigurationError: a model or the settings cannot be used.
    """
    if not labels or (representations is not None and not representations):
        what = "label" if not labels else "representation"
        raise ConfigurationError(f"No {what} is named: name one, or several with commas.")
    started = time.perf_counter()
    progress(WorkProgress("reading the data"))
    units = source.units(settings, labels, task)
    require_free_names(units)
    names = _names(settings, source, units, representations, with_ablations)
    known = units.labels
    titles = np.array(units.titles)[units.title_of]  # [n]
    chosen = list(range(settings.evaluation.seeds)) if seeds is None else list(seeds)
    asked = folds or settings.evaluation.folds
    if asked is None:
        asked = _FOLDS_OF_RANKING if known.task == "ranking" else _FOLDS
    folds_by_seed = [folds_of(titles, known, asked, seed) for seed in chosen]
    fold_count = int(folds_by_seed[0].max()) + 1
    labelled = len(np.unique(titles[known.known]))
    tell(
        f"{known.task} of {known.name}: {int(known.known.sum()):,} labelled units of "
        f"{labelled:,} titles in {fold_count} folds"
    )
    state = _State(progress, len(chosen) * len(names), estimates=not source.trains)
    state.doing("opening the models")
    scores: dict[str, list[np.ndarray]] = {}
    unmeasured: dict[str, str] = {}
    networks: list[dict[str, Any]] = []
    with _folder(work) as folder:
        benches = [
            Bench(settings, source, units, fold_of, seed, names, folder, tell, state.doing)
            for seed, fold_of in zip(chosen, folds_by_seed, strict=True)
        ]
        for bench in benches:
            for name in names:
                state.begin(f"seed {bench.seed}: {name}")
                try:
                    found = out_of_fold_scores(
                        bench.make(name), known, titles, bench.fold_of, bench.seed, state.part
                    )
                except NotMeasurableError as error:
                    unmeasured[name] = str(error)
                else:
                    scores.setdefault(name, []).append(found)
                state.end()
            networks += bench.models() if source.trains else []
    draws = bootstrap or settings.evaluation.bootstrap_samples
    state.doing("intervals over titles")
    compares_networks = any(name.startswith(f"{IN_CONTEXT}_") or "@" in name for name in scores)
    evaluation = measure(
        scores,
        known,
        titles,
        baselines=(*BASELINES, *([IN_CONTEXT] if compares_networks else [])),
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
    )


class _State:
    """The state of a measurement: representations measured, and the share of the current one.

    Args:
        show: called whenever it changes.
        total: representations, by seeds.
        estimates: estimate the time left; trainings differ too much from probes for that.
    """

    def __init__(self, show: Show, total: int, estimates: bool) -> None:
        self._show = show
        self._total = total
        self._estimates = estimates
        self._started = time.monotonic()
        self._done = 0
        self._share = 0.0  # of the current representation
        self._what = ""

    def begin(self, what: str) -> None:
        """Begin with a representation."""
        self._what = what
        self.part(0.0)

    def part(self, share: float) -> None:
        """Take the share of the current representation that is done."""
        self._share = share
        self.doing(f"{self._what} {percent(share)}")

    def end(self) -> None:
        """Count the current representation as done."""
        self._done, self._share = self._done + 1, 0.0

    def doing(self, what: str) -> None:
        """Show what is being done."""
        done, seconds = self._done + self._share, time.monotonic() - self._started
        share = done / self._total
        self._show(
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
    """With a row for each representation that there are no scores of."""
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
    asked: Sequence[str] | None,
    with_ablations: bool,
) -> list[str]:
    names = default_names(units) if asked is None else list(asked)
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
