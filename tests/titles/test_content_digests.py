import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediafm_core.titles.content_digests import ContentDigests, content_digests
from mediafm_core.titles.inbox import LocalInbox
from mediafm_core.titles.read_title import Title, read_title
from mediafm_core.titles.title_file import TitleFile

MANIFEST = {"title_id": "film", "name": "Film", "kind": "movie", "language": "en"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "media.mp4").write_bytes(b"film")
    (folder / "c.en.vtt").write_text("captions")
    (folder / "clips.csv").write_text("clips")
    describe(folder)
    return folder


def read(folder: Path) -> Title:
    return read_title(LocalInbox(folder.parent).folder(folder.name))


def describe(folder: Path, **fields: Any) -> None:
    (folder / "title.json").write_text(json.dumps(MANIFEST | fields))


def facets_changed(before: ContentDigests, folder: Path) -> set[str]:
    after = content_digests(read(folder), before.files)
    return {
        name
        for name in ("manifest", "media", "captions", "clips", "metadata")
        if getattr(before, name) != getattr(after, name)
    }


def test_each_change_affects_only_the_digests_that_depend_on_it(folder: Path) -> None:
    before = content_digests(read(folder))
    assert facets_changed(before, folder) == set()
    (folder / "c.en.vtt").write_text("CAPTIONS")
    assert facets_changed(before, folder) == {"captions"}
    (folder / "c.en.vtt").write_text("captions")
    (folder / "clips.csv").write_text("others")
    assert facets_changed(before, folder) == {"clips"}
    (folder / "clips.csv").unlink()
    assert facets_changed(before, folder) == {"clips"}
    (folder / "clips.csv").write_text("clips")
    describe(folder, synopsis="About.")
    assert facets_changed(before, folder) == {"manifest", "metadata"}
    describe(folder, kind="clip")
    assert facets_changed(before, folder) == {"manifest"}
    describe(folder, language="fr")
    assert facets_changed(before, folder) == {"manifest", "media", "captions"}
    describe(folder)
    (folder / "media.mp4").write_bytes(b"another")
    assert facets_changed(before, folder) == {"media"}


def test_embedded_captions_follow_the_media(folder: Path) -> None:
    (folder / "c.en.vtt").unlink()
    before = content_digests(read(folder))
    (folder / "media.mp4").write_bytes(b"another")
    assert facets_changed(before, folder) == {"media", "captions"}


def test_digests_depend_on_names_of_side_files_but_not_of_the_media(folder: Path) -> None:
    before = content_digests(read(folder))
    (folder / "c.en.vtt").rename(folder / "c.fr.vtt")
    assert facets_changed(before, folder) == {"captions"}
    (folder / "c.fr.vtt").rename(folder / "c.en.vtt")
    (folder / "media.mp4").rename(folder / "other.mp4")
    assert facets_changed(before, folder) == set()


def test_unchanged_media_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = TitleFile.pieces

    def spy(file: TitleFile) -> Iterator[bytes]:
        hashed.append(file.name)
        return real(file)

    monkeypatch.setattr(TitleFile, "pieces", spy)
    before = content_digests(read(folder))
    recorded = ContentDigests.model_validate_json(before.model_dump_json())
    assert recorded == before
    assert hashed == ["media.mp4", "c.en.vtt", "clips.csv"]
    hashed.clear()
    assert content_digests(read(folder), recorded.files) == before
    assert hashed == ["c.en.vtt", "clips.csv"]
    os.utime(folder / "media.mp4", ns=(1, 1))
    after = content_digests(read(folder), recorded.files)
    assert "media.mp4" in hashed[2:]
    assert after.media == before.media


# As with `cp -p`, `rsync --times` and restored backups.
@pytest.mark.parametrize("put", [shutil.copy2, os.replace])
def test_media_replaced_with_equal_size_and_time_is_read_again(
    folder: Path, tmp_path: Path, put: Callable[[Path, Path], object]
) -> None:
    before = content_digests(read(folder))
    media, other = folder / "media.mp4", tmp_path / "other.mp4"
    status = media.stat()
    while True:  # change times have a resolution of a few milliseconds
        other.write_bytes(media.read_bytes()[::-1])
        if other.stat().st_ctime_ns > status.st_ctime_ns:
            break
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    put(other, media)
    found = media.stat()
    assert (found.st_size, found.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert content_digests(read(folder), before.files).media != before.media


def test_a_copy_of_a_folder_has_the_same_digests(folder: Path, tmp_path: Path) -> None:
    before = content_digests(read(folder))
    copy = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, copy)
    after = content_digests(read(copy), before.files)
    assert after.model_dump(exclude={"files"}) == before.model_dump(exclude={"files"})


def test_progress_is_the_share_of_the_media_that_is_read(folder: Path) -> None:
    (folder / "media.mp4").write_bytes(bytes(5 << 19))  # two pieces and a half
    shares: list[float] = []
    known = content_digests(read(folder), progress=shares.append)
    assert shares == [0.4, 0.8, 1.0]
    content_digests(read(folder), known.files, shares.append)
    assert len(shares) == 3, "it is not read again"
