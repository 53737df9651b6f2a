"""What speaks against a candidate: it is compared with the model that serves.

By labels, where clips have some: both models' contextual vectors of the same clips, in the same
folds and draws of titles. Without any: how well it predicts hidden shots.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mediafm_core.errors import ConfigurationError, MediaFMError, StorageError
from mediafm_core.evaluation.representations import IN_CONTEXT
from mediafm_core.model.model_files import CONFIG_FILE, TRAINING_FILE, read_json
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import find_model, read_candidate
from mediafm_core.pipeline.releases.release import check_candidate
from mediafm_core.pipeline.releases.serving import release_history
from mediafm_core.pipeline.releases.stored_evaluation import Measured, Request, evaluate_catalogue
from mediafm_core.runtime.progress import Show

if TYPE_CHECKING:
    from mediafm_core.evaluation.results import Difference

# Losses of trainings that differ in nothing but the seed lie within 1 % of each other.
_SAME_LOSS = 0.02


class Finding(NamedTuple):
    """What was found about a candidate.

    Attributes:
        passed: False where it is a warning; None where nothing could be measured.
        told: a sentence.
    """

    passed: bool | None
    told: str

    @property
    def line(self) -> str:
        """What is told, marked where it is a warning."""
        return f"Warning: {self.told}" if self.passed is False else self.told


@dataclass(frozen=True)
class Comparison:
    """A candidate and the model it would replace, by labels.

    Attributes:
        candidate: identity.
        reference: identity of the other; None where there is none.
        measured: by label.
        finding: what they come to.
    """

    candidate: str
    reference: str | None
    measured: tuple[Measured, ...]
    finding: Finding


def judge(
    platform: Platform,
    version: str,
    tell: Callable[[str], None] = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> list[Finding]:
    """Compare a candidate with the model that serves, before it is released.

    A warning forbids nothing, unless the setting `evaluation.refuse_worse` says so.

    Args:
        platform: settings and store.
        version: identity of the candidate, or the beginning of its digest.
        tell: told what is being done.
        progress: called with the state of the measurement of each label.

    Returns:
        What was found by labels and by hidden shots; nothing where it serves already.

    Raises:
        ConfigurationError, IdentityMismatchError, StoreError: as `release`; or the candidate is
            worse and the settings refuse that.
    """
    candidate = check_candidate(platform, version)
    if candidate is None:
        return []
    found = compare_with_serving(platform, candidate.identity, tell, progress).finding
    if found.passed is False and platform.settings.evaluation.refuse_worse:
        raise ConfigurationError(
            f"{found.told} The setting evaluation.refuse_worse forbids its release: release "
            "another model, or unset it."
        )
    return [found, predicts_hidden_shots(platform, candidate.identity)]


def compare_with_serving(
    platform: Platform,
    candidate: str,
    tell: Callable[[str], None] = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> Comparison:
    """Compare a model with the one that serves by the labels of the catalogue's clips.

    It is worse if by any label the interval of the difference of its contextual vectors is entirely
    below zero. One that serves already is compared with the one before it. What was compared
    before, on the same titles and labels, is read from the store.

    Args:
        platform: settings and store.
        candidate: identity.
        tell: told what is being done.
        progress: called with the state of the measurement of each label.

    Raises:
        StorageError: the store does not answer.
    """
    reference = _reference(platform, candidate)
    if reference is None:
        finding = Finding(None, f"{candidate} is not compared by labels: no other model serves.")
        return Comparison(candidate, None, (), finding)
    request = Request(models=(reference, candidate), representations=(IN_CONTEXT,))
    try:
        evaluation = evaluate_catalogue(platform, request, tell, progress)
    except StorageError:
        raise
    except MediaFMError as error:  # the one that serves is of an earlier version, say
        return Comparison(candidate, reference, (), _not_measurable(candidate, str(error)))
    if evaluation.why_not is not None:
        finding = _not_measurable(candidate, f"{evaluation.why_not}.")
        return Comparison(candidate, reference, (), finding)
    finding = _finding(candidate, reference, evaluation.measured, evaluation.unmeasured)
    return Comparison(candidate, reference, evaluation.measured, finding)


def predicts_hidden_shots(platform: Platform, candidate: str) -> Finding:
    """Whether a model predicts hidden shots better than can be done without a network.

    It must also be no worse than the one that serves, if both were validated on the same hidden
    shots. The figures are those of training; nothing is computed.

    Raises:
        ConfigurationError: the model's record is damaged.
    """
    folder = find_model(platform.store, candidate)
    found = read_candidate(folder)
    warnings = []
    if found.best_baseline is not None and found.validation_loss > found.best_baseline[1]:
        warnings.append("worse than the best baseline")
    compared = ""
    reference = _reference(platform, candidate)
    if reference is not None:
        try:
            other = find_model(platform.store, reference)
            loss = read_candidate(other).validation_loss
            same = _hidden_shots_of(folder) == _hidden_shots_of(other)
        except ConfigurationError:  # it is damaged, which is no fault of the candidate
            same = False
        if same:
            compared = f", {reference} {loss:.4f}"
            if found.validation_loss > loss * (1 + _SAME_LOSS):
                warnings.append(f"worse than {reference} on the same hidden shots")
    evidence = f"{candidate}: {found.evidence}{compared}"
    if warnings:
        told = " and ".join(warnings)
        return Finding(False, f"{evidence}. It predicts hidden shots {told}.")
    is_known = found.best_baseline is not None or compared
    return Finding(True if is_known else None, f"{evidence}.")


def _reference(platform: Platform, candidate: str) -> str | None:
    """The model that serves, or what served before the candidate if that serves."""
    history = release_history(platform.store)
    if not history:
        return None
    serving = history[-1]
    found = serving.previous if serving.model == candidate else serving.model
    return None if found == candidate else found


def _not_measurable(candidate: str, why_not: str) -> Finding:
    return Finding(None, f"{candidate} by labels: not measurable: {why_not}")


def _finding(
    candidate: str,
    reference: str,
    measured: tuple[Measured, ...],
    unmeasured: tuple[tuple[str, str], ...],
) -> Finding:
    from mediafm_core.evaluation.formatting import figure

    figures, worse = [], []
    unknown: dict[str, list[str]] = {}  # labels by the reason why
    for each in measured:
        found = difference(each)
        if found.low is None or found.high is None:
            unknown.setdefault(_clause(found.why_not), []).append(each.label)
        else:
            metric = found.metric.replace("_", " ")
            interval = figure(found, "+.3f").removesuffix(" *")
            figures.append(f"{metric} of {each.label} {interval}")
            if found.high < 0:
                worse.append(each.label)
    for label, reason in unmeasured:
        unknown.setdefault(_clause(reason), []).append(label)
    parts = [
        *figures,
        *(f"{', '.join(labels)} not measurable ({why})" for why, labels in unknown.items()),
    ]
    told = f"{candidate} in context minus {reference}: {'; '.join(parts)}."
    if worse:
        return Finding(False, f"{told} It is worse by {', '.join(worse)}, beyond the interval.")
    return Finding(True if figures else None, told)


def _clause(sentence: str | None) -> str:
    """A sentence within another."""
    return (sentence or "").removesuffix(".")


def difference(measured: Measured) -> "Difference":
    """The candidate's contextual vectors less those of the model that serves."""
    report = measured.report
    return next(
        row
        for row in report.evaluation.differences
        if row.baseline == IN_CONTEXT and row.metric == report.primary_metric
    )


def _hidden_shots_of(folder: Path) -> dict[str, Any]:
    """What the shots follow from that a model's validation has hidden."""
    training, config = read_json(folder, TRAINING_FILE), read_json(folder, CONFIG_FILE)
    titles = training.get("validation_titles", [])
    versions = training.get("titles", {})
    return {
        "validation": training.get("validation"),
        "shots": training.get("validation_shots"),
        "titles": {title: versions.get(title) for title in titles},
        "seed": training.get("training", {}).get("seed"),
        "mask_share": training.get("objective", {}).get("mask_share"),
        "version": training.get("identity", {}).get("version"),
        "ranges": config.get("fused_ranges"),
    }
