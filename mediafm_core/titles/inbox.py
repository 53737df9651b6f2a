"""The inbox: where titles arrive, a folder each, wherever it is kept.

A listing of names, sizes and times says which folders there are, which are complete and which have
changed; contents are read through an `TitleFile`, of a local copy where the inbox is elsewhere. No
link below the inbox is followed.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mediafm_core.config.settings import Settings
from mediafm_core.errors import TitleError
from mediafm_core.storage.files import Entry, Files
from mediafm_core.storage.open_files import open_files
from mediafm_core.titles.title_file import TitleFile, file_stamp, open_folder
from mediafm_core.titles.title_folder import Listing, TitleFolder


class Inbox(ABC):
    """Title folders in one place.

    Attributes:
        location: where it is, for people: a folder's path or `s3://bucket/prefix`.
    """

    location: str

    @property
    def places(self) -> list[Path]:
        """Folders of this machine that copies of the files are written to; none if local."""
        return []

    @abstractmethod
    def scan(self) -> Iterator[TitleFolder]:
        """The folders in the order of their names, complete or not.

        Hidden entries and plain files are passed over.
        """

    @abstractmethod
    def listing(self, key: str) -> Listing:
        """The files directly in a title folder; hidden ones and folders are left out.

        Raises:
            TitleError: the folder cannot be listed.
        """

    @abstractmethod
    def open(self, key: str, name: str) -> TitleFile:
        """Open a file of a title folder, as it is now.

        Raises:
            TitleError: it is missing, a link, a pipe or a device.
        """

    @abstractmethod
    def require_regular_file(self, key: str, name: str) -> None:
        """Refuse what is no ordinary file of the title folder.

        Raises:
            TitleError: it is missing, a link, a pipe or a device.
        """

    def put_away(self, title_id: str) -> None:  # noqa: B027 - a local inbox has no copies
        """Remove this machine's copies of a title's files, which are not read again soon."""

    def in_words(self, text: str) -> str:
        """A text for people in which paths of copies are replaced by what they are copies of."""
        return text

    def folder(self, title_id: str) -> TitleFolder:
        """The folder of a title, which need not exist."""
        return TitleFolder(self, title_id)


class LocalInbox(Inbox):
    """An inbox that is a folder of this machine or of a network file system.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def scan(self) -> Iterator[TitleFolder]:
        """The folders; each is listed when it is first asked for its files.

        A link counts as a folder, which listing it refuses: it is not followed to find out.
        """
        with os.scandir(self.root) as found:
            names = [
                each.name
                for each in found
                if each.name[0] != "." and (_is_folder(each) or each.is_symlink())
            ]
        for name in sorted(names):
            yield TitleFolder(self, name)

    def listing(self, key: str) -> Listing:
        """Names, sizes and times, which are those of the system; of a link, the link's own."""
        folder = open_folder(self.root / key)
        try:
            with os.scandir(folder) as found:
                files = [each for each in found if each.name[0] != "." and not _is_folder(each)]
                entries = [_entry(each) for each in files]
        except OSError as error:
            raise TitleError(
                f"{self.root / key} cannot be listed ({error.strerror}): repair the folder or its "
                "permissions."
            ) from error
        finally:
            os.close(folder)
        return {entry.key: entry for entry in sorted(entries, key=lambda entry: entry.key)}

    def open(self, key: str, name: str) -> TitleFile:
        """Open the file itself."""
        return TitleFile.open(self.root / key, name)

    def require_regular_file(self, key: str, name: str) -> None:
        """Open and close it."""
        self.open(key, name).close()


class RemoteInbox(Inbox):
    """An inbox elsewhere, of whose files copies are read.

    Args:
        files: its files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self.location = files.location

    @property
    def places(self) -> list[Path]:
        """The folder of the copies."""
        return [self._files.root]

    def scan(self) -> Iterator[TitleFolder]:
        """The folders, from one listing of the whole inbox."""
        folders: dict[str, dict[str, Entry]] = {}
        for entry in self._files.entries():
            title, _, name = entry.key.partition("/")
            if name:
                files = folders.setdefault(title, {})
                if "/" not in name:
                    files[name] = entry._replace(key=name)
        for title in sorted(folders):
            yield TitleFolder(self, title, dict(sorted(folders[title].items())))

    def listing(self, key: str) -> Listing:
        """Names, sizes and digests."""
        names = ((entry.key.removeprefix(f"{key}/"), entry) for entry in self._files.entries(key))
        files = {name: entry._replace(key=name) for name, entry in names if "/" not in name}
        return dict(sorted(files.items()))

    def open(self, key: str, name: str) -> TitleFile:
        """Open a copy of the file as it is now; its stamp is that of the file."""
        copy = self._files.path(f"{key}/{name}")
        return TitleFile.open(copy.parent, copy.name, self._files.stamp_of(copy))

    def require_regular_file(self, key: str, name: str) -> None:
        """Nothing to refuse: there are no links among objects."""

    def put_away(self, title_id: str) -> None:
        """Remove the copies, of the media above all."""
        self._files.drop_copies(title_id)

    def in_words(self, text: str) -> str:
        """A text that names the files of the inbox in place of their copies."""
        return self._files.in_words(text)


def open_inbox(settings: Settings, s3_client: Any = None) -> Inbox:
    """The inbox that the settings name.

    Args:
        settings: all settings.
        s3_client: of S3, where one is at hand.

    Raises:
        ConfigurationError: none is named, or it does not exist.
    """
    place = settings.require_inbox()
    if isinstance(place, Path):
        return LocalInbox(place)
    return RemoteInbox(open_files(place, settings.s3, s3_client))


def _is_folder(found: os.DirEntry[str]) -> bool:
    return found.is_dir(follow_symlinks=False)


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        status = found.stat(follow_symlinks=False)
    except OSError:  # gone since the listing
        return Entry(found.name, 0, "absent", 0.0)
    return Entry(found.name, status.st_size, file_stamp(status), status.st_ctime)
