"""The catalogue's own labelled clips as an evaluation of its models, kept in the store.

    <store>/evaluation/<model>/<digest>/evaluation.json, evaluation.parquet, *.png

The digest covers what the figures follow from: models, titles, clips, labels and how they are
tested. What is there is not computed again. `evaluation.json` is written last: a folder without it
is not there.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
from mediafm_core.pipeline.releases.candidates import find_model
from mediafm_core.runtime.progress import Show, WorkProgress
from mediafm_core.store.store import Store

if TYPE_CHECKING:
    from mediafm_core.config.settings import Settings
    from mediafm_core.evaluation.results import Report
    from mediafm_core.evaluation.units import Units

FOLDER = "evaluation"
NO_LABELS = (
    "no clip of the catalogue has labels: add label columns to clips.csv of two titles or more, "
    "and run `mediafm run`"
)

_CODE_VERSION = "2"  # raise it when the same labels and vectors would give other figures
# Text with more values than this is no class, unless somebody names it: a description, say.
_MANY_CLASSES = 50
# What is wrong with the settings, the machine or the store, and not with a label.
_NOT_OF_LABELS = (ConfigurationError, IdentityMismatchError, StorageError, StoreError)


@dataclass(frozen=True)
class Request:
    """What to measure; what is not given is the settings' (`evaluation`).

    Attributes:
        labels: each is measured for itself; several joined by commas are one multilabel task.
        task: None guesses it for each label.
        models: identities, or beginnings of digests; the one that serves if none is named. Of
            several, the others are compared with the first.
        representations: None takes all that mean something.
        folds: parts of the titles.
        seeds: number of repetitions.
        bootstrap: draws of titles.
    """

    labels: tuple[str, ...] = ()
    task: Task | None = None
    models: tuple[str, ...] = ()
    representations: tuple[str, ...] | None = None
    folds: int | None = None
    seeds: int | None = None
    bootstrap: int | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured of a label.

    Attributes:
        label: its name, or the joined names.
        key: folder of the store's files.
        report: the figures.
        is_new: whether they were computed just now.
    """

    label: str
    key: str
    report: "Report"
    is_new: bool


@dataclass(frozen=True)
class CatalogueEvaluation:
    """What was measured of a catalogue.

    Attributes:
        models: identities.
        measured: by label.
        unmeasured: a sentence that says why not, by label.
        why_not: why nothing could be measured at all, with what to do.
    """

    models: tuple[str, ...]
    measured: tuple[Measured, ...] = ()
    unmeasured: tuple[tuple[str, str], ...] = ()
    why_not: str | None = None


def evaluate_catalogue(
    platform: Platform,
    request: Request,
    tell: Callable[[str], None],
    progress: Show = lambda _progress: None,
) -> CatalogueEvaluation:
    """Measure models on the labels of the catalogue's clips, as far as that was not done before.

    Args:
        platform: settings and store.
        request: what to measure.
        tell: told what is being done.
        progress: called with the state of the measurement of each label.

    Raises:
        ConfigurationError: there is no such label, model or representation, or the model cannot be
            loaded.
        IdentityMismatchError: it was trained on other vectors than the catalogue's.
        StoreError, StorageError: the catalogue cannot be read.
    """
    named = request.models or ((platform.serving_model,) if platform.serving_model else ())
    models = tuple(find_model(platform.store, each).name for each in named)
    if not models:
        return CatalogueEvaluation((), why_not="no model serves: `mediafm run` trains one")
    known = labels_of_clips(platform.store)
    if not known:
        return CatalogueEvaluation(models, why_not=NO_LABELS)
    asked = request.labels or platform.settings.evaluation.labels
    measured, unmeasured = [], []
    for label in asked or known:
        names = _names(label, known)
        progress(WorkProgress(f"{label}: reading the clips"))
        try:
            units = _measurable(platform.settings, names, request.task, bool(asked))
        except MediaFMError as error:
            if isinstance(error, _NOT_OF_LABELS):
                raise
            tell(f"{label} is not measurable: {error}")
            unmeasured.append((label, str(error)))
        else:
            measured.append(_measure(platform, models, names, request, units, tell, progress))
    return CatalogueEvaluation(models, tuple(measured), tuple(unmeasured))


