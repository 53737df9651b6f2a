"""Content digests of a title by part, so that a change recomputes only what depends on it."""

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of, digest_of_pieces, digest_of_settings
from mediafm_core.titles.read_title import Title
from mediafm_core.titles.title_file import TitleFile


class FileRecord(BaseModel):
    """Digest of a file, and the file's stamp in the listing when it was hashed."""

    model_config = ConfigDict(frozen=True)

    stamp: str = ""
    digest: str


class ContentDigests(BaseModel):
    """Digests of the inputs of each part of the pipeline.

    Attributes:
        manifest: every field of `title.json`.
        media: the media file, and the title's language, by which its streams are chosen.
        captions: name and content of the side files, and the title's language, by which one is
            chosen. Without side files, the digest `media`, because embedded tracks are read.
            (Where side files are partial or empty, embedded tracks are read too, so `timed_text`
            depends on the media as well.)
        clips: `clips.csv`; a fixed value without one.
        metadata: name, synopsis and tags.
        files: the hashed files by name, to pass to the next call as `previous`.
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
    media: TitleFile | None = None,
) -> ContentDigests:
    """Compute the content digests of a title.

    Args:
        title: a validated title.
        previous: `files` of an earlier result. A media file with the same name, size and times is
            not read again; the small files always are.
        progress: called with the fraction of the media file that has been read.
        media: the media file, if it is open already, so that the digest and other reads are of the
            same file. Otherwise it is opened if it has to be read.

    Raises:
        TitleError: a file cannot be read, or changes while it is read.
    """
    name = title.media.key
    known = (previous or {}).get(name)
    if media is not None:
        require_as_listed(title, media)
    if known is None or known.stamp != title.media.stamp:
        if media is None:
            known = _record(title, name, progress)
        else:
            known = FileRecord(stamp=media.stamp, digest=_digest(media, progress))
    files = {name: known}
    small = [side_file.name for side_file in title.side_files]
    if title.clips:
        small.append(title.clips)
    files |= {name: _record(title, name) for name in small}

    manifest = title.manifest
    media_digest = digest_of(known.digest, manifest.language)
    captions = [manifest.language]
    for side_file in title.side_files:
        captions += [side_file.name, files[side_file.name].digest]  # the name has its language
    return ContentDigests(
        manifest=digest_of_settings(manifest.model_dump(mode="json")),
        media=media_digest,
        captions=digest_of(*captions) if title.side_files else digest_of("embedded", media_digest),
        clips=files[title.clips].digest if title.clips else digest_of("proposed"),
        metadata=digest_of_settings(
            {"name": manifest.name, "synopsis": manifest.synopsis, "tags": manifest.tags}
        ),
        files=files,
    )


def require_as_listed(title: Title, file: TitleFile) -> None:
    """Refuse a file that has changed since the title's folder was listed.

    Raises:
        TitleError: the file has been written or replaced.
    """
    listed = title.folder.files[file.name]
    if file.stamp != listed.stamp:
        raise TitleError(
            f"{file} is still being written ({listed.size} bytes, then {file.size}): write "
            "title.json last, and run again."
        )


def _record(
    title: Title, name: str, progress: Callable[[float], None] = lambda _share: None
) -> FileRecord:
    with title.folder.open(name) as file:
        require_as_listed(title, file)
        return FileRecord(stamp=file.stamp, digest=_digest(file, progress))


def _digest(file: TitleFile, progress: Callable[[float], None]) -> str:
    size = max(file.size, 1)
    digest = digest_of_pieces(file.pieces(), lambda read: progress(min(1.0, read / size)))
    file.require_unchanged()
    return digest
