"""Verification: every file of a store is read and compared with what was written."""

import time
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from mediafm_core.disk.seals import SealError
from mediafm_core.errors import ConfigurationError, DamagedObjectError
from mediafm_core.model.model_files import TRAINING_FILE, read_json, require_undamaged
from mediafm_core.pipeline.integrity.stored_files import (
    StoredFile,
    compare,
    missing_files,
    stored_file,
    stored_files,
)
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.progress import Show, WorkProgress, rate, time_left
from mediafm_core.store.store import Store

MISSING = "it is missing"
_MIB = 1 << 20


@dataclass(frozen=True)
class DamagedFile:
    """A file that is not what was written.

    Attributes:
        file: which one.
        place: where it is, for people.
        reason: how that shows.
        copy: the copy on this machine of a file in S3, where that is what is damaged.
    """

    file: StoredFile
    place: str
    reason: str
    copy: Path | None = None

    def __str__(self) -> str:
        return f"{self.place} is damaged: {self.reason}"


@dataclass(frozen=True)
class Verification:
    """Result of a verification.

    Attributes:
        files: how many were read.
        bytes: their size.
        damaged: those that are not what was written.
        unsealed: those without a digest, written by an earlier version; they could be decoded.
    """

    files: int = 0
    bytes: int = 0
    damaged: tuple[DamagedFile, ...] = ()
    unsealed: tuple[StoredFile, ...] = ()

    def __str__(self) -> str:
        found = f"{len(self.damaged):,} damaged" if self.damaged else "none damaged"
        without = f", {len(self.unsealed):,} without a digest" if self.unsealed else ""
        return f"{self.files:,} files, {self.bytes / _MIB:,.1f} MiB: {found}{without}"


@dataclass(frozen=True)
class Share:
    """One of several equal parts of a store's files, by their names.

    Attributes:
        number: of the part, from 0.
        parts: how many there are.
    """

    number: int
    parts: int

    def has(self, file: StoredFile) -> bool:
        """Return True if a file belongs to the part."""
        return zlib.crc32(file.key.encode()) % self.parts == self.number


ALL = Share(0, 1)


def nightly_share(day: date, nights: int) -> Share:
    """Return the part of a night: over so many nights in a row, each file is in one part."""
    return Share(day.toordinal() % nights, nights)


def verify(
    platform: Platform,
    titles: Collection[str] | None = None,
    share: Share = ALL,
    progress: Show = lambda _progress: None,
) -> Verification:
    """Read the files of a store and compare each with its digest; nothing is changed.

    Files in S3 are brought down for it one by one; copies of them on this machine are read too.

    Args:
        platform: settings and store.
        titles: only the artefacts of these; None takes all files, those of models and features too.
        share: only the files of one part.
        progress: called after each file.

    Raises:
        ConfigurationError: the store holds nothing of one of the titles.
        StorageError: the store is out of reach.
    """
    store = platform.store
    progress(WorkProgress("listing the store"))
    chosen = [
        (file, entry.size)
        for file, entry in stored_files(store)
        if (file.is_of_title and file.owner in titles if titles is not None else share.has(file))
    ]
    if titles is not None:
        _require_known(store, titles, {file.owner for file, _ in chosen})
    total = sum(size for _, size in chosen)
    damaged: list[DamagedFile] = []
    unsealed: list[StoredFile] = []
    done, started = 0, time.monotonic()
    for number, (file, size) in enumerate(chosen):
        seconds = time.monotonic() - started
        part = done / total if total else 0.0
        speed = rate(done / _MIB, seconds, "MiB")
        state = WorkProgress(f"reading {file.key}", part, number, len(chosen), "files", speed)
        progress(replace(state, seconds_left=time_left(part, seconds)))
        found = compared(store, file)
        damaged += found.damaged
        if not found.has_digest:
            unsealed.append(file)
        done += size
    if titles is None:
        damaged += [
            DamagedFile(file, f"{store.location}/{file.key}", MISSING)
            for file in missing_files(store)
            if share.has(file)
        ]
        damaged += _damaged_copies_of_models(store)
    return Verification(len(chosen), total, tuple(damaged), tuple(unsealed))


def verify_again(platform: Platform, files: Collection[StoredFile]) -> tuple[DamagedFile, ...]:
    """Compare some files once more, after a repair; those that are gone are left out."""
    store = platform.store
    found = [each for file in files for each in compared(store, file).damaged]
    found += [
        DamagedFile(file, f"{store.location}/{file.key}", MISSING) for file in missing_files(store)
    ]
    return tuple(found)


class Compared(NamedTuple):
    """Result for one file: what is damaged of it and its copies; False where it has no digest."""

    damaged: list[DamagedFile]
    has_digest: bool


def compared(store: Store, file: StoredFile) -> Compared:
    """Compare a file, and the copies of it on this machine, with its digest.

    Raises:
        StorageError: the store is out of reach.
    """
    place, has_digest = f"{store.location}/{file.key}", True
    found: list[DamagedFile] = []
    for copy in store.files.copies(file.key):
        try:
            compare(store, file, copy)
        except SealError as error:
            where = f"{copy}, the copy of {place},"
            found.append(DamagedFile(file, where, str(error), copy))
        except FileNotFoundError:
            continue  # another process has made room
    # Twice before it is believed: a run may have replaced the file or the one that has its digest.
    for is_last in (False, True):
        try:
            with store.files.stored(file.key) as path:
                has_digest = compare(store, file, path)
        except (SealError, DamagedObjectError) as error:
            if is_last:
                found.append(DamagedFile(file, place, str(error)))
        except FileNotFoundError:
            break  # removed since it was listed
        else:
            found += _without_sound(store, file)
            break
    return Compared(found, has_digest)


def _without_sound(store: Store, file: StoredFile) -> Iterator[DamagedFile]:
    """A record of sound whose file is gone."""
    if file.kind != "record" or file.asset != "soundtrack":
        return
    record = store.json_record(file.asset, file.owner)
    key = store.key(file.asset, file.owner, suffix=".flac")
    sound = stored_file(key)
    if record and record[1].get("file") and sound and not store.files.exists(key):
        yield DamagedFile(sound, f"{store.location}/{key}", MISSING)


def _damaged_copies_of_models(store: Store) -> Iterator[DamagedFile]:
    """Models of a store in S3 that have been brought to this machine and are damaged here."""
    if not store.files.is_remote:
        return
    for folder in sorted(store.models.glob("[!.]*@*")):
        try:
            require_undamaged(folder, read_json(folder, TRAINING_FILE))
        except ConfigurationError as error:
            file = StoredFile(f"models/{folder.name}/{TRAINING_FILE}", "model", folder.name)
            yield DamagedFile(file, f"{folder}, the copy of a model,", str(error), folder)


def _require_known(store: Store, titles: Collection[str], known: Collection[str]) -> None:
    for title_id in titles:
        if title_id not in known:
            raise ConfigurationError(
                f"{store.location} holds nothing of a title {title_id!r}: see `mediafm status`."
            )
