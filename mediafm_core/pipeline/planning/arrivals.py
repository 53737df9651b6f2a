"""What has come into the inbox since it was last taken in."""

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
    """The folders of an inbox by what is to be done with them.

    Attributes:
        new: complete titles that were never taken in, with their fingerprints.
        changed: titles whose folder is another than the one that was taken in, likewise.
        incomplete: folders without `title.json`.
        settling: changed folders that somebody may still be writing to.
        held_back: quarantined titles whose folder is as it was.
        known: how many are as they were taken in.
    """

    new: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    settling: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    known: int = 0

    @property
    def fingerprints(self) -> dict[str, str]:
        """The titles to take in, the new ones first, with their fingerprints."""
        return {**self.new, **self.changed}

    def __str__(self) -> str:
        counts = {
            "new": len(self.new),
            "changed": len(self.changed),
            "waiting for title.json": len(self.incomplete),
            "still changing": len(self.settling),
            "quarantined": len(self.held_back),
            "known": self.known,
        }
        told = [f"{count} {what}" for what, count in counts.items() if count]
        return ", ".join(told) or "no titles"


def taken_in(platform: Platform) -> dict[str, str]:
    """Fingerprint of each title's folder when it was taken in."""
    titles = platform.version_index.look([("title", "")]).files("title", "")
    return {
        title_id: file.found.fingerprint
        for title_id, file in titles.items()
        if isinstance(file.found, RecordedVersion) and file.found.fingerprint
    }


def arrivals(platform: Platform, taken_in: Mapping[str, str], settle_s: float) -> Arrivals:
    """Compare the inbox with what was taken in. Nothing of a title is read but its listing.

    A folder whose name cannot be a title id is quarantined here: it cannot become a partition.

    Args:
        platform: settings, store and inbox.
        taken_in: fingerprint of each title's folder when it was taken in, whatever became of it.
        settle_s: seconds for which a changed folder must have been still; a new one is complete by
            its `title.json`, but a re-delivered one has had that all the time.

    Raises:
        ConfigurationError: the inbox does not exist.
    """
    quarantine = Quarantine(platform.store)
    held_back = {entry.title_id: entry.fingerprint for entry in quarantine}
    found = Arrivals()
    known = 0
    for folder in platform.inbox.scan():
        name, fingerprint = folder.name, folder.fingerprint()
        as_held_back = held_back.get(name) == fingerprint
        if as_held_back or not has_usable_name(folder, quarantine):
            found.held_back.append(name)
        elif taken_in.get(name) == fingerprint and name not in held_back:
            known += 1
        elif not folder.is_complete:
            found.incomplete.append(name)
        elif name not in taken_in and name not in held_back:
            found.new[name] = fingerprint
        elif not _is_settled(platform, folder, fingerprint, settle_s):
            found.settling.append(name)
        else:
            found.changed[name] = fingerprint
    return Arrivals(
        found.new, found.changed, found.incomplete, found.settling, found.held_back, known
    )


def _is_settled(platform: Platform, folder: TitleFolder, fingerprint: str, settle_s: float) -> bool:
    """Return whether a folder has been left alone for the time that it must be.

    By the times of its files, or, where they are in the future, by looks at it: it must look the
    same for as long.
    """
    now, changed = time.time(), _last_change(folder)
    if not is_ahead(changed, now):
        return now - changed >= settle_s
    first_look = platform.looks.setdefault((folder.name, fingerprint), time.monotonic())
    return time.monotonic() - first_look >= settle_s


def _last_change(folder: TitleFolder) -> float:
    """When a file of a folder was last written, seconds since the epoch."""
    try:
        return max((entry.modified_s for entry in folder.files.values()), default=0.0)
    except TitleError:  # reading the folder tells what is wrong with it
        return 0.0
