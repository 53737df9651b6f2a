"""Evaluation of models on the labels of the catalogue's clips, kept in the store.

    <store>/evaluation/<model>/<digest>/evaluation.json, *.parquet, *.png

The digest covers everything that the figures follow from: models, titles, clips, labels and the
parameters of the test. Stored figures are not computed again. `evaluation.json` is written last: a
folder without it does not count.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mediafm_core.disk.seals import read_sealed_json
from mediafm_core.errors import (
    ConfigurationError,
    IdentityMismatchError,
    MediaFMError,
    StorageError,
    StoreError,
)
from mediafm_core.evaluation.evaluation_task import Task
from mediafm_core.identity import digest_of, digest_of_settings
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import Candidate
from mediafm_core.runtime.progress import Show, WorkProgress
from mediafm_core.store.model_store import model_folder, unknown_model
from mediafm_core.store.store import Store

if TYPE_CHECKING:
    from mediafm_core.config.settings import Settings
    from mediafm_core.evaluation.evaluation_sources import Catalogue
    from mediafm_core.evaluation.results import Report
    from mediafm_core.evaluation.units import Units

FOLDER = "evaluation"
NO_LABELS = (
    "no clip of the catalogue has labels: add label columns to clips.csv of two titles or more, "
    "and run `mediafm run`"
)

_CODE_VERSION = "4"  # raise it when the same labels and vectors would give other figures
# Text with more values than this, a description for instance, is no class unless it is named.
_MANY_CLASSES = 50
# Errors of the settings, the machine or the store, and not of a label.
_NOT_OF_LABELS = (ConfigurationError, IdentityMismatchError, StorageError, StoreError)


@dataclass(frozen=True)
class EvaluationRequest:
    """Parameters of an evaluation; those left out are taken from the settings (`evaluation`).

    Attributes:
        labels: each is measured for itself; several joined by commas are one multilabel task.
        task: None guesses it for each label.
        models: the serving model if there is none. Of several, the others are compared with the
            first.
        representations: None takes all that apply to the catalogue.
        folds: parts of the titles.
        seeds: number of repetitions.
        bootstrap: number of bootstrap samples of titles.
    """

    labels: tuple[str, ...] = ()
    task: Task | None = None
    models: tuple[Candidate, ...] = ()
    representations: tuple[str, ...] | None = None
    folds: int | None = None
    seeds: int | None = None
    bootstrap: int | None = None


@dataclass(frozen=True)
class MeasuredLabel:
    """Figures of one label.

    Attributes:
        label: its name, or the joined names.
        key: folder of the store's files.
        report: the figures.
        is_new: True if they were computed just now, False if they were read from the store.
    """

    label: str
    key: str
    report: "Report"
    is_new: bool


@dataclass(frozen=True)
class CatalogueEvaluation:
    """Result of the evaluation of a catalogue.

    Attributes:
        models: identities.
        measured: by label.
        unmeasured: the label and a sentence with the reason, of those that cannot be measured.
        why_not: the reason if nothing could be measured at all, with the remedy.
    """

    models: tuple[str, ...]
    measured: tuple[MeasuredLabel, ...] = ()
    unmeasured: tuple[tuple[str, str], ...] = ()
    why_not: str | None = None


def evaluate_catalogue(
    platform: Platform,
    request: EvaluationRequest,
    log: Callable[[str], None],
    progress: Show = lambda _progress: None,
) -> CatalogueEvaluation:
    """Measure models on the labels of the catalogue's clips, except for what was measured before.

    Args:
        platform: settings and store.
        request: labels, models and parameters.
        log: called with a line for each step.
        progress: called with the state of the measurement of each label.

    Raises:
        ConfigurationError: there is no such label, model or representation, or the model cannot be
            loaded.
        IdentityMismatchError: it was trained on other vectors than the catalogue's.
        StoreError, StorageError: the catalogue cannot be read.
    """
    from mediafm_core.evaluation.evaluation_sources import Catalogue

    models = request.models or _serving(platform)
    if not models:
        return CatalogueEvaluation((), why_not="no model serves: `mediafm run` trains one")
    for model in models:
        if not model.folder.is_dir():
            raise unknown_model(platform.store, model.identity)
    request = replace(request, models=models)
    identities = tuple(model.identity for model in models)
    known = labels_of_clips(platform.store)
    if not known:
        return CatalogueEvaluation(identities, why_not=NO_LABELS)
    chosen = request.labels or platform.settings.evaluation.labels
    source = Catalogue(models)
    measured, unmeasured = [], []
    for label in chosen or known:
        names = _names(label, known)
        progress(WorkProgress(f"{label}: reading the clips"))
        try:
            units = _measurable(platform.settings, source, names, request.task, bool(chosen))
        except MediaFMError as error:
            if isinstance(error, _NOT_OF_LABELS):
                raise
            log(f"{label} is not measurable: {error}")
            unmeasured.append((label, str(error)))
        else:
            measured.append(_measure(platform, source, names, request, units, log, progress))
    return CatalogueEvaluation(identities, tuple(measured), tuple(unmeasured))


def _serving(platform: Platform) -> tuple[Candidate, ...]:
    model = platform.serving_model
    return () if model is None else (Candidate(model_folder(platform.store, model)),)


def labels_of_clips(store: Store) -> list[str]:
    """Return the names of the labels of published clips; none before anything is published.

    Raises:
        StoreError: the catalogue cannot be read.
    """
    from mediafm_core.store.features import open_features

    if not store.features.exists():
        return []
    with closing(open_features(store)) as connection:
        rows = connection.execute(
            "SELECT DISTINCT unnest(map_keys(labels)) AS name FROM clips ORDER BY name"
        ).fetchall()
    return [name for (name,) in rows]


def picture(store: Store, measured: MeasuredLabel, name: str) -> bytes:
    """Return a plot of the figures of a label, PNG: `results.png` or `differences.png`."""
    return store.files.path(f"{measured.key}/{name}").read_bytes()


def _names(label: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in label.split(",")] if label not in known else [label]
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"No clip of the catalogue has a label {name!r}: there is {', '.join(known)}."
            )
    return names


def _measurable(
    settings: "Settings", source: "Catalogue", names: list[str], task: Task | None, is_chosen: bool
) -> "Units":
    """Read the clips that have a label, or several.

    Raises:
        MediaFMError: nothing can be measured by these labels.
    """
    from mediafm_core.evaluation.folds import require_measurable

    units = source.units(settings, names, task)
    if len(units.labels.classes) > _MANY_CLASSES and not is_chosen:
        raise MediaFMError(
            f"{units.labels.name} has {len(units.labels.classes):,} different values, as text has "
            "that is no class: name the label if it is one."
        )
    require_measurable(np.array(units.titles)[units.title_of], units.labels)
    return units


def _measure(
    platform: Platform,
    source: "Catalogue",
    names: list[str],
    request: EvaluationRequest,
    units: "Units",
    log: Callable[[str], None],
    progress: Show,
) -> MeasuredLabel:
    """Measure models on a label, or read from the store what was measured before."""
    from mediafm_core.evaluation.measurement import evaluate

    settings, label = platform.settings, ",".join(names)
    models = tuple(model.identity for model in request.models)
    folder = f"{FOLDER}/{models[-1]}/{_digest(settings, units, models, request)}"
    stored = _stored(platform.store, folder)
    if stored is not None:
        log(f"{label}: measured before")
        return MeasuredLabel(label, folder, stored, is_new=False)
    report = evaluate(
        settings,
        source,
        names,
        task=request.task,
        representations=request.representations,
        folds=request.folds,
        seeds=range(request.seeds or settings.evaluation.seeds),
        bootstrap=request.bootstrap,
        log=lambda line: log(f"{label}: {line}"),
        progress=lambda state: progress(replace(state, doing=f"{label}, {state.doing}")),
    )
    _keep(platform.store, folder, report)
    return MeasuredLabel(label, folder, report, is_new=True)


def _digest(
    settings: "Settings", units: "Units", models: tuple[str, ...], request: EvaluationRequest
) -> str:
    """Return a digest of all that the figures follow from."""
    from mediafm_core.runtime.precision import vector_precision

    labels, defaults = units.labels, settings.evaluation
    return digest_of_settings(
        {
            "code": _CODE_VERSION,
            "models": models,
            "units": units.digest,
            "labels": digest_of(labels.known.tobytes(), labels.values.tobytes(), *labels.classes),
            "label": labels.name,
            "task": labels.task,
            "representations": request.representations,
            "folds": request.folds or defaults.folds,
            "seeds": request.seeds or defaults.seeds,
            "bootstrap": request.bootstrap or defaults.bootstrap_samples,
            "budgets": [defaults.budgets, defaults.budget_draws] if defaults.budgets else None,
            "arithmetic": vector_precision(settings),
        }
    )


def _keep(store: Store, folder: str, report: "Report") -> None:
    from mediafm_core.evaluation.saved_results import JSON_FILE, write_report

    with store.staging() as staged:
        paths = write_report(report, staged)
        for path in sorted(paths, key=lambda path: path.name == JSON_FILE):  # written last
            store.commit(path, f"{folder}/{path.name}")


def _stored(store: Store, folder: str) -> "Report | None":
    """Return a stored report; None where there is none or it is damaged: it is measured again."""
    from mediafm_core.evaluation.saved_results import JSON_FILE, as_report

    try:
        document = read_sealed_json(store.files.path(f"{folder}/{JSON_FILE}").read_bytes())
        return as_report(document)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
