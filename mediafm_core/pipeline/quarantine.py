"""Titles that cannot be processed, with the reason, until their folder changes."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator

from mediafm_core.disk.seals import read_sealed_json
from mediafm_core.errors import TitleError
from mediafm_core.readable import one_line
from mediafm_core.store.store import Store
from mediafm_core.titles.manifest import require_title_id
from mediafm_core.titles.title_folder import TitleFolder

logger = logging.getLogger(__name__)

FOLDER = "quarantine"


class Quarantined(BaseModel):
    """Why a title is held back."""

    model_config = ConfigDict(frozen=True)

    title_id: str
    asset: str
    reason: str
    fingerprint: str
    since: str

    @field_validator("reason")
    @classmethod
    def _is_one_line(cls, reason: str) -> str:
        return one_line(reason)  # as every entry is written now; older ones may be of any length


class Quarantine:
    """The quarantined titles of a store.

    An entry counts while the title's folder is as it was: a mended folder is taken in again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, title_id: str, asset: str, reason: str, fingerprint: str) -> Quarantined:
        """Hold a title back; an entry that says the same already is left as it is."""
        reason = one_line(reason)
        known = self.get(title_id)
        if known and (known.asset, known.reason, known.fingerprint) == (asset, reason, fingerprint):
            return known
        entry = Quarantined(
            title_id=title_id,
            asset=asset,
            reason=reason,
            fingerprint=fingerprint,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._store.write_document(entry.model_dump(mode="json"), self._key(title_id))
        return entry

    def lift(self, title_id: str) -> None:
        """Let a title in again."""
        self._store.files.remove(self._key(title_id))

    def get(self, title_id: str) -> Quarantined | None:
        """The entry of a title, or None; a damaged one counts as none: the title is tried again."""
        path = self._store.files.path(self._key(title_id))
        try:
            return Quarantined.model_validate(read_sealed_json(path.read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            logger.warning("%s is tried again: %s is damaged (%s)", title_id, path, error)
            return None

    def __iter__(self) -> Iterator[Quarantined]:
        for key in sorted(each.key for each in self._store.files.entries(FOLDER)):
            entry = self.get(Path(key).stem)
            if entry is not None:  # lifted in the meantime by another process
                yield entry

    def _key(self, title_id: str) -> str:
        return self._store.key(FOLDER, title_id, suffix=".json")


def has_usable_name(folder: TitleFolder, quarantine: Quarantine) -> bool:
    """Whether a name can be a title id; a folder whose name cannot is held back."""
    try:
        require_title_id(folder.name, folder.location)
    except TitleError as error:
        quarantine.add(folder.name, "title", str(error), folder.fingerprint())
        return False
    return True
