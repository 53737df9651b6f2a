"""Title folders: the ingestion contract, checked before anything is opened.

    <inbox>/<title_id>/
      title.json         written last: its presence means "complete"
      <any>.mp4|...      exactly one media file
      *.srt|*.vtt|...    optional timed text, language in the name (captions.en.vtt)
      clips.csv          optional

Other files and folders in it are left alone. Nothing outside the title folder is read.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of
from mediafm_core.titles.language import language_in_name
from mediafm_core.titles.manifest import (
    MANIFEST_NAME,
    Manifest,
    is_title_id,
    read_manifest,
    require_title_id,
)

CLIPS_NAME = "clips.csv"
MEDIA_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "mxf"),
        *("wmv", "flv", "ogv", "3gp", "vob"),
    )
)
SIDE_FILE_SUFFIXES = frozenset({".srt", ".vtt", ".ass", ".ssa"})


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file of timed text beside the media; `language` as its name says, None if it does not."""

    path: Path
    language: str | None


@dataclass(frozen=True, slots=True)
class Title:
    """A complete title folder that follows the contract."""

    folder: Path
    manifest: Manifest
    media: Path
    side_files: tuple[SideFile, ...]
    clips: Path | None

    @property
    def title_id(self) -> str:
        """The partition key: the folder's name."""
        return self.manifest.title_id


@dataclass(frozen=True, slots=True)
class TitleFolder:
    """A folder of the inbox, not looked into yet."""

    path: Path

    @property
    def name(self) -> str:
        """The title id that the folder stands for, usable or not."""
        return os.fsencode(self.path.name).decode("utf-8", "backslashreplace")

    @property
    def is_complete(self) -> bool:
        """Whether `title.json` is there; until then the folder is still being filled."""
        return os.path.lexists(self.path / MANIFEST_NAME)

    @property
    def has_usable_name(self) -> bool:
        """Whether the name can be a title id, and with it a partition key."""
        return is_title_id(self.name)

    def fingerprint(self) -> str:
        """Digest of the names, sizes and modification times of the folder's files.

        Reads no content: cheap enough to ask for a whole catalogue every minute. A folder that
        cannot be listed has a fingerprint too, until it can.
        """
        parts: list[str] = []
        try:
            files = _visible_files(self.path)
        except TitleError:
            return digest_of("cannot be listed")
        for path in files:
            try:
                status = path.stat()
            except OSError:  # gone since the listing, or a link that leads nowhere
                status = None
            parts.append(path.name)
            parts.append(f"{status.st_size} {status.st_mtime_ns}" if status else "absent")
        return digest_of(*(os.fsencode(part) for part in parts))


def scan_inbox(inbox: Path) -> Iterator[TitleFolder]:
    """The folders of an inbox in the order of their names, complete or not.

    Hidden entries and plain files are passed over.
    """
    for path in sorted(inbox.iterdir()):
        if not path.name.startswith(".") and path.is_dir():
            yield TitleFolder(path)


def read_title(folder: Path) -> Title:
    """Validate a title folder.

    Raises:
        TitleError: an unusable name, a wrong manifest, no or several media files, a link that
            leads out of the folder, something that is no ordinary file.
    """
    require_title_id(folder.name, folder)
    files = _visible_files(folder)
    media = [path for path in files if path.suffix.lower() in MEDIA_SUFFIXES]
    side_files = [path for path in files if path.suffix.lower() in SIDE_FILE_SUFFIXES]
    clips = folder / CLIPS_NAME if folder / CLIPS_NAME in files else None

    for path in (folder / MANIFEST_NAME, *media, *side_files, *filter(None, [clips])):
        _require_own_file(path, folder)
    manifest = read_manifest(folder)
    if not media:
        raise TitleError(
            f"{folder} holds no media file: add one that ends in "
            f"{', '.join(sorted(MEDIA_SUFFIXES))}."
        )
    if len(media) > 1:
        names = ", ".join(path.name for path in media)
        raise TitleError(f"{folder} holds {len(media)} media files ({names}): leave exactly one.")
    return Title(
        folder=folder,
        manifest=manifest,
        media=media[0],
        side_files=tuple(SideFile(path, language_in_name(path.name)) for path in side_files),
        clips=clips,
    )


def _visible_files(folder: Path) -> list[Path]:
    """Entries of a folder that are neither hidden nor folders, in the order of their names."""
    try:
        return sorted(
            path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()
        )
    except OSError as error:
        raise TitleError(
            f"{folder} cannot be listed ({error.strerror}): mend the folder or its permissions."
        ) from error


def _require_own_file(path: Path, folder: Path) -> None:
    """Refuse a link out of the folder, and a pipe or device, before anything opens it."""
    try:
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise TitleError(f"{path} is missing or a link that leads nowhere: add it.") from error
    if not target.is_relative_to(folder.resolve()):
        raise TitleError(
            f"{path} is a link to {target}, outside the title folder: put the file itself there."
        )
    if not stat.S_ISREG(mode):
        raise TitleError(f"{path} is no ordinary file: replace it by one.")
