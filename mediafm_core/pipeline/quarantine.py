"""Quarantine of titles that cannot be processed, until their folder changes."""

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
    """Entry of a quarantined title, with the asset that failed and the reason."""

    model_config = ConfigDict(frozen=True)

    title_id: str
    asset: str
    reason: str
    fingerprint: str
    since: str

    @field_validator("reason")
    @classmethod
    def _is_one_line(cls, reason: str) -> str:
        return one_line(reason)  # entries of earlier versions may be longer


class Quarantine:
    """The quarantined titles of a store.

    An entry is valid while the folder has the same fingerprint: a title whose folder has changed is
    processed again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, title_id: str, asset: str, reason: str, fingerprint: str) -> Quarantined:
        """Quarantine a title; an equal entry is not written again."""
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
        """Remove a title from the quarantine."""
        self._store.files.remove(self._key(title_id))

    def get(self, title_id: str) -> Quarantined | None:
        """Return the entry of a title, or None; a damaged entry counts as none."""
        path = self._store.files.path(self._key(title_id))
        try:
            return Quarantined.model_validate(read_sealed_json(path.read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            logger.warning("%s is processed again: %s is damaged (%s)", title_id, path, error)
            return None

    def __iter__(self) -> Iterator[Quarantined]:
        for key in sorted(each.key for each in self._store.files.entries(FOLDER)):
            entry = self.get(Path(key).stem)
            if entry is not None:  # another process may have lifted it
                yield entry

    def _key(self, title_id: str) -> str:
        return self._store.key(FOLDER, title_id, suffix=".json")


def has_usable_name(folder: TitleFolder, quarantine: Quarantine) -> bool:
    """Return True if a folder's name is a valid title id; quarantine the folder otherwise."""
    try:
        require_title_id(folder.name, folder.location)
    except TitleError as error:
        quarantine.add(folder.name, "title", str(error), folder.fingerprint())
        return False
    return True
