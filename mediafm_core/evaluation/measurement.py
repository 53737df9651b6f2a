"""One evaluation: representations of a data set's units, linear probes on them, and their metrics.

For each seed, titles are divided into folds. For each fold, networks and probes are trained on the
other titles. Each unit is tested once per seed. `mediafm evaluate` calls `evaluate`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.config.presets import PRESET_NAMES
from mediafm_core.config.settings import Settings
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.bootstrap import BASELINES, measure
from mediafm_core.evaluation.cpu_clock import CpuClock
from mediafm_core.evaluation.evaluation_sources import EvaluationSource
from mediafm_core.evaluation.evaluation_task import ProbeTitles, Task
from mediafm_core.evaluation.label_budgets import Budget, BudgetScores
from mediafm_core.evaluation.metrics import metric_names
from mediafm_core.evaluation.networks import Log
from mediafm_core.evaluation.penalty_search import Penalty
from mediafm_core.evaluation.probe_notes import end_notes, untested_notes
from mediafm_core.evaluation.probe_scores import ProbeScores
from mediafm_core.evaluation.probe_splits import TEST, divide
from mediafm_core.evaluation.probes import out_of_fold_scores, partial_progress
from mediafm_core.evaluation.representations import (
    IN_CONTEXT,
    STRONGEST,
    ablations,
    default_names,
    require_free_names,
    without_training,
)
from mediafm_core.evaluation.results import Evaluation, PenaltyChoice, Report, Result
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
    probe_titles: ProbeTitles | None = None,
    budgets: Sequence[Budget] | None = None,
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
        probe_titles: Titles that probes are trained on; None takes the setting for a table, and
            `pretraining` for the catalogue.
        budgets: Numbers of labelled titles that probes are trained on, for a curve; None takes the
            setting.
        bootstrap: Number of draws of titles for the intervals; None takes the setting.
        work: Folder that keeps networks and their vectors for later calls; None takes a temporary
            one.
        log: Callback for a line about each step.
        progress: Callback for the state of the work, counted in representations times seeds.

    Returns:
        A report that depends on data, settings and seeds alone, apart from its duration.

    Raises:
        MediaFMError: The data or labels cannot be used, or a representation's name is unknown.
        ConfigurationError: No label or representation is named, `probe_titles` does not go with the
            source, `work` is not writable, or a model or the settings cannot be used.
        StoreError: The catalogue cannot be used.
    """
    if not labels or (representations is not None and not representations):
        what = "label" if not labels else "representation"
        raise ConfigurationError(f"No {what} is named: name one, or several with commas.")
    started, clock = time.perf_counter(), CpuClock()
    progress(WorkProgress("reading the data"))
    units = source.units(settings, labels, task)
    require_free_names(units)
    of_probes = _probe_titles(settings, source, units, probe_titles)
    names = _names(settings, source, units, representations, with_ablations)
    known = units.labels
    titles = np.array(units.titles)[units.title_of]  # [n]
    chosen = list(range(settings.evaluation.seeds)) if seeds is None else list(seeds)
    fold_limit = folds or settings.evaluation.folds or _default_folds(source, known.task)
    divisions = [
        divide(titles, known, fold_limit, seed, probe_titles=of_probes, parts=units.parts)
        for seed in chosen
    ]
    fold_count = int(divisions[0].fold_of.max()) + 1
    labelled = len(np.unique(titles[known.known]))
    log(
        f"{known.task} of {known.name}: {int(known.known.sum()):,} labelled units of "
        f"{labelled:,} titles in {fold_count} folds"
    )
    state = _Progress(progress, len(chosen) * len(names), estimates=not source.trains)
    state.show("opening the models")
    scores = ProbeScores(units, chosen, [division.split_of for division in divisions])
    few = BudgetScores(
        settings.evaluation.budgets if budgets is None else budgets,
        settings.evaluation.budget_draws,
        known,
        titles,
        {seed: division.splits for seed, division in zip(chosen, divisions, strict=True)},
    )
    penalties: dict[str, list[PenaltyChoice]] = {}
    unmeasured: dict[str, str] = {}
    networks: list[dict[str, Any]] = []
    with _folder(work) as folder:
        by_seed = [
            SeedRepresentations(
                settings,
                source,
                units,
                of_titles.fold_of,
                seed,
                names,
                folder,
                log,
                state.show,
                clock,
            )
            for seed, of_titles in zip(chosen, divisions, strict=True)
        ]
        for of_seed, of_titles in zip(by_seed, divisions, strict=True):
            seed = of_seed.seed
            for name in names:
                state.begin(f"seed {seed}: {name}")
                training_metrics: dict[int, float] = {}
                choices = _Choices(seed)
                share = few.share_of_others
                try:
                    with clock.working("probes", name):
                        representation = of_seed.make(name)
                        found = out_of_fold_scores(
                            representation,
                            known,
                            titles,
                            of_titles.splits,
                            seed,
                            partial_progress(state.part, 0.0, share),
                            training_metrics.__setitem__,
                            choices.add,
                        )
                        few.add(
                            representation, seed, partial_progress(state.part, share, 1 - share)
                        )
                except NotMeasurableError as error:
                    unmeasured[name] = str(error)
                else:
                    scores.add(name, seed, found, training_metrics)
                    penalties.setdefault(name, []).extend(choices.made)
                state.end()
            networks += _networks(of_seed, units, titles) if source.trains else []
    draws = bootstrap or settings.evaluation.bootstrap_samples
    state.show("intervals over titles")
    # The training titles of a fixed split are never tested: they are not drawn either.
    of_tests = np.any([folds >= 0 for folds in scores.folds], axis=0)
    tested = replace(known, known=known.known & of_tests)
    strongest = scores.add_strongest(STRONGEST, without_training(names, units))
    compares_networks = any(
        name.startswith(f"{IN_CONTEXT}_") or "@" in name or name in PRESET_NAMES for name in names
    )
    baselines = [*BASELINES, *(list(strongest) if len(strongest) == 1 else [])]
    baselines = list(dict.fromkeys([*baselines, *([IN_CONTEXT] * compares_networks)]))
    with clock.working("intervals"):
        evaluation = measure(
            scores.lists(), tested, titles, baselines=baselines, draws=draws, seed=chosen[0]
        )
    facts = source.facts(settings)
    notes = [*untested_notes(known, titles, scores), *end_notes(penalties)]
    for note in notes:
        log(note)
    report = Report(
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
        probe_titles="split" if units.parts is not None else of_probes,
        penalties=penalties,
        notes=notes,
        scores=scores,
    )
    if not few.budgets:
        return report
    with clock.working("intervals"):
        curve = few.measured(report, tested, baselines, state.show)
    return replace(
        report,
        budgets=curve,
        cpu_seconds=clock.seconds(),
        seconds=time.perf_counter() - started,
    )