def labels_of_clips(store: Store) -> list[str]:
    """Names of the labels that clips have which readers see; empty before anything is published.

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


def picture(store: Store, measured: Measured, name: str) -> bytes:
    """A picture of what was measured: `results.png` or `differences.png`."""
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
    settings: "Settings", names: list[str], task: Task | None, is_asked_for: bool
) -> "Units":
    """The clips that have a label, or several.

    Raises:
        MediaFMError: nothing can be measured by these labels.
    """
    from mediafm_core.evaluation.evaluation_sources import Catalogue
    from mediafm_core.evaluation.folds import require_measurable

    units = Catalogue().units(settings, names, task)
    if len(units.labels.classes) > _MANY_CLASSES and not is_asked_for:
        raise MediaFMError(
            f"{units.labels.name} has {len(units.labels.classes):,} different values, as text has "
            "that is no class: name the label if it is one."
        )
    require_measurable(np.array(units.titles)[units.title_of], units.labels)
    return units


def _measure(
    platform: Platform,
    models: tuple[str, ...],
    names: list[str],
    request: Request,
    units: "Units",
    tell: Callable[[str], None],
    progress: Show,
) -> Measured:
    """Measure models on a label, or take what is in the store."""
    from mediafm_core.evaluation.evaluation_sources import Catalogue
    from mediafm_core.evaluation.measurement import evaluate

    settings, label = platform.settings, ",".join(names)
    folder = f"{FOLDER}/{models[-1]}/{_digest(settings, units, models, request)}"
    stored = _stored(platform.store, folder)
    if stored is not None:
        tell(f"{label}: measured before")
        return Measured(label, folder, stored, is_new=False)
    report = evaluate(
        settings,
        Catalogue(models),
        names,
        task=request.task,
        representations=request.representations,
        folds=request.folds,
        seeds=range(request.seeds or settings.evaluation.seeds),
        bootstrap=request.bootstrap,
        log=lambda line: tell(f"{label}: {line}"),
        progress=lambda state: progress(replace(state, doing=f"{label}, {state.doing}")),
    )
    _keep(platform.store, folder, report)
    return Measured(label, folder, report, is_new=True)


def _digest(settings: "Settings", units: "Units", models: tuple[str, ...], request: Request) -> str:
    """Of all that the figures follow from."""
    from mediafm_core.runtime.precision import arithmetic

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
            "arithmetic": arithmetic(settings),
        }
    )


def _keep(store: Store, folder: str, report: "Report") -> None:
    from mediafm_core.evaluation.saved_results import JSON_FILE, write_report

    with store.staging() as staged:
        paths = write_report(report, staged)
        for path in sorted(paths, key=lambda path: path.name == JSON_FILE):  # it stands for all
            store.commit(path, f"{folder}/{path.name}")


def _stored(store: Store, folder: str) -> "Report | None":
    """What was measured before; one that is damaged is measured again."""
    from mediafm_core.evaluation.saved_results import JSON_FILE

    try:
        document = read_sealed_json(store.files.path(f"{folder}/{JSON_FILE}").read_bytes())
        return _report(document)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _report(document: dict[str, Any]) -> "Report":
    from mediafm_core.evaluation.results import Difference, Evaluation, Report, Result
    from mediafm_core.evaluation.saved_results import DIGESTS

    facts = {name: value for name, value in document.items() if name != DIGESTS}
    evaluation = Evaluation(
        results=[Result(**row) for row in facts.pop("results")],
        differences=[Difference(**row) for row in facts.pop("differences")],
        chance=facts.pop("chance"),
    )
    return Report(**facts, evaluation=evaluation)
