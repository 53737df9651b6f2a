import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.titles.folder import Title, read_title
from mediafm_core.titles.inbox import LocalInbox, TitleFolder

MakeTitle = Callable[..., Path]


@pytest.fixture
def make_title(tmp_path: Path) -> MakeTitle:
    def make(name: str = "film", **files: str) -> Path:
        folder = tmp_path / "inbox" / name
        folder.mkdir(parents=True)
        manifest = {"title_id": name, "name": name, "kind": "movie", "language": "en"}
        for file_name, content in (files or {"media.mp4": "film"}).items():
            (folder / file_name).write_text(content)
        (folder / "title.json").write_text(json.dumps(manifest))
        return folder

    return make


def folder_at(path: Path) -> TitleFolder:
    return LocalInbox(path.parent).folder(path.name)


def read(path: Path) -> Title:
    return read_title(folder_at(path))


def test_real_titles(shared_media: Path) -> None:
    folders = list(LocalInbox(shared_media).scan())
    assert [folder.name for folder in folders] == sorted(folder.name for folder in folders)
    assert len(folders) == 5
    titles = {folder.name: read_title(folder) for folder in folders}
    assert {title.media.key for title in titles.values()} == {"media.mp4"}
    assert [
        (side_file.path.name, side_file.language)
        for side_file in titles["his_girl_friday"].side_files
    ] == [("captions.en.vtt", "en")]
    assert titles["nasa_13013"].side_files == ()
    assert titles["big_buck_bunny"].clips is None  # its other tables are no clips


def test_scan_passes_over_hidden_entries_and_files(make_title: MakeTitle) -> None:
    inbox = make_title("b").parent
    make_title("a")
    (inbox / ".staging").mkdir()
    (inbox / "notes.txt").write_text("")
    (inbox / "unfinished").mkdir()
    (inbox / "Not A Key").mkdir()
    found = {folder.name: folder for folder in LocalInbox(inbox).scan()}
    assert list(found) == ["Not A Key", "a", "b", "unfinished"]
    assert found["a"].is_complete
    assert not found["unfinished"].is_complete
    assert not found["Not A Key"].has_usable_name


def test_side_files_with_their_languages_and_clips(make_title: MakeTitle) -> None:
    used = "FILM.MKV c.en.vtt c.pt-BR.srt c.srt film.restored.ass c.de.forced.srt clips.csv"
    ignored = "readme.txt .hidden.mp4 cover.jpg"
    folder = make_title(**dict.fromkeys(f"{used} {ignored}".split(), ""))
    (folder / "extras.mp4").mkdir()
    title = read(folder)
    assert title.media.key == "FILM.MKV"
    assert title.clips == folder / "clips.csv"
    assert {side_file.path.name: side_file.language for side_file in title.side_files} == {
        "c.en.vtt": "en",
        "c.pt-BR.srt": "pt-BR",
        "c.srt": None,
        "c.de.forced.srt": "de",
        "film.restored.ass": None,
    }


def test_no_and_several_media_files(make_title: MakeTitle) -> None:
    with pytest.raises(TitleError, match="none holds no media file"):
        read(make_title("none", **{"playlist.m3u8": "#EXTM3U"}))
    with pytest.raises(TitleError, match=r"two holds 2 media files \(a.mp4, b.mkv\)"):
        read(make_title("two", **{"a.mp4": "", "b.mkv": ""}))


def test_a_folder_name_that_is_no_partition_key(make_title: MakeTitle) -> None:
    with pytest.raises(TitleError, match="'My Film' cannot be used"):
        read(make_title("My Film"))


@pytest.mark.parametrize("name", ["media.mp4", "captions.en.vtt", "clips.csv", "title.json"])
def test_links_out_of_the_title_folder_are_refused(
    make_title: MakeTitle, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    folder = make_title(**{"media.mp4": "", "captions.en.vtt": "", "clips.csv": ""})
    (folder / name).unlink()
    (folder / name).symlink_to(outside)
    with pytest.raises(TitleError, match=f"{name} is a link to .*outside the title folder"):
        read(folder)


def test_links_inside_the_folder_and_of_the_folder_are_followed(make_title: MakeTitle) -> None:
    folder = make_title(**{"original": "film"})
    (folder / "media.mp4").symlink_to("original")
    title = read(folder)
    assert title.folder.path(title.media.key).read_text() == "film"
    linked_inbox = folder.parent.parent / "linked"
    linked_inbox.mkdir()
    (linked_inbox / "film").symlink_to(folder)
    (found,) = LocalInbox(linked_inbox).scan()
    assert read_title(found).title_id == "film"


def test_links_that_lead_nowhere_and_pipes_are_refused(make_title: MakeTitle) -> None:
    folder = make_title("broken", **{"readme.txt": ""})
    (folder / "media.mp4").symlink_to("gone.mp4")
    with pytest.raises(TitleError, match=r"media\.mp4 is missing or a link that leads nowhere"):
        read(folder)
    (folder / "media.mp4").unlink()
    (folder / "media.mp4").symlink_to("media.mp4")
    with pytest.raises(TitleError, match="leads nowhere"):
        read(folder)
    (folder / "media.mp4").unlink()
    os.mkfifo(folder / "media.mp4")  # opening it would wait for ever
    with pytest.raises(TitleError, match="no ordinary file"):
        read(folder)


def test_fingerprint_follows_every_change_of_files(make_title: MakeTitle) -> None:
    folder = make_title(**{"media.mp4": "film", "c.en.vtt": "one"})
    seen = [folder_at(folder).fingerprint()]
    assert folder_at(folder).fingerprint() == seen[0]

    def changed() -> bool:
        seen.append(folder_at(folder).fingerprint())
        return seen[-1] not in seen[:-1]

    (folder / "c.en.vtt").write_text("longer")
    assert changed()
    (folder / "c.en.vtt").rename(folder / "c.fr.vtt")
    assert changed()
    os.utime(folder / "media.mp4", ns=(1, 1))
    assert changed()
    (folder / "c.fr.vtt").unlink()
    assert changed()
    (folder / "dangling.srt").symlink_to("nowhere")
    assert changed()
