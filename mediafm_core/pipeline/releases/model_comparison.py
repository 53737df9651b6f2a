"""Comparison of a candidate with the serving model.

By labels, where clips have some: both models' contextual vectors of the same clips, in the same
folds and draws of titles. By validation loss: the losses of both trainings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mediafm_core.errors import ConfigurationError, MediaFMError, StorageError
from mediafm_core.evaluation.representations import IN_CONTEXT, INPUTS
from mediafm_core.evaluation.verdict import is_clear
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.candidates import Candidate, TrainingRecord
from mediafm_core.pipeline.releases.release import require_releasable
from mediafm_core.pipeline.releases.stored_evaluation import (
    EvaluationRequest,
    MeasuredLabel,
    evaluate_catalogue,
)
from mediafm_core.pipeline.serving import Release, release_history
from mediafm_core.runtime.progress import Show
from mediafm_core.store.model_store import model_folder

if TYPE_CHECKING:
    from mediafm_core.evaluation.results import Difference

# Losses of trainings that differ in nothing but the seed lie within 1 % of each other.
_SAME_LOSS = 0.02


class Finding(NamedTuple):
    """Finding of a comparison.

    Attributes:
        passed: False for a warning; None where nothing could be measured.
        sentence: the finding in words.
    """

    passed: bool | None
    sentence: str

    @property
    def line(self) -> str:
        """The sentence, marked if it is a warning."""
        return f"Warning: {self.sentence}" if self.passed is False else self.sentence


@dataclass(frozen=True)
class ModelComparison:
    """A candidate and the model it would replace, compared by labels.

    Attributes:
        candidate: identity.
        reference: identity of the other; None where there is none.
        measured: by label.
        finding: the conclusion.
    """

    candidate: str
    reference: str | None
    measured: tuple[MeasuredLabel, ...]
    finding: Finding


def compare_before_release(
    platform: Platform,
    candidate: Candidate,
    log: Callable[[str], None] = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> list[Finding]:
    """Compare a candidate with the serving model, and refuse one that `release` would refuse.

    A warning forbids nothing, unless the setting `evaluation.refuse_worse` says so.

    Args:
        platform: settings and store.
        candidate: the model to release.
        log: called with a line for each step.
        progress: called with the state of the measurement of each label.

    Returns:
        The findings by labels and by validation loss; none for a model that serves already.

    Raises:
        ConfigurationError, IdentityMismatchError, StoreError: as `release`; or the candidate is
            worse and the settings refuse that.
    """
    history = release_history(platform.store)
    if history and history[-1].model == candidate.identity:
        return []
    require_releasable(platform, candidate)
    reference = reference_of(platform, candidate, history)
    by_labels = compare_by_labels(platform, candidate, reference, log, progress).finding
    if by_labels.passed is False and platform.settings.evaluation.refuse_worse:
        raise ConfigurationError(
            f"{by_labels.sentence} The setting evaluation.refuse_worse forbids its release: "
            "release another model, or unset it."
        )
    return [by_labels, compare_by_validation_loss(candidate, reference)]


def reference_of(
    platform: Platform, candidate: Candidate, history: Sequence[Release] | None = None
) -> Candidate | None:
    """Return the model that a candidate would replace; None where there is none.

    That is the serving model, or the one before it where the candidate serves itself. Its folder
    may be gone.

    Args:
        platform: settings and store.
        candidate: the other model.
        history: all releases, where they have been read.
    """
    releases = release_history(platform.store) if history is None else history
    if not releases:
        return None
    serving = releases[-1]
    found = serving.previous if serving.model == candidate.identity else serving.model
    if found is None or found == candidate.identity:
        return None
    return Candidate(model_folder(platform.store, found))


def compare_by_labels(
    platform: Platform,
    candidate: Candidate,
    reference: Candidate | None,
    log: Callable[[str], None] = lambda _line: None,
    progress: Show = lambda _progress: None,
) -> ModelComparison:
    """Compare two models by the labels of the catalogue's clips.

    The candidate is worse if by any label the interval of the difference of its contextual vectors
    is entirely below zero. It is also compared with its inputs without a network: that it adds
    nothing to them forbids no release, but is reported. A comparison made before, on the same
    titles and labels, is read from the store.

    Args:
        platform: settings and store.
        candidate: the one model.
        reference: the other, as `reference_of` returns it.
        log: called with a line for each step.
        progress: called with the state of the measurement of each label.

    Raises:
        StorageError: the store does not answer.
    """
    name = candidate.identity
    if reference is None:
        finding = Finding(None, f"{name} is not compared by labels: no other model serves.")
        return ModelComparison(name, None, (), finding)
    request = EvaluationRequest(models=(reference, candidate), representations=(INPUTS, IN_CONTEXT))
    try:
        evaluation = evaluate_catalogue(platform, request, log, progress)
    except StorageError:
        raise
    except MediaFMError as error:  # the serving model is of an earlier version, for instance
        finding = _not_measurable(name, str(error))
        return ModelComparison(name, reference.identity, (), finding)
    if evaluation.why_not is not None:
        finding = _not_measurable(name, f"{evaluation.why_not}.")
        return ModelComparison(name, reference.identity, (), finding)
    finding = _finding(name, reference.identity, evaluation.measured, evaluation.unmeasured)
    return ModelComparison(name, reference.identity, evaluation.measured, finding)


def compare_by_validation_loss(candidate: Candidate, reference: Candidate | None) -> Finding:
    """Compare the validation loss of a model with its baselines and with another model.

    A warning if a prediction without a network has a smaller loss, or if the reference has one and
    both were validated in the same way on the same shots. The losses are those of training; nothing
    is computed.

    Raises:
        ConfigurationError: the record of the candidate is damaged.
    """
    record = candidate.record
    warnings = []
    subject = record.predicted.removeprefix("the future of ")
    if record.validation_loss is None:
        return Finding(None, f"{candidate.identity}: {record.evidence}.")
    if record.best_baseline is not None and record.validation_loss > record.best_baseline[1]:
        warnings.append("worse than the best baseline")
    compared = ""
    other = _readable_record(reference)
    if (
        reference is not None
        and other is not None
        and other.validation_loss is not None
        and other.validation_data == record.validation_data
    ):
        compared = f", {reference.identity} {other.validation_loss:.4f}"
        if record.validation_loss > other.validation_loss * (1 + _SAME_LOSS):
            warnings.append(f"worse than {reference.identity} on the same {subject}")
    evidence = f"{candidate.identity}: {record.evidence}{compared}"
    if warnings:
        faults = " and ".join(warnings)
        return Finding(False, f"{evidence}. It predicts {record.predicted} {faults}.")
    is_known = record.best_baseline is not None or compared
    return Finding(True if is_known else None, f"{evidence}.")


def _readable_record(reference: Candidate | None) -> TrainingRecord | None:
    """Return the record of a reference; None if it is damaged: the candidate is not at fault."""
    try:
        return None if reference is None else reference.record
    except ConfigurationError:
        return None


def _not_measurable(candidate: str, why_not: str) -> Finding:
    return Finding(None, f"{candidate} by labels: not measurable: {why_not}")


def _finding(
    candidate: str,
    reference: str,
    measured: tuple[MeasuredLabel, ...],
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
    sentence = (
        f"{candidate} in context minus {reference}: {'; '.join(parts)}.{_beside_inputs(measured)}"
    )
    if worse:
        worse_by = ", ".join(worse)
        return Finding(False, f"{sentence} It is worse by {worse_by}, beyond the interval.")
    return Finding(True if figures else None, sentence)


def _beside_inputs(measured: tuple[MeasuredLabel, ...]) -> str:
    """Return a sentence on what the candidate adds to its inputs, after a space, or no text."""
    by_label = {each.label: is_clear(difference(each, INPUTS)) for each in measured}
    adds = [label for label, is_above in by_label.items() if is_above]
    nothing = [label for label, is_above in by_label.items() if is_above is False]
    parts = [
        *([f"adds to its inputs without a network by {', '.join(adds)}"] if adds else []),
        *(
            [f"adds nothing to its inputs without a network by {', '.join(nothing)}"]
            * bool(nothing)
        ),
    ]
    return f" It {' and '.join(parts)}." if parts else ""


def _clause(sentence: str | None) -> str:
    """Return a sentence without its full stop, to stand within another."""
    return (sentence or "").removesuffix(".")


def difference(measured: MeasuredLabel, baseline: str = IN_CONTEXT) -> "Difference":
    """Return the difference of the candidate's contextual vectors from a baseline.

    Args:
        measured: a label, measured for both models.
        baseline: representation; by default the contextual vectors of the reference.
    """
    report = measured.report
    return next(
        row
        for row in report.evaluation.differences
        if row.representation.startswith(f"{IN_CONTEXT}@")
        and row.baseline == baseline
        and row.metric == report.primary_metric
    )
