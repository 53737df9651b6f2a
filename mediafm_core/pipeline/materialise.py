"""Compute what is missing or stale of one title, and nothing else."""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mediafm_core.errors import (
    ConfigurationError,
    IdentityMismatchError,
    MediaFMError,
    NotReadyError,
    StorageError,
    StoreError,
    TitleError,
)
from mediafm_core.pipeline.attempts import MOST_FAILURES, attempts_in
from mediafm_core.pipeline.checks import CheckResult, run_checks
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.pipeline.stages.context import clip_features, contextual_embeddings
from mediafm_core.pipeline.stages.decode import decode
from mediafm_core.pipeline.stages.embed import (
    audio_embeddings,
    fused_embeddings,
    text_embeddings,
    timed_text,
    title_metadata_embedding,
    video_embeddings,
)
from mediafm_core.pipeline.stages.title import register_title
from mediafm_core.pipeline.states import (
    Wanted,
    input_versions,
    is_current_title,
    recorded,
    variant_of,
    wanted,
)
from mediafm_core.pipeline.work import Work
from mediafm_core.store.artefacts import JSON_ASSETS, ArtefactRecord
from mediafm_core.titles.inbox import TitleFolder
from mediafm_core.titles.manifest import is_title_id

logger = logging.getLogger(__name__)

Status = Literal["computed", "unchanged", "quarantined"]

_LAST_OF_INBOX = "timed_text"  # what comes after it reads no media

# No space, read-only, out of handles: nothing that a title could be held back for.
_ERRORS_OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EIO}
)

DECODED = ("shots", "keyframes", "soundtrack")

# What writes each asset. The three that one decode yields share a computation.
_COMPUTE: dict[str, Callable[[Work], None]] = {
    **dict.fromkeys(DECODED, decode),
    "timed_text": timed_text,
    "video_embeddings": video_embeddings,
    "audio_embeddings": audio_embeddings,
    "text_embeddings": text_embeddings,
    "title_metadata_embedding": title_metadata_embedding,
    "fused_embeddings": fused_embeddings,
    "contextual_embeddings": contextual_embeddings,
    "clip_features": clip_features,
}


@dataclass(frozen=True)
class Outcome:
    """What became of an asset of a title.

    Attributes:
        record: of the artefact, new or found; None when the title is quarantined.
        reason: why it is quarantined.
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
        """The status, and of what is unchanged why nothing was computed."""
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
    """Bring assets of a title that one computation yields up to date.

    Asking for `title` lifts a quarantine and validates the folder again; any other asset of a
    quarantined title is left alone. Input that cannot be used quarantines the title, and so does
    an error that nobody foresaw: it must not stop the others, whatever it is.

    Args:
        platform: settings, store and networks.
        assets: one asset, or any of `DECODED`.
        title_id: the title, a folder of the inbox.
        force: compute also what is up to date, and reuse no vectors of single shots. Equal results
            have the same data version, so that nothing that depends on them becomes stale.

    Raises:
        StoreError: an input has not been materialised.
        ConfigurationError, IdentityMismatchError, OSError: the machine or the settings are at
            fault, not the title.
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
        quarantine.lift(title_id)
    elif entry := quarantine.get(title_id):
        return [Outcome(asset, title_id, "quarantined", reason=entry.reason) for asset in assets]
    # As it was before the work: a folder that is mended meanwhile is to be tried again.
    known = recorded(platform, "title", title_id)
    seen = (
        folder.fingerprint() if assets == ("title",) or not known else known.details["fingerprint"]
    )
    try:
        with platform.one_model():
            outcomes = _materialise(platform, assets, folder, force)
    except TitleError as error:
        reason = platform.inbox.in_words(str(error))
    except Exception as error:
        if _is_of_the_machine(error):
            raise
        _remove_damaged_inputs(platform, assets, title_id, error)
        reason = _reason_to_give_up(platform, assets[0], title_id, error)
        if not reason:
            raise
    else:
        reason = ""
        attempts_in(platform).succeeded(title_id, assets[0])
    finally:
        if assets == (_LAST_OF_INBOX,):
            platform.inbox.put_away(title_id)
    if reason:
        platform.inbox.put_away(title_id)
        quarantine.add(title_id, assets[0], reason, seen)
        return [Outcome(asset, title_id, "quarantined", reason=reason) for asset in assets]
    for outcome in outcomes:
        platform.progress(title_id, outcome.asset, 1.0)
    return outcomes


