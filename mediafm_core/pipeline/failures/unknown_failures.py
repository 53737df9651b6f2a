"""Counts of failures of unknown cause, for which a title may be responsible.

An unexpected error may be caused by the title (its content triggers a bug) or by the machine. It
counts against the title if the same work on another title passes right after it (`cross_check`). A
title is quarantined once the same error has recurred with the same content in `RUNS_TO_QUARANTINE`
separate runs, each time with a passed cross-check. The counts are kept on this machine, in
`<store>/.attempts/failures`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import TitleError
from mediafm_core.isolation.wire_errors import kind_and_place
from mediafm_core.pipeline.failures.attempts import FOLDER
from mediafm_core.runtime.error_causes import in_one_line

if TYPE_CHECKING:
    from mediafm_core.pipeline.platform import Platform

RUNS_TO_QUARANTINE = 3


def failures_in(platform: "Platform") -> "Failures":
    """Return the failure counts of a catalogue's titles on this machine."""
    return Failures(platform.store.root / FOLDER / "failures")


class _Counted(BaseModel):
    """Failures of one title that are counted together.

    Attributes:
        asset: the asset that was to be computed.
        content: data version that it would have.
        error: kind and place of the error.
        runs: ids of the runs that met it, sorted.
        last: the last error in one line.
    """

    asset: str
    content: str
    error: str
    runs: list[str]
    last: str

    @property
    def work_and_error(self) -> tuple[str, str, str]:
        """The fields in which failures that are counted together agree."""
        return self.asset, self.content, self.error


class Failures:
    """Failure counts of titles; a title has a count for one asset at a time.

    Args:
        folder: of the counts, a file for each title.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def count(self, title_id: str, asset: str, content: str, error: Exception, run: str) -> int:
        """Count a failure against a title; return the number of runs with this failure.

        Args:
            title_id: the title.
            asset: the asset that was to be computed.
            content: data version of the inputs; another one starts a new count.
            error: the error; another class or place of origin starts a new count.
            run: id of the run; several failures in one run count once.
        """
        known = self._read(title_id)
        now = _Counted(
            asset=asset,
            content=content,
            error=_kind_and_place(error),
            runs=[run],
            last=in_one_line(error),
        )
        if known and known.work_and_error == now.work_and_error:
            now.runs = sorted({run, *known.runs})
        path = self._path(title_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as prepared:
            prepared.write_text(now.model_dump_json())
        return len(now.runs)

    def require_below_limit(self, title_id: str, asset: str, content: str) -> None:
        """Refuse work that has failed too often for the title's current content.

        Raises:
            TitleError: it has failed in `RUNS_TO_QUARANTINE` runs.
        """
        known = self._read(title_id)
        if known is None or (known.asset, known.content) != (asset, content):
            return
        if len(known.runs) >= RUNS_TO_QUARANTINE:
            raise TitleError(
                f"{title_id}: {asset} has failed in {len(known.runs)} runs ({known.last}), "
                "each time while the same work on another title passed: report it with the media; "
                f"then `mediafm run --titles {title_id} --retry`."
            )

    def forget(self, title_id: str, asset: str | None = None) -> None:
        """Reset a title's count, or only that of an asset that has been computed since."""
        known = self._read(title_id)
        if asset is None or (known and known.asset == asset):
            self._path(title_id).unlink(missing_ok=True)

    def _read(self, title_id: str) -> _Counted | None:
        """Return the count of a title; None without one, or if a power cut has damaged the file."""
        try:
            return _Counted.model_validate_json(self._path(title_id).read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _path(self, title_id: str) -> Path:
        return self._folder / f"{title_id}.json"


def _kind_and_place(error: Exception) -> str:
    """Return the class and place of the first error of a chain, also one in a child process."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return kind_and_place(error)
