"""Validation of title folders by the ingestion contract.

    <inbox>/<title_id>/
      title.json         written last: its presence means "complete"
      <any>.mp4|...      exactly one media file
      *.srt|*.vtt|...    optional timed text, language in the name (captions.en.vtt)
      clips.csv          optional

Other files and folders in it are ignored. Nothing outside the title folder is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Self

from mediafm_core.errors import TitleError
from mediafm_core.storage.files import Entry
from mediafm_core.titles.caption_names import CaptionPurpose, caption_name
from mediafm_core.titles.manifest import (
    MANIFEST_NAME,
    Manifest,
    read_manifest,
    require_title_id,
)
from mediafm_core.titles.title_file import TitleFile
from mediafm_core.titles.title_folder import TitleFolder

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
    """A file of timed text beside the media, in the title folder.

    `language` and `purpose` are parsed from the name; `language` is None if the name has none.
    """

    name: str
    language: str | None
    purpose: CaptionPurpose = "full"

    @classmethod
    def named(cls, name: str, media_name: str) -> Self:
        """Describe a side file by its name and that of the media file."""
        return cls(name, *caption_name(name, media_name))


@dataclass(frozen=True, slots=True)
class Title:
    """A complete title folder that follows the contract.

    Attributes:
        folder: the folder.
        manifest: the content of `title.json`.
        media: the entry of the media file in the listing; `folder.open(media.key)` opens it.
        side_files: timed text beside it.
        clips: the name of `clips.csv` if there is one.
    """

    folder: TitleFolder
    manifest: Manifest
    media: Entry
    side_files: tuple[SideFile, ...]
    clips: str | None

    @property
    def title_id(self) -> str:
        """The partition key: the folder's name."""
        return self.manifest.title_id


def read_title(
    folder: TitleFolder, read: Callable[[TitleFile, str], Manifest] = read_manifest
) -> Title:
    """Validate a title folder. The media is not read.

    Args:
        folder: the folder.
        read: reads `title.json`.

    Raises:
        TitleError: the name or the manifest is invalid, there is no or more than one media file, or
            a file is a link or not a regular file.
    """
    require_title_id(folder.name, folder.location)
    suffixes = {name: PurePath(name).suffix.lower() for name in folder.files}
    media = [name for name, suffix in suffixes.items() if suffix in MEDIA_SUFFIXES]
    side_files = [name for name, suffix in suffixes.items() if suffix in SIDE_FILE_SUFFIXES]
    clips = [CLIPS_NAME] if CLIPS_NAME in folder.files else []

    for name in (MANIFEST_NAME, *media, *side_files, *clips):
        folder.require_regular_file(name)
    with folder.open(MANIFEST_NAME) as file:
        manifest = read(file, folder.name)
    if not media:
        raise TitleError(
            f"{folder.location} holds no media file: add one that ends in "
            f"{', '.join(sorted(MEDIA_SUFFIXES))}."
        )
    if len(media) > 1:
        raise TitleError(
            f"{folder.location} holds {len(media)} media files ({', '.join(media)}): keep "
            "exactly one."
        )
    return Title(
        folder=folder,
        manifest=manifest,
        media=folder.files[media[0]],
        side_files=tuple(SideFile.named(name, media[0]) for name in side_files),
        clips=CLIPS_NAME if clips else None,
    )
