"""The inbox: title folders on this machine, on a network file system or in S3.

A listing of names, sizes and times shows which folders exist, which are complete and which have
changed. Contents are read through a `TitleFile`; for a remote inbox, that is a local copy. Links
below the inbox are not followed.
"""

import os
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mediafm_core.config.settings import Settings
from mediafm_core.errors import TitleError
from mediafm_core.storage.files import Entry, Files
from mediafm_core.storage.open_files import open_files
from mediafm_core.titles.title_file import TitleFile, file_stamp, open_folder
from mediafm_core.titles.title_folder import FolderFiles, Listing, TitleFolder


class Inbox(FolderFiles):
    """A collection of title folders."""

    @property
    def places(self) -> list[Path]:
        """Local folders that copies of the files are written to; none for a local inbox."""
        return []

    @abstractmethod
    def scan(self) -> Iterator[TitleFolder]:
        """Yield the title folders sorted by name, complete or not.

        Hidden entries and plain files are skipped.
        """

    def evict_copies(self, title_id: str) -> None:
        """Remove local copies of a title's files, which are not read again soon."""

    def with_locations(self, text: str) -> str:
        """Replace paths of local copies in a text for people by the locations of the originals."""
        return text

    def folder(self, title_id: str) -> TitleFolder:
        """Return the folder of a title, which need not exist."""
        return TitleFolder(self, title_id)


class LocalInbox(Inbox):
    """An inbox in a folder of this machine or of a network file system.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def scan(self) -> Iterator[TitleFolder]:
        """Yield the title folders; each is listed at the first access to its files.

        A link is yielded as a folder without being followed; listing it then raises a TitleError.
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
        """List names, sizes and times; for a link, those of the link itself."""
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
        """Open the file."""
        return TitleFile.open(self.root / key, name)

    def require_regular_file(self, key: str, name: str) -> None:
        """Open and close the file, which refuses anything else."""
        self.open(key, name).close()


class S3Inbox(Inbox):
    """An inbox in S3, whose files are read through local copies.

    Args:
        files: the storage of the inbox.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self.location = files.location

    @property
    def places(self) -> list[Path]:
        """The folder of the copies."""
        return [self._files.root]

    def scan(self) -> Iterator[TitleFolder]:
        """Yield the title folders, from one listing of the whole inbox."""
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
        """List names, sizes and digests."""
        names = ((entry.key.removeprefix(f"{key}/"), entry) for entry in self._files.entries(key))
        files = {name: entry._replace(key=name) for name, entry in names if "/" not in name}
        return dict(sorted(files.items()))

    def open(self, key: str, name: str) -> TitleFile:
        """Open a copy of the current version; its stamp is that of the original."""
        copy = self._files.path(f"{key}/{name}")
        return TitleFile.open(copy.parent, copy.name, self._files.stamp_of(copy))

    def require_regular_file(self, key: str, name: str) -> None:
        """Accept every object: S3 has no links or devices."""

    def evict_copies(self, title_id: str) -> None:
        """Remove the copies of the title's files, mainly the media file."""
        self._files.evict(title_id)

    def with_locations(self, text: str) -> str:
        """Replace paths of copies in a text by the locations of the originals."""
        return self._files.in_words(text)


def open_inbox(settings: Settings, s3_client: Any = None) -> Inbox:
    """Open the configured inbox.

    Args:
        settings: all settings.
        s3_client: S3 client to use; a new one is created without it.

    Raises:
        ConfigurationError: no inbox is configured, or it does not exist.
    """
    place = settings.require_inbox()
    if isinstance(place, Path):
        return LocalInbox(place)
    return S3Inbox(open_files(place, settings.s3, s3_client))


def _is_folder(found: os.DirEntry[str]) -> bool:
    return found.is_dir(follow_symlinks=False)


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        status = found.stat(follow_symlinks=False)
    except OSError:  # removed since the listing
        return Entry(found.name, 0, "absent", 0.0)
    return Entry(found.name, status.st_size, file_stamp(status), status.st_ctime)
