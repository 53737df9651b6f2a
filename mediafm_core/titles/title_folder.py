"""A title's folder in the inbox, as it was when it was listed."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of
from mediafm_core.storage.files import Entry
from mediafm_core.titles.manifest import MANIFEST_NAME, is_title_id
from mediafm_core.titles.title_file import TitleFile

Listing = Mapping[str, Entry]
"""The files directly in a title folder by their names, in the order of the names."""


class FolderFiles(ABC):
    """Files of title folders, wherever they are stored.

    Attributes:
        location: a folder's path or `s3://bucket/prefix`, for people.
    """

    location: str

    @abstractmethod
    def listing(self, key: str) -> Listing:
        """List the files directly in a title folder, without hidden files and folders.

        Raises:
            TitleError: the folder cannot be listed.
        """

    @abstractmethod
    def open(self, key: str, name: str) -> TitleFile:
        """Open the current version of a file in a title folder.

        Raises:
            TitleError: the file is missing, or is a link, a pipe or a device.
        """

    @abstractmethod
    def require_regular_file(self, key: str, name: str) -> None:
        """Refuse anything but a regular file.

        Raises:
            TitleError: the file is missing, or is a link, a pipe or a device.
        """


class TitleFolder:
    """A folder of the inbox as it was when it was first listed; no content is read.

    Args:
        inbox: has the folder's files.
        key: the folder's name in the inbox.
        listing: its files, if known already; otherwise they are listed at the first access.
    """

    def __init__(self, inbox: FolderFiles, key: str, listing: Listing | None = None) -> None:
        self._inbox = inbox
        self._key = key
        self._listing = listing

    def __repr__(self) -> str:
        return f"TitleFolder({self.location!r})"

    @property
    def name(self) -> str:
        """The folder's name, which is the title id, valid or not."""
        return os.fsencode(self._key).decode("utf-8", "backslashreplace")

    @property
    def location(self) -> str:
        """The folder's path or address, for people."""
        return f"{self._inbox.location}/{self.name}"

    @property
    def files(self) -> Listing:
        """The files directly in the folder, without hidden ones.

        Raises:
            TitleError: the folder cannot be listed.
        """
        if self._listing is None:
            self._listing = self._inbox.listing(self._key)
        return self._listing

    @property
    def is_complete(self) -> bool:
        """Return True if `title.json` exists; until then the folder is still being filled.

        A folder that cannot be listed counts as complete, so that reading it reports the error.
        """
        try:
            return MANIFEST_NAME in self.files
        except TitleError:
            return True

    @property
    def is_gone(self) -> bool:
        """Return True if the folder does not exist or is empty."""
        try:
            return not self.files
        except TitleError as error:
            return isinstance(error.__cause__, FileNotFoundError)

    @property
    def has_usable_name(self) -> bool:
        """Return True if the name is a valid title id, and so a partition key."""
        return is_title_id(self.name)

    def fingerprint(self) -> str:
        """Compute a digest of the files' names, sizes and times of change (in S3: entity tags).

        No content is read, so that fingerprints of a whole catalogue are cheap enough to compute
        every minute. A folder that cannot be listed has a fixed fingerprint.
        """
        try:
            files = self.files
        except TitleError:
            return digest_of("cannot be listed")
        parts = (part for name, entry in files.items() for part in (name, entry.stamp))
        return digest_of(*map(os.fsencode, parts))

    def open(self, name: str) -> TitleFile:
        """Open the current version of one of its files.

        Raises:
            TitleError: the file is missing, or is a link, a pipe or a device.
        """
        return self._inbox.open(self._key, name)

    def require_regular_file(self, name: str) -> None:
        """Refuse anything but a regular file of this folder.

        Raises:
            TitleError: the file is missing, or is a link, a pipe or a device.
        """
        if name not in self.files:
            raise TitleError(f"{self.location}/{name} is missing: add it.")
        self._inbox.require_regular_file(self._key, name)
