"""Content digests of a title, by facet, so that a change re-does only what depends on it."""

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict

from mediafm_core.errors import TitleError
from mediafm_core.identity import digest_of, digest_of_pieces, digest_of_settings
from mediafm_core.titles.read_title import Title
from mediafm_core.titles.title_file import TitleFile


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
            since embedded tracks are read then (and where side files are partial or empty:
            `timed_text` depends on the media as well). And the title's language, which decides.
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
    media: TitleFile | None = None,
) -> ContentDigests:
    """Digest the contents of a title.

    Args:
        title: a validated title.
        previous: `files` of an earlier result. A media file of the same name, size and
            times of change is not read again; the small files always are.
        progress: called with the share of the media file that is read.
        media: the media file, where it is open already: what else is read of it is then read of
            the same file. Opened here otherwise, if it has to be read.

    Raises:
        TitleError: a file cannot be read or changes meanwhile.
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
        captions += [side_file.name, files[side_file.name].digest]  # the language is in the name
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
    """Refuse a file that is another than the one that the title's folder was listed with.

    Raises:
        TitleError: it has been written or replaced since.
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
