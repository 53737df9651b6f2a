"""Failures of unknown cause, counted against a title only on evidence.

An unforeseen error may be the title's (a bug that its content meets) or the machine's. It
is evidence against the title when the same work on another title passes right after it failed
(`trial`). A title is held back once the same error has recurred, with the same content, in
`RUNS_TO_HOLD_BACK` separate runs, each time with that evidence. The count is kept on this machine,
in `<store>/.attempts/failures`.
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

RUNS_TO_HOLD_BACK = 3


def failures_in(platform: "Platform") -> "Failures":
    """Return the failures of a catalogue's titles on this machine."""
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
    """Failures of titles, of one asset each at a time.

    Args:
        folder: where they are kept, a file for each title.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def count(self, title_id: str, asset: str, content: str, error: Exception, run: str) -> int:
        """Count a failure against a title; return the number of runs that have met it.

        Args:
            title_id: the title.
            asset: the asset that was to be computed.
            content: data version that it would have; a failure of another is forgotten.
            error: the error; of another kind or from another place, it begins a new count.
            run: the run; several failures in one run count once.
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

    def require_hope(self, title_id: str, asset: str, content: str) -> None:
        """Refuse work that has failed too often for the title's own content.

        Raises:
            TitleError: it has failed so in `RUNS_TO_HOLD_BACK` runs.
        """
        known = self._read(title_id)
        if known is None or (known.asset, known.content) != (asset, content):
            return
        if len(known.runs) >= RUNS_TO_HOLD_BACK:
            raise TitleError(
                f"{title_id}: {asset} has failed in {len(known.runs)} runs ({known.last}), "
                "each time while the same work on another title passed: report it with the media; "
                f"then `mediafm run --titles {title_id} --retry`."
            )

    def forget(self, title_id: str, asset: str | None = None) -> None:
        """Forget a title's failures, or only those of an asset that has been computed since."""
        known = self._read(title_id)
        if asset is None or (known and known.asset == asset):
            self._path(title_id).unlink(missing_ok=True)

    def _read(self, title_id: str) -> _Counted | None:
        """The failures of a title; None without any, or where a power cut has spoilt the file."""
        try:
            return _Counted.model_validate_json(self._path(title_id).read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _path(self, title_id: str) -> Path:
        return self._folder / f"{title_id}.json"


def _kind_and_place(error: Exception) -> str:
    """The kind and place of the first error of a chain, here or in a child process."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return kind_and_place(error)
