"""Local cache of remote files: each entry is complete and of one state of its file.

    <root>/<key>/@<stamp>/<name>

A stamp changes whenever a file is replaced, so an entry is never stale: a lookup by stamp hits or
misses. Entries are written atomically. Those least recently used are evicted when the cache exceeds
its size.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mediafm_core.disk.atomic import replace_file
from mediafm_core.runtime.clock import is_ahead

_ABSENT = "absent"
# A path that was returned is opened soon; a file that is open survives its eviction.
_SPARED_S = 600.0
_KEPT_SHARE = 0.8  # of the size, after an eviction, so that not every new entry lists all others


class FileCache:
    """A folder of cached files.

    Args:
        root: the folder.
        location: of the remote files, for messages.
        room_bytes: largest size of all entries together.
    """

    def __init__(self, root: Path, location: str, room_bytes: float) -> None:
        self._root = root
        self._location = location
        self._room_bytes = room_bytes
        self._bytes: int | None = None  # unknown until the folder is looked at
        self._lock = threading.Lock()
        self._copy_path = re.compile(rf"{re.escape(str(root))}/(\S.*?)/@[^/\s]+/[^/\s'\"]+")

    def path(self, key: str, stamp: str) -> Path:
        """Return the path of an entry; it may not exist."""
        return self._root / key / f"@{safe_name(stamp)}" / PurePosixPath(key).name

    def stamp_of(self, path: Path) -> str:
        """Return the stamp of an entry."""
        return path.parent.name.removeprefix("@")

    def absent(self, key: str) -> Path:
        """Return a path at which there is never a file, for a remote file that does not exist."""
        return self.path(key, _ABSENT)

    def stamps(self, key: str) -> list[str]:
        """Return the stamps of a file's entries, the most recently used first."""
        name = PurePosixPath(key).name
        found = [
            (copy.age_s, copy.path.parent.name[1:])
            for copy in self._entries(self._root / key)
            if copy.path.name == name
        ]
        return [stamp for _, stamp in sorted(found)]

    def keep(self, prepared: Path, key: str, stamp: str) -> Path:
        """Move a complete file into the cache, evicting others if need be, and return its path.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        path = self.path(key, stamp)
        size = prepared.stat().st_size
        self._make_room(size)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(prepared, path)
        self.touch(path)
        return path

    def touch(self, path: Path) -> bool:
        """Mark an entry as used now; return False if there is none."""
        try:
            os.utime(path.parent)
        except FileNotFoundError:
            return False
        return path.exists()

    def drop(self, key: str) -> None:
        """Evict the entries of a file, or of all files of a folder."""
        shutil.rmtree(self._root / key, ignore_errors=True)

    def in_words(self, text: str) -> str:
        """Return a text with the remote files' names in place of cached paths."""
        return self._copy_path.sub(lambda found: f"{self._location}/{found[1]}", text)

    def _make_room(self, size: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(copy.size for copy in self._entries(self._root))
            self._bytes += size
            if self._bytes <= self._room_bytes:
                return
            kept = size
            for copy in sorted(self._entries(self._root)):  # the most recently used first
                if copy.age_s > _SPARED_S and kept + copy.size > _KEPT_SHARE * self._room_bytes:
                    shutil.rmtree(copy.path.parent, ignore_errors=True)
                else:
                    kept += copy.size
            self._bytes = kept

    def _entries(self, folder: Path) -> Iterator["_Copy"]:
        for parent, _, names in os.walk(folder):
            if not PurePosixPath(parent).name.startswith("@"):
                continue
            for path in (Path(parent, name) for name in names):
                try:
                    used, size = path.parent.stat().st_mtime, path.stat().st_size
                except FileNotFoundError:  # another process evicts entries too
                    continue
                now = time.time()
                if is_ahead(used, now):  # or it would seem to be in use until then
                    self.touch(path)
                yield _Copy(now - used, size, path)


class _Copy(NamedTuple):
    age_s: float
    size: int
    path: Path


def safe_name(stamp: str) -> str:
    """Return a stamp as part of a path: entity tags may hold any character."""
    return re.sub(r"[^\w.-]", "_", stamp)
