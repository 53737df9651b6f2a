"""Failure attribution: whether a title, the machine or the settings caused an error."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mediafm_core.errors import (
    ChangedTitleError,
    DamagedArtefactError,
    MachineError,
    NotReadyError,
    StoreError,
    WorkError,
)
from mediafm_core.isolation.wire_errors import RemoteSystemError
from mediafm_core.pipeline.checks import run_checks
from mediafm_core.pipeline.failures.cross_check import find_title_to_check, rerun_on
from mediafm_core.pipeline.failures.unknown_failures import RUNS_TO_QUARANTINE, failures_in
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.planning.title_comparison import TitleComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.work import Work
from mediafm_core.runtime.error_causes import (
    Cause,
    fault_of,
    in_one_line,
    low_on_room,
    machine_sentence,
)
from mediafm_core.store.records import JSON_ASSETS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FailedWork:
    """Work on a title that has failed.

    Attributes:
        comparison: of the title, made before the work.
        assets: the assets that the work computes together.
        compute: the work; takes the `Work` of this title or of another one.
        content: returns the data version of the title's inputs to the work.
    """

    comparison: TitleComparison
    assets: tuple[str, ...]
    compute: Callable[[Work], None]
    content: Callable[[], str]

    @property
    def platform(self) -> Platform:
        """Settings, store and networks."""
        return self.comparison.platform

    @property
    def title_id(self) -> str:
        """The title."""
        return self.comparison.title_id

    def __str__(self) -> str:
        return f"{self.title_id}: {self.assets[0]}"


def quarantine_reason(work: FailedWork, error: Exception) -> str:
    """Return the reason to quarantine a title, if its input has caused the error.

    Raises:
        MachineError, ConfigurationError, IdentityMismatchError: the machine or the settings have
            caused it, so that every other title would fail with the same error.
        StoreError, WorkError: another artefact has caused it, or the cause is unknown.
    """
    platform, fault = work.platform, fault_of(error)
    if fault.cause is Cause.TITLE or isinstance(error, ChangedTitleError):
        if platform.inbox.folder(work.title_id).is_gone:
            raise WorkError(
                f"{work.title_id} is no longer in the inbox {platform.inbox.location}: put it "
                f"back, or `mediafm retire {work.title_id}`."
            ) from error
        if isinstance(error, ChangedTitleError):
            raise error
        return platform.inbox.with_locations(str(error))
    if fault.cause is Cause.SETTINGS or isinstance(error, MachineError | NotReadyError):
        raise error
    if fault.cause is Cause.MACHINE:
        if isinstance(fault.error, RemoteSystemError) and not low_on_room(platform.places):
            raise WorkError(
                f"{work} failed: the process that reads it reports {in_one_line(fault.error)!r}, "
                f"which this machine does not confirm: {fault.remedy}, and run again."
            ) from error
        sentence = machine_sentence(fault, platform.places)
        raise MachineError(f"{work} failed. {sentence}") from error
    _remove_damaged_inputs(work, error)
    if isinstance(error, StoreError):
        raise error
    if fault.cause is Cause.STORE:
        raise WorkError(f"{work} failed ({in_one_line(fault.error)}): check this file.") from error
    if low := low_on_room(platform.places):
        raise MachineError(f"{work} failed ({in_one_line(error)}). {low}") from error
    logger.error("%s failed", work, exc_info=error)
    raise WorkError(f"{work} failed ({in_one_line(error)}). {_cross_check(work, error)}") from error


def _cross_check(work: FailedWork, error: Exception) -> str:
    """Run the same work on another title; if it passes, count the failure against this title.

    Returns:
        The result in a sentence, for the error message.

    Raises:
        MachineError: the work on the other title fails as well.
    """
    platform, asset = work.platform, work.assets[0]
    with platform.one_model():
        found = find_title_to_check(platform, asset, but={work.title_id, *platform.failed})
        if found is None:
            return "There is no other title to run the same work on: report it if it recurs."
        other_error = rerun_on(found, work.assets, work.compute)
        content = work.content()
    other = found.title_id
    platform.inbox.evict_copies(other)
    if other_error is None:
        runs = failures_in(platform).count(work.title_id, asset, content, error, platform.run_id)
        return (
            f"The same work on {other} passes, so report it with the media; this is run {runs} of "
            f"{RUNS_TO_QUARANTINE} after which the title is quarantined."
        )
    if fault_of(other_error).cause is Cause.TITLE or isinstance(other_error, ChangedTitleError):
        return f"A run on {other} is inconclusive ({in_one_line(other_error)})."
    raise MachineError(
        f"{work} failed ({in_one_line(error)}), and so did the same work on {other}, which has "
        f"passed before ({in_one_line(other_error)}): look for what has changed on this machine, "
        "or report it."
    ) from error


def _remove_damaged_inputs(work: FailedWork, error: Exception) -> None:
    """Remove damaged inputs of failed work; they are derived, so the next run computes them again.

    Raises:
        StoreError: inputs were damaged, which explains the failure.
    """
    store, title_id = work.platform.store, work.title_id
    names = {name for asset in work.assets for name in SPECS[asset].dependencies}
    damaged = [name for name in sorted(names) if _is_damaged(work.comparison, name, error)]
    for name in damaged:
        store.remove(name, title_id, work.comparison.variants[name])
    if damaged:
        raise StoreError(
            f"{title_id}: {', '.join(damaged)} could not be read and were removed ({error}): run "
            "again to recompute them."
        ) from error


def _is_damaged(comparison: TitleComparison, asset: str, error: Exception) -> bool:
    """Return True if an artefact is unreadable, fails its checks, or is named by the error."""
    if isinstance(error, DamagedArtefactError) and error.asset == asset:
        return True
    store, title_id = comparison.platform.store, comparison.title_id
    variant = comparison.variants[asset]
    if asset in JSON_ASSETS or not store.has(asset, title_id, variant):
        return False
    if not store.is_sound(asset, title_id, variant):
        return True
    return not all(result.passed for result in run_checks(store, asset, title_id, variant))