def _is_of_the_machine(error: Exception) -> bool:
    """Whether any other title would meet the same error: settings, storage, a full disk."""
    if isinstance(error, OSError):
        return error.errno in _ERRORS_OF_THE_MACHINE
    return isinstance(
        error, ConfigurationError | IdentityMismatchError | StorageError | NotReadyError
    )


def _remove_damaged_inputs(
    platform: Platform, assets: tuple[str, ...], title_id: str, error: Exception
) -> None:
    """Remove artefacts that an asset is made from and that cannot be read, after it has failed.

    They are derived: the next run computes them again.

    Raises:
        StoreError: that is what was at fault.
    """
    store = platform.store
    names = {name for asset in assets for name in SPECS[asset].dependencies} - JSON_ASSETS
    damaged = []
    for name in sorted(names):
        variant = variant_of(platform, SPECS[name])
        if store.has(name, title_id, variant) and not store.is_sound(name, title_id, variant):
            store.remove(name, title_id, variant)
            damaged.append(name)
    if damaged:
        raise StoreError(
            f"{title_id}: {', '.join(damaged)} could not be read and were removed ({error}): run "
            "again, which computes them anew."
        ) from error


def _reason_to_give_up(platform: Platform, asset: str, title_id: str, error: Exception) -> str:
    """Why a title is held back after an error that is not of its folder; empty to try again."""
    fault = f"{type(error).__name__}: {error}".splitlines()[0]
    if not isinstance(error, MediaFMError | OSError | MemoryError):
        logger.exception("%s: %s failed", title_id, asset, exc_info=error)
        return f"{title_id}: {asset} failed unexpectedly ({fault}): report it; then --retry."
    failures = attempts_in(platform).failed(title_id, asset)
    if failures < MOST_FAILURES:
        return ""
    return (
        f"{title_id}: {asset} has failed {failures} times in a row ({fault}): mend that, then "
        f"`mediafm run --titles {title_id} --retry`."
    )


def _materialise(
    platform: Platform, assets: tuple[str, ...], folder: TitleFolder, force: bool
) -> list[Outcome]:
    title_id = folder.name
    if assets == ("title",):
        known = recorded(platform, "title", title_id)
        if known and is_current_title(known, folder) and not force:
            return [Outcome("title", title_id, "unchanged", known)]
        with attempts_in(platform).attempt(title_id, "title"):
            record = register_title(platform, folder)
        return [Outcome("title", title_id, "computed", record)]

    # One decode writes all that it yields, so all of it must be asked for to be current.
    group = DECODED if assets[0] in DECODED else assets
    targets = {asset: _target(platform, asset, title_id) for asset in group}
    found = {asset: recorded(platform, asset, title_id) for asset in group}
    versions = {asset: made.data_version for asset, made in found.items() if made}
    status: Status = "unchanged"
    if force or versions != {asset: target.version for asset, target in targets.items()}:
        status = "computed"
        work = Work(platform, title_id, targets, reuse=not force)
        with attempts_in(platform).attempt(title_id, group[0]):
            _COMPUTE[group[0]](work)
        found |= work.written
    # What was there is checked too: the run that wrote it may have been killed before it could.
    checks = {asset: _check(platform, asset, title_id) for asset in group}
    return [
        Outcome(asset, title_id, status, found[asset], checks=checks[asset]) for asset in assets
    ]


def _target(platform: Platform, asset: str, title_id: str) -> Wanted:
    versions = input_versions(platform, asset, title_id)
    if versions is None:
        names = ", ".join(SPECS[asset].dependencies)
        raise NotReadyError(
            f"{title_id} lacks an input of {asset} ({names}): materialise it first."
        )
    target = wanted(platform, asset, versions)
    if target is None:
        raise NotReadyError(f"No model is released for {asset} of {title_id}: run `mediafm train`.")
    return target


def _check(platform: Platform, asset: str, title_id: str) -> tuple[CheckResult, ...]:
    """Check an artefact; one that fails is removed, so that nothing is built on it.

    Raises:
        TitleError: a check failed; the title is to be quarantined.
    """
    variant = variant_of(platform, SPECS[asset])
    results = run_checks(platform.store, asset, title_id, variant)
    failed = [result for result in results if not result.passed]
    if failed:
        platform.store.remove(asset, title_id, variant)
        faults = "; ".join(f"{result.name}: {result.detail}" for result in failed)
        raise TitleError(f"{title_id} has unusable {asset} ({faults}): report it with the media.")
    return tuple(results)
