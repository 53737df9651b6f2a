"""Compute the missing and stale assets of one title, and no others."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from mediafm_core.errors import NotReadyError, TitleError, WorkError
from mediafm_core.pipeline.checks import CheckResult, run_checks
from mediafm_core.pipeline.failures.attempts import attempts_in
from mediafm_core.pipeline.failures.attribution import FailedWork, quarantine_reason
from mediafm_core.pipeline.failures.unknown_failures import failures_in
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.asset_states import is_current_title
from mediafm_core.pipeline.planning.title_comparison import TitleComparison, WantedVersion
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.stages.context_stage import clip_features, contextual_embeddings
from mediafm_core.pipeline.stages.decode_stage import decode
from mediafm_core.pipeline.stages.embed_stage import (
    audio_embeddings,
    fused_embeddings,
    text_embeddings,
    timed_text,
    title_metadata_embedding,
    video_embeddings,
)
from mediafm_core.pipeline.stages.scenes_stage import scenes
from mediafm_core.pipeline.stages.title_stage import register_title
from mediafm_core.pipeline.work import Work
from mediafm_core.runtime.interruption import (
    Interrupt,
    deferring_interrupts,
    raise_if_interrupted,
)
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.titles.manifest import is_title_id
from mediafm_core.titles.title_folder import TitleFolder

logger = logging.getLogger(__name__)

Status = Literal["computed", "unchanged", "quarantined"]

_LAST_OF_INBOX = "timed_text"  # later assets read no media

# Assets whose computation examines the title's folder: a TitleError of theirs is about the input.
# A text encoder raises one for a text that its service refuses while it accepts others.
_EXAMINE_INPUT = frozenset(
    {
        *("title", "shots", "keyframes", "soundtrack", "timed_text", "clip_features"),
        *("text_embeddings", "title_metadata_embedding"),
    }
)

DECODED = ("shots", "keyframes", "soundtrack")

# Computation of each asset; one decode writes three of them.
_COMPUTE: dict[str, Callable[[Work], None]] = {
    **dict.fromkeys(DECODED, decode),
    "timed_text": timed_text,
    "video_embeddings": video_embeddings,
    "audio_embeddings": audio_embeddings,
    "text_embeddings": text_embeddings,
    "title_metadata_embedding": title_metadata_embedding,
    "fused_embeddings": fused_embeddings,
    "contextual_embeddings": contextual_embeddings,
    "scenes": scenes,
    "clip_features": clip_features,
}


def computed_by(asset: str) -> Callable[..., object]:
    """Return the function that computes an asset."""
    return register_title if asset == "title" else _COMPUTE[asset]


@dataclass(frozen=True)
class Outcome:
    """Result of the work on an asset of a title.

    Attributes:
        record: of the artefact, new or found; None when the title is quarantined.
        reason: of the quarantine.
        checks: results of the asset's checks.
    """

    asset: str
    title_id: str
    status: Status
    record: ArtefactRecord | None = None
    reason: str = ""
    checks: tuple[CheckResult, ...] = ()

    @property
    def explanation(self) -> str:
        """The status; for an unchanged asset with the reason why nothing was computed."""
        record = self.record
        if self.status != "unchanged" or record is None:
            return self.status
        same = [
            "same folder" if self.asset == "title" else "same inputs",
            *([f"same {record.identity}"] if record.identity else []),
            f"same code version {record.code_version}",
        ]
        finished = record.measured.finished_at if record.measured else None
        when = f"; computed {finished:%Y-%m-%d %H:%M:%S} UTC" if finished else ""
        return f"unchanged: {', '.join(same)}{when}"


def materialise(
    platform: Platform, assets: tuple[str, ...], title_id: str, force: bool = False
) -> list[Outcome]:
    """Bring assets of a title that one computation writes up to date.

    The asset `title` lifts a quarantine and validates the folder again; other assets of a
    quarantined title are not computed. Unusable input quarantines the title. So does an error of
    unknown cause if evidence attributes it to the title (`failures`); nothing else does.

    Args:
        platform: settings, store and networks.
        assets: one asset, or any of `DECODED`.
        title_id: the title, a folder of the inbox.
        force: also compute assets that are up to date, and reuse no vectors of single shots. Equal
            results have the same data version, so that no dependent asset becomes stale.

    Raises:
        StoreError: an input has not been materialised, or was damaged and has been removed.
        WorkError: the work failed, and the title is not known to be at fault.
        MachineError: the machine is at fault, and would be for any title.
        ConfigurationError, IdentityMismatchError: the settings are at fault.
    """
    if not is_title_id(title_id):  # before a path is made of it
        reason = f"{title_id!r} is no title id: name the partition as the title's folder."
        return [Outcome(asset, title_id, "quarantined", reason=reason) for asset in assets]
    quarantine = Quarantine(platform.store)
    folder = platform.inbox.folder(title_id)
    if assets == ("title",):
        if quarantine.get(title_id):
            platform.lifted.add(title_id)
            attempts_in(platform).forget(title_id)
            failures_in(platform).forget(title_id)
        quarantine.lift(title_id)
    elif entry := quarantine.get(title_id):
        return [Outcome(asset, title_id, "quarantined", reason=entry.reason) for asset in assets]
    with platform.one_model():
        return _materialise(TitleComparison(platform, title_id), assets, folder, force)


def _materialise(
    comparison: TitleComparison, assets: tuple[str, ...], folder: TitleFolder, force: bool
) -> list[Outcome]:
    """Bring assets up to date, or quarantine the title if it is at fault for a failure."""
    platform, title_id = comparison.platform, comparison.title_id
    # As it was before the work: a folder that is fixed meanwhile has to be tried again.
    known = comparison.record("title")
    seen = (
        folder.fingerprint() if assets == ("title",) or not known else known.details["fingerprint"]
    )
    try:
        with _stopping_at_progress(platform):
            outcomes = _bring_up_to_date(comparison, assets, folder, force)
    except Exception as error:  # noqa: BLE001 - attributed, and raised unless the title is at fault
        raise_if_interrupted()  # libraries turn interrupts into errors of their own
        reason = quarantine_reason(_failed_work(comparison, assets, folder), error)
    else:
        reason = ""
    finally:
        if assets == (_LAST_OF_INBOX,):
            platform.inbox.evict_copies(title_id)
    if reason:
        platform.inbox.evict_copies(title_id)
        reason = Quarantine(platform.store).add(title_id, assets[0], reason, seen).reason
        # Nothing is left to do for it. The last asset comes first: the title is not complete.
        for asset in reversed(SPECS):
            platform.progress(title_id, asset, 1.0)
        return [Outcome(asset, title_id, "quarantined", reason=reason) for asset in assets]
    for outcome in outcomes:
        platform.progress(title_id, outcome.asset, 1.0)
    return outcomes


@contextmanager
def _stopping_at_progress(platform: Platform) -> Iterator[None]:
    """Let an interrupt end the work only where it reports progress.

    An exception from a signal handler can hit a native library where it ends the process: in one of
    50 interrupted runs the library of a network aborted, which looks like a crash that the title
    has caused.
    """
    with deferring_interrupts() as interrupt_came:

        def stop(_title_id: str, _asset: str, _share: float) -> None:
            if interrupt_came():
                raise Interrupt

        with platform.also_reporting(stop):
            yield


def _bring_up_to_date(
    comparison: TitleComparison, assets: tuple[str, ...], folder: TitleFolder, force: bool
) -> list[Outcome]:
    platform, title_id = comparison.platform, comparison.title_id
    if assets == ("title",):
        known = comparison.title
        if known and is_current_title(known[0], folder) and not force:
            return [Outcome("title", title_id, "unchanged", known[0])]
        platform.progress(title_id, "title", 0.0)
        failures_in(platform).require_below_limit(title_id, "title", folder.fingerprint())
        with attempts_in(platform).attempt(title_id, "title"):
            record = register_title(platform, folder, known)
        failures_in(platform).forget(title_id, "title")
        return [Outcome("title", title_id, "computed", record)]

    # One decode writes all three of its assets, so that all of them have to be current.
    group = _computed_together(assets)
    targets = {asset: _target(comparison, asset) for asset in group}
    found = {asset: comparison.record(asset) for asset in group}
    status: Status = "unchanged"
    if force or not all(comparison.is_current(asset) for asset in group):
        status = "computed"
        failures_in(platform).require_below_limit(title_id, group[0], targets[group[0]].version)
        work = Work(comparison, targets, reuse=not force)
        work.report(group[0], 0.0)
        with attempts_in(platform).attempt(title_id, group[0]):
            _compute(work, group)
        found |= work.written
    # Unchanged artefacts too: the run that wrote one may have been killed before its check.
    checks = {asset: _check(comparison, asset) for asset in group}
    failures_in(platform).forget(title_id, group[0])
    return [
        Outcome(asset, title_id, status, found[asset], checks=checks[asset]) for asset in assets
    ]


def _computed_together(assets: tuple[str, ...]) -> tuple[str, ...]:
    return DECODED if assets[0] in DECODED else assets


def _compute(work: Work, group: tuple[str, ...]) -> None:
    """Compute assets.

    Raises:
        TitleError: the input is at fault.
        WorkError: an artefact is at fault, or what computed it.
    """
    try:
        _COMPUTE[group[0]](work)
    except TitleError as error:
        if group[0] in _EXAMINE_INPUT:
            raise
        raise WorkError(str(error)) from error


def _failed_work(
    comparison: TitleComparison, assets: tuple[str, ...], folder: TitleFolder
) -> FailedWork:
    group = _computed_together(assets)

    def content() -> str:
        if group == ("title",):
            return folder.fingerprint()
        return _target(comparison, group[0]).version

    return FailedWork(comparison, group, lambda work: _compute(work, group), content)


def _target(comparison: TitleComparison, asset: str) -> WantedVersion:
    """Return the version of an asset to compute.

    Raises:
        NotReadyError: an input is missing, or no model serves.
    """
    spec = SPECS[asset]
    if not all(comparison.record(name) for name in spec.dependencies):
        names = ", ".join(spec.dependencies)
        raise NotReadyError(
            f"{comparison.title_id} lacks an input of {asset} ({names}): materialise it first."
        )
    target = comparison.wanted(asset)
    if target is None:
        raise NotReadyError(
            f"No model is released for {asset} of {comparison.title_id}: run `mediafm train`."
        )
    return target


def _check(comparison: TitleComparison, asset: str) -> tuple[CheckResult, ...]:
    """Check an artefact; one that fails is removed, so that nothing is built on it.

    Raises:
        WorkError: a check failed. The machine that has computed it may be at fault, a GPU for
            instance.
    """
    store, title_id = comparison.platform.store, comparison.title_id
    variant = comparison.variants[asset]
    results = run_checks(store, asset, title_id, variant)
    failed = [result for result in results if not result.passed]
    if failed:
        store.remove(asset, title_id, variant)
        faults = "; ".join(f"{result.name}: {result.detail}" for result in failed)
        raise WorkError(f"{title_id} has unusable {asset} ({faults})")
    return tuple(results)
