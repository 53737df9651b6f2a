"""Stage of the asset `title`: validated folder, probe of its media, digests of its content."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from mediafm_core.identity import data_version
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.work import MOST_SHARE, Stopwatch
from mediafm_core.runtime.error_causes import in_one_line
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.titles.content_digests import FileRecord, content_digests
from mediafm_core.titles.read_title import Title, read_title
from mediafm_core.titles.title_folder import TitleFolder

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe

logger = logging.getLogger(__name__)


def register_title(
    platform: Platform,
    folder: TitleFolder,
    known: tuple[ArtefactRecord, dict[str, Any]] | None = None,
) -> ArtefactRecord:
    """Validate a title folder and record its content.

    Media whose size and times of change are as recorded is not read again.

    Args:
        platform: settings and store.
        folder: the folder.
        known: record and content of the asset `title` before.

    Raises:
        TitleError: the folder does not follow the ingestion contract or the media is unusable.
    """
    record, content = describe_title(
        folder,
        platform,
        _usable(folder.name, known),
        lambda share: platform.progress(folder.name, "title", min(share, MOST_SHARE)),
    )
    platform.store.write_json(record, content)
    return record


def describe_title(
    folder: TitleFolder,
    platform: Platform,
    known: tuple[ArtefactRecord, Mapping[str, Any]] | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[ArtefactRecord, dict[str, Any]]:
    """Validate a title folder and return the record and content of its asset `title`.

    Args:
        folder: the folder.
        platform: its child process reads manifest and media; nothing is written.
        known: an earlier record and content: unchanged media is not read again.
        progress: called with the share of the files that has been read.

    Raises:
        TitleError: as `register_title`.
    """
    stopwatch = Stopwatch()
    fingerprint = folder.fingerprint()
    previous: dict[str, FileRecord] = {
        name: FileRecord.model_validate(file)
        for name, file in (known[1]["hashed"] if known else {}).items()
    }
    largest = max((entry.size for entry in folder.files.values()), default=0)
    with platform.reader(largest, waiting=lambda: progress(0.0)) as reader:
        title = read_title(folder, reader.manifest)
        probed = _known_probe(known, title, previous)
        if probed is None:  # brings the media here, if it is elsewhere
            with folder.open(title.media.key) as media:
                probed = reader.probe(media, title.manifest.language)
                digests = content_digests(title, previous, progress, media)
        else:
            digests = content_digests(title, previous, progress)
    stopwatch.add(reader.used)
    facets = digests.model_dump(exclude={"files"})
    content: dict[str, Any] = {
        "manifest": title.manifest.model_dump(mode="json"),
        "probe": probed.model_dump(mode="json"),
        "files": {
            "media": title.media.key,
            "side_files": [asdict(side_file) for side_file in title.side_files],
            "clips": title.clips,
        },
        "hashed": {name: file.model_dump() for name, file in digests.files.items()},
    }
    record = ArtefactRecord(
        asset="title",
        title_id=folder.name,
        data_version=data_version(facets, None, SPECS["title"].code_version),
        inputs=facets,
        code_version=SPECS["title"].code_version,
        details={
            "fingerprint": fingerprint,
            "duration_s": probed.duration_s,
            "media_bytes": title.media.size,
            **({"notes": "; ".join(probed.notes)} if probed.notes else {}),
        },
        measured=stopwatch.read(),
    )
    return record, content


class _ManifestContent(BaseModel):
    language: str


class _Content(BaseModel):
    """Parts of an earlier content of the asset `title` that are used again."""

    hashed: dict[str, FileRecord]
    probe: dict[str, Any]
    manifest: _ManifestContent


def _usable(
    title_id: str, known: tuple[ArtefactRecord, dict[str, Any]] | None
) -> tuple[ArtefactRecord, dict[str, Any]] | None:
    """Return an earlier record and content; None where the parts to read again are unusable."""
    if known is None:
        return None
    try:
        _Content.model_validate(known[1])
    except ValidationError as error:
        logger.warning("%s is read completely: %s", title_id, in_one_line(error))
        return None
    return known


def _known_probe(
    known: tuple[ArtefactRecord, Mapping[str, Any]] | None,
    title: Title,
    previous: Mapping[str, FileRecord],
) -> "MediaProbe | None":
    """Return the recorded probe if it is of this media, by this code and for this language."""
    from mediafm_core.media.probe import MediaProbe

    media = previous.get(title.media.key)
    if known is None or media is None or media.stamp != title.media.stamp:
        return None
    record, content = known
    same = (record.code_version, content["manifest"]["language"])
    if same != (SPECS["title"].code_version, title.manifest.language):
        return None
    try:
        return MediaProbe.model_validate(content["probe"])
    except ValidationError:
        return None
