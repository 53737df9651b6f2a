"""Copies of remote files on this machine, each complete and of one state of its file.

    <root>/<key>/@<stamp>/<name>

A stamp changes whenever a file is replaced, so that a copy is never out of date: it is found, or it
is not. Copies are moved into place whole and removed when they take more room than they may, the
least recently used ones first.
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
# A path that was handed out is opened soon; what is open already survives its removal.
_SPARED_S = 600.0
_KEPT_SHARE = 0.8  # of the room, after making space: not every new copy is to look at all others


class Copies:
    """A folder of copies.

    Args:
        root: the folder.
        location: where the files themselves are, for people.
        room_bytes: what all copies together may take.
    """

    def __init__(self, root: Path, location: str, room_bytes: float) -> None:
        self._root = root
        self._location = location
        self._room_bytes = room_bytes
        self._bytes: int | None = None  # unknown until the folder is looked at
        self._lock = threading.Lock()
        self._copy_path = re.compile(rf"{re.escape(str(root))}/(\S.*?)/@[^/\s]+/[^/\s'\"]+")

    def path(self, key: str, stamp: str) -> Path:
        """Where the copy of a file in the state of a stamp is, if it is there."""
        return self._root / key / f"@{in_a_name(stamp)}" / PurePosixPath(key).name

    def stamp_of(self, path: Path) -> str:
        """The stamp that a copy is kept under."""
        return path.parent.name.removeprefix("@")

    def absent(self, key: str) -> Path:
        """A path at which nothing ever is, for a file that does not exist."""
        return self.path(key, _ABSENT)

    def stamps(self, key: str) -> list[str]:
        """The states of a file that there are copies of, the most recently used first."""
        name = PurePosixPath(key).name
        found = [
            (copy.age_s, copy.path.parent.name[1:])
            for copy in self._copies(self._root / key)
            if copy.path.name == name
        ]
        return [stamp for _, stamp in sorted(found)]

    def keep(self, prepared: Path, key: str, stamp: str) -> Path:
        """Move a complete file into its place as a copy, making room for it; returns the place.

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
        """Mark a copy as used now; False where there is none."""
        try:
            os.utime(path.parent)
        except FileNotFoundError:
            return False
        return path.exists()

    def drop(self, key: str) -> None:
        """Remove the copies of a file, or of all files of a folder."""
        shutil.rmtree(self._root / key, ignore_errors=True)

    def in_words(self, text: str) -> str:
        """A text that names copies, with the names of the files themselves instead."""
        return self._copy_path.sub(lambda found: f"{self._location}/{found[1]}", text)

    def _make_room(self, size: int) -> None:
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(copy.size for copy in self._copies(self._root))
            self._bytes += size
            if self._bytes <= self._room_bytes:
                return
            kept = size
            for copy in sorted(self._copies(self._root)):  # the most recently used first
                if copy.age_s > _SPARED_S and kept + copy.size > _KEPT_SHARE * self._room_bytes:
                    shutil.rmtree(copy.path.parent, ignore_errors=True)
                else:
                    kept += copy.size
            self._bytes = kept

    def _copies(self, folder: Path) -> Iterator["_Copy"]:
        for place, _, names in os.walk(folder):
            if not PurePosixPath(place).name.startswith("@"):
                continue
            for path in (Path(place, name) for name in names):
                try:
                    used, size = path.parent.stat().st_mtime, path.stat().st_size
                except FileNotFoundError:  # another process makes room too
                    continue
                now = time.time()
                if is_ahead(used, now):  # or it would seem to be in use until then
                    self.touch(path)
                yield _Copy(now - used, size, path)


class _Copy(NamedTuple):
    age_s: float
    size: int
    path: Path


def in_a_name(stamp: str) -> str:
    """A stamp as part of a path: entity tags may hold any character."""
    return re.sub(r"[^\w.-]", "_", stamp)
