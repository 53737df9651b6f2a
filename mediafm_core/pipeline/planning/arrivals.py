"""New and changed title folders of an inbox."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mediafm_core.errors import TitleError
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.quarantine import Quarantine, has_usable_name
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.store.records import RecordedVersion
from mediafm_core.titles.title_folder import TitleFolder


@dataclass(frozen=True)
class Arrivals:
    """The folders of an inbox, by the work that they need.

    Attributes:
        new: complete titles that were never ingested, with their fingerprints.
        changed: ingested titles whose folder has changed since, likewise.
        incomplete: folders without `title.json`.
        settling: changed folders that may still be written to.
        quarantined: quarantined titles whose folder has not changed.
        known: number of ingested titles whose folder has not changed.
    """

    new: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    settling: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    known: int = 0

    @property
    def fingerprints(self) -> dict[str, str]:
        """The titles to ingest, the new ones first, with their fingerprints."""
        return {**self.new, **self.changed}

    def __str__(self) -> str:
        counts = {
            "new": len(self.new),
            "changed": len(self.changed),
            "waiting for title.json": len(self.incomplete),
            "still changing": len(self.settling),
            "quarantined": len(self.quarantined),
            "known": self.known,
        }
        parts = [f"{count} {kind}" for kind, count in counts.items() if count]
        return ", ".join(parts) or "no titles"


def ingested_fingerprints(platform: Platform) -> dict[str, str]:
    """Return the fingerprint that each title's folder had when the title was ingested."""
    titles = platform.version_index.look([("title", "")]).files("title", "")
    return {
        title_id: file.found.fingerprint
        for title_id, file in titles.items()
        if isinstance(file.found, RecordedVersion) and file.found.fingerprint
    }


def arrivals(platform: Platform, ingested: Mapping[str, str], settle_s: float) -> Arrivals:
    """Compare the inbox with the ingested titles; only listings of folders are read.

    A folder whose name cannot be a title id is quarantined here: it cannot become a partition.

    Args:
        platform: settings, store and inbox.
        ingested: fingerprint that each title's folder had when the title was ingested, also of
            titles that have failed since.
        settle_s: seconds for which a changed folder must not have changed any more. A new folder is
            complete once it has `title.json`; a folder that is delivered again has that from the
            start.

    Raises:
        ConfigurationError: the inbox does not exist.
    """
    quarantine = Quarantine(platform.store)
    in_quarantine = {entry.title_id: entry.fingerprint for entry in quarantine}
    found = Arrivals()
    known = 0
    for folder in platform.inbox.scan():
        name, fingerprint = folder.name, folder.fingerprint()
        is_known_failure = in_quarantine.get(name) == fingerprint
        if is_known_failure or not has_usable_name(folder, quarantine):
            found.quarantined.append(name)
        elif ingested.get(name) == fingerprint and name not in in_quarantine:
            known += 1
        elif not folder.is_complete:
            found.incomplete.append(name)
        elif name not in ingested and name not in in_quarantine:
            found.new[name] = fingerprint
        elif not _is_settled(platform, folder, fingerprint, settle_s):
            found.settling.append(name)
        else:
            found.changed[name] = fingerprint
    return Arrivals(
        found.new, found.changed, found.incomplete, found.settling, found.quarantined, known
    )


def _is_settled(platform: Platform, folder: TitleFolder, fingerprint: str, settle_s: float) -> bool:
    """Return True if a folder has not changed for `settle_s` seconds.

    The times of its files decide. Where they are in the future, the time since this process first
    saw the present fingerprint does.
    """
    now, changed = time.time(), _last_change(folder)
    if not is_ahead(changed, now):
        return now - changed >= settle_s
    first_look = platform.looks.setdefault((folder.name, fingerprint), time.monotonic())
    return time.monotonic() - first_look >= settle_s


def _last_change(folder: TitleFolder) -> float:
    """Return the time of the last change of a folder's files, seconds since the epoch."""
    try:
        return max((entry.modified_s for entry in folder.files.values()), default=0.0)
    except TitleError:  # ingesting the folder reports the fault
        return 0.0
