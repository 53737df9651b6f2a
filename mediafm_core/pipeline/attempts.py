"""Titles that end the process which works on them: a decoder that crashes, memory that runs out.

Such a process can no longer quarantine its title, and every run that takes the title up would end
the same way and take the others of the run with it. So what is being worked on is written down
first, in `<store>/.attempts` on this machine, and crossed out afterwards; what a dead process has
left is a death, and after some of them the title is held back.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from mediafm_core.errors import TitleError

if TYPE_CHECKING:
    from mediafm_core.pipeline.platform import Platform

FOLDER = ".attempts"
MOST_DEATHS = 3  # anybody may kill a process once or twice


def attempts_in(platform: "Platform") -> "Attempts":
    """The attempts on a catalogue's titles."""
    return Attempts(platform.store.root / FOLDER)


class Attempts:
    """What the processes of this machine are working on.

    Args:
        folder: where it is written down.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def attempt(self, title_id: str, asset: str) -> Iterator[None]:
        """Work on an asset of a title.

        Raises:
            TitleError: processes have died of this work before, too often for one more.
        """
        path = self._path(title_id)
        deaths = self._deaths(path, asset)
        if deaths >= MOST_DEATHS:
            raise TitleError(
                f"{title_id}: the process that computed {asset} ended without a word {deaths} "
                "times (out of memory, or killed): see the system's log, give it more memory, then "
                f"`mediafm run --titles {title_id} --retry`."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        process = psutil.Process()
        note = {
            "asset": asset,
            "deaths": deaths,
            "process": process.pid,
            "started": process.create_time(),
        }
        prepared = path.with_suffix(f".{os.getpid()}")
        prepared.write_text(json.dumps(note))
        prepared.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def forget(self, title_id: str) -> None:
        """Let a title be tried again as if nothing had happened."""
        self._path(title_id).unlink(missing_ok=True)

    def _deaths(self, path: Path, asset: str) -> int:
        note = _read(path)
        if note is None or note["asset"] != asset:
            return 0
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(note["process"]).create_time() == note["started"]:
                return int(note["deaths"])  # it works on the same title at this moment
        return int(note["deaths"]) + 1

    def _path(self, title_id: str) -> Path:
        return self._folder / f"{title_id}.json"


def _read(path: Path) -> dict[str, Any] | None:
    """A note, or None where there is none; one that a power cut has spoilt counts as none."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return None
