"""Content digests of a title, by facet, so that a change re-does only what depends on it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of, digest_of_files, digest_of_settings
from mediafm_core.titles.folder import Title


class FileRecord(BaseModel):
    """What a file looked like in a listing when its content was hashed, and its digest."""

    model_config = ConfigDict(frozen=True)

    stamp: str = ""
    digest: str


class ContentDigests(BaseModel):
    """Digests of what each part of the pipeline reads of a title.

    Attributes:
        manifest: every field of `title.json`.
        media: the media file, and the language, which decides between its streams.
        captions: name, language and content of the side files; the media where there are none,
            since embedded tracks are read then. And the title's language, which decides.
        clips: `clips.csv`; a fixed value where there is none.
        metadata: name, synopsis and tags.
        files: the hashed files by name, to hand to the next call.
    """

    model_config = ConfigDict(frozen=True)

    manifest: str
    media: str
    captions: str
    clips: str
    metadata: str
    files: dict[str, FileRecord]


def content_digests(
    title: Title,
    previous: Mapping[str, FileRecord] | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> ContentDigests:
    """Digest the contents of a title.

    Args:
        title: a validated title.
        previous: `files` of an earlier result. A media file of the same name, size and
            times of change is not read again; the small files always are.
        progress: called with the share of the media file that is read.

    Raises:
        TitleError: a file cannot be read or changes meanwhile.
    """
    media, folder = title.media, title.folder
    known = (previous or {}).get(media.key)
    if known is None or known.stamp != media.stamp:
        known = _record(folder.path(media.key), media.stamp, progress)
    files = {media.key: known}
    small = [side_file.path for side_file in title.side_files]
    if title.clips:
        small.append(title.clips)
    files |= {path.name: _record(path, folder.files[path.name].stamp) for path in small}

    manifest = title.manifest
    media_digest = digest_of(known.digest, manifest.language)
    captions = [manifest.language]
    for side_file in title.side_files:
        name = side_file.path.name  # the language is part of it
        captions += [name, files[name].digest]
    return ContentDigests(
        manifest=digest_of_settings(manifest.model_dump(mode="json")),
        media=media_digest,
        captions=digest_of(*captions) if title.side_files else digest_of("embedded", media_digest),
        clips=files[title.clips.name].digest if title.clips else digest_of("proposed"),
        metadata=digest_of_settings(
            {"name": manifest.name, "synopsis": manifest.synopsis, "tags": manifest.tags}
        ),
        files=files,
    )


def _record(
    path: Path, stamp: str, progress: Callable[[float], None] = lambda _share: None
) -> FileRecord:
    try:
        before = path.stat()
        size = max(before.st_size, 1)
        digest = digest_of_files([path], lambda read: progress(min(1.0, read / size)))
        after = path.stat()
    except OSError as error:
        raise TitleError(
            f"{path} cannot be read ({error.strerror}): mend the file or its permissions."
        ) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise TitleError(
            f"{path} is still being written ({before.st_size} bytes, then {after.st_size}): "
            "write title.json last, and run again."
        )
    return FileRecord(stamp=stamp, digest=digest)
