"""Atomic replacement of files and folders: others see what was there before, or the new one, whole.

What is new is written beside the place that it is for, or elsewhere in the same file system, and
moved there in one step. A process that is killed leaves a hidden file or folder at most.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path to write a file at, which takes the place of `path` if the block succeeds.

    The yielded path is in the same folder and ends as `path` does.
    """
    prepared = path.with_name(f".{os.getpid()}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield prepared
        replace_file(prepared, path)
    finally:
        prepared.unlink(missing_ok=True)


def replace_file(prepared: Path, path: Path) -> None:
    """Move a file of the same file system into the place of another one, or where none was.

    Call `to_disk` before where a power cut must not leave a file that is empty or cut short.
    """
    prepared.replace(path)


@contextmanager
def atomic_folder(
    path: Path, durable: bool = False, is_replaced: Callable[[Path], bool] = lambda _path: False
) -> Iterator[Path]:
    """Yield a new folder to fill, which becomes `path` if the block succeeds.

    Args:
        path: where it belongs; missing parents are made.
        durable: have the content of its files on the disk before anything else sees them.
        is_replaced: called with `path` if there is such a folder by then; by default that one
            stays, and the new one is removed.
    """
    prepared = path.with_name(f".{path.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        prepared.mkdir(parents=True)
        yield prepared
        if durable:
            _files_to_disk(prepared)
        if not path.exists() or is_replaced(path):
            replace_folder(prepared, path)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


def replace_folder(prepared: Path, path: Path, durable: bool = False) -> None:
    """Move a folder into the place of another one, or where none was.

    A folder cannot be replaced in one step: for a moment there is none.

    Args:
        prepared: the new folder, in the same file system.
        path: where it belongs.
        durable: have the content of its files on the disk before anything else sees them.
    """
    if durable:
        _files_to_disk(prepared)
    replaced = prepared.with_name(f"{prepared.name}.replaced")
    if path.exists():
        path.rename(replaced)
    try:
        prepared.rename(path)
    except OSError:
        if replaced.exists():
            replaced.rename(path)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def to_disk(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files_to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        to_disk(path)
