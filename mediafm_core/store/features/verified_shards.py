"""Memory of shards whose checksums were verified, so that each is verified once.

DuckDB reads shards without comparing checksums, so MediaFM verifies a whole file before DuckDB
opens it. A verified file is remembered by path, size, inode and times of change, in this process
and, for others on this machine, as an empty file in the cache folder. `mediafm verify` finds damage
that changes none of these.
"""

import json
import os
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from mediafm_core.disk.cache_folders import cache_folder
from mediafm_core.disk.sealed_parquet import check_parquet, check_unsealed, decoding
from mediafm_core.errors import ConfigurationError, StoreError
from mediafm_core.identity import digest_of
from mediafm_core.store.store import Store

_THREADS = min(8, os.cpu_count() or 1)  # digests are computed without Python's lock
_MOST_MARKS = 8192  # beyond it the oldest half is removed; a shard without a mark is verified again

_compared: set[str] = set()


def require_sound(store: Store, keys: Collection[str]) -> list[Path]:
    """Return the paths of shards' files, each compared with its seal if it was not before.

    A missing file raises no error here: opening it does.

    Raises:
        StoreError: one is damaged.
    """
    paths = store.files.paths(list(keys), immutable=True)
    new = [(key, path) for key, path in zip(keys, paths, strict=True) if not _is_known(path)]
    if new:
        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(lambda file: _compare(store, *file), new))
        _mark(name for name in found if name)
    return paths


def remember(paths: Iterable[Path]) -> None:
    """Mark files as verified that this process has just written."""
    _compared.update(name for name in map(_name, paths) if name)


def damaged_shard(store: Store, key: str, reason: str) -> StoreError:
    """Return the error of a shard's file that is damaged."""
    return StoreError(
        f"{store.location}/{key} is damaged ({reason}): `mediafm verify --repair` writes it again "
        "from the titles' artefacts."
    )


def _compare(store: Store, key: str, path: Path) -> str | None:
    """Compare a file, and return the name of its state; None where it is gone."""
    name = _name(path)
    try:
        with decoding(lambda reason: damaged_shard(store, key, reason)):
            if not check_parquet(path):
                check_unsealed(path)
    except FileNotFoundError:
        return None
    return name


def _is_known(path: Path) -> bool:
    name = _name(path)
    if name is None:
        return True
    if name in _compared:
        return True
    with suppress(OSError, ConfigurationError):
        if (_folder() / name).exists():
            _compared.add(name)
            return True
    return False


def _mark(names: Iterable[str]) -> None:
    """Remember files by the names of their states, in this process and for others."""
    names = list(names)
    _compared.update(names)
    # Without a cache folder the next process compares the files again.
    with suppress(OSError, ConfigurationError):
        folder = _folder()
        for name in names:
            (folder / name).touch()
        marks = list(folder.iterdir())
        if len(marks) > _MOST_MARKS:
            for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime)[: _MOST_MARKS // 2]:
                mark.unlink(missing_ok=True)


def _name(path: Path) -> str | None:
    """Return a name for a file in its state; None where it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    state = (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return digest_of(json.dumps([str(path.absolute()), *state]))


def _folder() -> Path:
    return cache_folder("compared")
