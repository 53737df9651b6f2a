"""Verification: every file of a store is read and compared with its digest."""

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
    """A file whose content differs from what was written.

    Attributes:
        file: the file.
        place: its path or address, for people.
        reason: the evidence of the damage.
        copy: path of the local copy of a file in S3, if only the copy is damaged.
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
        files: number of files read.
        bytes: their total size.
        damaged: files whose content differs from what was written.
        unsealed: files without a digest, written by an earlier version; they could be decoded.
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
    """One of several equal parts of a store's files, by a checksum of their names.

    Attributes:
        number: of the part, from 0.
        parts: number of parts.
    """

    number: int
    parts: int

    def has(self, file: StoredFile) -> bool:
        """Return True if a file belongs to the part."""
        return zlib.crc32(file.key.encode()) % self.parts == self.number


ALL = Share(0, 1)


def nightly_share(day: date, nights: int) -> Share:
    """Return the part for one night; over `nights` consecutive nights, every file is in one."""
    return Share(day.toordinal() % nights, nights)


def verify(
    platform: Platform,
    titles: Collection[str] | None = None,
    share: Share = ALL,
    progress: Show = lambda _progress: None,
) -> Verification:
    """Read the files of a store and compare each with its digest; nothing is changed.

    Files in S3 are downloaded one by one; their local copies are read too.

    Args:
        platform: settings and store.
        titles: verify only artefacts of these titles; None verifies all files, including those of
            models and features.
        share: verify only the files of this part.
        progress: called before each file.

    Raises:
        ConfigurationError: the store holds no files of one of the titles.
        StorageError: the store cannot be reached.
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
    """Compare files again after a repair; files that no longer exist are left out."""
    store = platform.store
    found = [each for file in files for each in compared(store, file).damaged]
    found += [
        DamagedFile(file, f"{store.location}/{file.key}", MISSING) for file in missing_files(store)
    ]
    return tuple(found)


class Compared(NamedTuple):
    """Result for one file: damage of the file and its copies, and False if it has no digest."""

    damaged: list[DamagedFile]
    has_digest: bool


def compared(store: Store, file: StoredFile) -> Compared:
    """Compare a file and its local copies with its digest.

    Raises:
        StorageError: the store cannot be reached.
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
            continue  # another process has evicted it
    # Damage must show twice: a run may have just replaced the file, or the one with its digest.
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
    """Yield the missing sound file of a soundtrack record."""
    if file.kind != "record" or file.asset != "soundtrack":
        return
    record = store.json_record(file.asset, file.owner)
    key = store.key(file.asset, file.owner, suffix=".flac")
    sound = stored_file(key)
    if record and record[1].get("file") and sound and not store.files.exists(key):
        yield DamagedFile(sound, f"{store.location}/{key}", MISSING)


def _damaged_copies_of_models(store: Store) -> Iterator[DamagedFile]:
    """Yield damaged local copies of models of a store in S3."""
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
                f"{store.location} has no files of the title {title_id!r}: see `mediafm status`."
            )