@dataclass
class _Choices:
    """Penalties of the probes of a representation and seed."""

    seed: int
    made: list[PenaltyChoice] = field(default_factory=list)

    def add(self, probe: int, penalty: Penalty) -> None:
        """Add the penalty of a probe."""
        strengths = penalty.strengths.tolist()
        self.made.append(PenaltyChoice(self.seed, probe, strengths, penalty.end))


def _default_folds(source: EvaluationSource, task: Task) -> int:
    """Return the number of folds: for a table the same for all labels, which share networks."""
    return _FOLDS_OF_RANKING if task == "ranking" and not source.trains else _FOLDS


def _probe_titles(
    settings: Settings, source: EvaluationSource, units: Units, wanted: ProbeTitles | None
) -> ProbeTitles:
    """Return the titles that probes are trained on.

    Raises:
        MediaFMError: The titles of the table have one shot each.
        ConfigurationError: The catalogue or a fixed split leaves no choice.
    """
    if not source.trains:
        if wanted == "unseen":
            raise ConfigurationError(
                "The catalogue's models may have seen all of its titles: probe titles that "
                "pretraining has not seen need a table (--data)."
            )
        return "pretraining"
    if units.longest == 1:
        raise MediaFMError(
            f"Every title of {units.source} has a single shot: context is what the other shots of "
            "a title add, so give titles of several shots."
        )
    if units.parts is not None and wanted == "unseen":
        raise ConfigurationError(
            "A fixed split names the titles of the probes: leave out --split, or --probe-titles "
            "unseen."
        )
    return wanted or settings.evaluation.probe_titles


def _networks(
    of_seed: SeedRepresentations, units: Units, titles: np.ndarray
) -> list[dict[str, Any]]:
    """Return the networks of a seed; those of a fixed split with the titles of its test part."""
    models = of_seed.models()
    if units.parts is None:
        return models
    tested = np.unique(titles[units.parts == TEST]).tolist()
    return [{**model, "tested": tested} for model in models]


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
        names += ablations(units, trained=source.trains)
    return list(dict.fromkeys(names))


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        require_writable(work)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="mediafm-") as folder:
        yield Path(folder)
