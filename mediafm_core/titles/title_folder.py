"""A title's folder in the inbox, as it was when it was listed."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of
from mediafm_core.storage.files import Entry
from mediafm_core.titles.manifest import MANIFEST_NAME, is_title_id
from mediafm_core.titles.title_file import TitleFile

if TYPE_CHECKING:
    from mediafm_core.titles.inbox import Inbox

Listing = Mapping[str, Entry]
"""The files directly in a title folder by their names, in the order of the names."""


class TitleFolder:
    """A folder of the inbox as it was when it was first listed; nothing of it is read.

    Args:
        inbox: where it is.
        key: the folder's name there.
        listing: its files if they are known already; listed when first asked for otherwise.
    """

    def __init__(self, inbox: "Inbox", key: str, listing: Listing | None = None) -> None:
        self._inbox = inbox
        self._key = key
        self._listing = listing

    def __repr__(self) -> str:
        return f"TitleFolder({self.location!r})"

    @property
    def name(self) -> str:
        """The title id that the folder stands for, usable or not."""
        return os.fsencode(self._key).decode("utf-8", "backslashreplace")

    @property
    def location(self) -> str:
        """Where the folder is, for people."""
        return f"{self._inbox.location}/{self.name}"

    @property
    def files(self) -> Listing:
        """The files directly in it, hidden ones left out.

        Raises:
            TitleError: the folder cannot be listed.
        """
        if self._listing is None:
            self._listing = self._inbox.listing(self._key)
        return self._listing

    @property
    def is_complete(self) -> bool:
        """Whether `title.json` is there; until then the folder is still being filled.

        A folder that cannot be listed counts as complete: reading it tells what is wrong.
        """
        try:
            return MANIFEST_NAME in self.files
        except TitleError:
            return True

    @property
    def is_gone(self) -> bool:
        """Return True if there is no such folder, or nothing is in it."""
        try:
            return not self.files
        except TitleError as error:
            return isinstance(error.__cause__, FileNotFoundError)

    @property
    def has_usable_name(self) -> bool:
        """Whether the name can be a title id, and with it a partition key."""
        return is_title_id(self.name)

    def fingerprint(self) -> str:
        """Digest of the names, sizes and times of change (in S3: entity tags) of the files.

        Reads no content: cheap enough to ask for a whole catalogue every minute. A folder that
        cannot be listed has a fingerprint too, until it can.
        """
        try:
            files = self.files
        except TitleError:
            return digest_of("cannot be listed")
        parts = (part for name, entry in files.items() for part in (name, entry.stamp))
        return digest_of(*map(os.fsencode, parts))

    def open(self, name: str) -> TitleFile:
        """Open one of its files, as the file is now.

        Raises:
            TitleError: it is missing, a link, a pipe or a device.
        """
        return self._inbox.open(self._key, name)

    def require_regular_file(self, name: str) -> None:
        """Refuse what is no ordinary file of this folder.

        Raises:
            TitleError: it is missing, a link, a pipe or a device.
        """
        if name not in self.files:
            raise TitleError(f"{self.location}/{name} is missing: add it.")
        self._inbox.require_regular_file(self._key, name)
