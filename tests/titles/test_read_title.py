import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.runtime.error_causes import Cause, fault_of
from mediafm_core.titles import title_file
from mediafm_core.titles.inbox import LocalInbox
from mediafm_core.titles.read_title import Title, read_title
from mediafm_core.titles.title_folder import TitleFolder

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
        (side_file.name, side_file.language) for side_file in titles["his_girl_friday"].side_files
    ] == [("captions.en.vtt", "en")]
    assert titles["nasa_13013"].side_files == ()
    assert titles["big_buck_bunny"].clips is None  # its other tables are not clips


def test_scan_skips_hidden_entries_and_files(make_title: MakeTitle) -> None:
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
    assert title.clips == "clips.csv"
    assert {side_file.name: side_file.language for side_file in title.side_files} == {
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


def test_a_folder_name_that_is_not_a_partition_key_is_refused(make_title: MakeTitle) -> None:
    with pytest.raises(TitleError, match="'My Film' cannot be used"):
        read(make_title("My Film"))


@pytest.mark.parametrize("name", ["media.mp4", "captions.en.vtt", "clips.csv", "title.json"])
@pytest.mark.parametrize("target", ["../../outside", "inside", "nowhere", "{name}"])
def test_links_are_refused(make_title: MakeTitle, tmp_path: Path, name: str, target: str) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = make_title(**{"media.mp4": "", "captions.en.vtt": "", "clips.csv": "", "inside": ""})
    (folder / name).unlink()
    (folder / name).symlink_to(target.format(name=name))
    with pytest.raises(TitleError, match=rf"{name} is a link: put the file itself in its place"):
        read(folder)


def test_a_title_folder_that_is_a_link_is_refused(make_title: MakeTitle, tmp_path: Path) -> None:
    folder = make_title()
    (tmp_path / "links").mkdir()
    for name, target in (("film", folder), ("nowhere", "gone"), ("a-file", folder / "media.mp4")):
        (tmp_path / "links" / name).symlink_to(target)
    found = list(LocalInbox(tmp_path / "links").scan())
    assert [each.name for each in found] == ["a-file", "film", "nowhere"]
    for each in found:
        assert each.is_complete, "it is not waited for: reading it says what is wrong"
        with pytest.raises(TitleError, match=f"links/{each.name} is a link: put the folder itself"):
            read_title(each)
    with pytest.raises(TitleError, match="is a link"):
        found[1].open("media.mp4")


def test_an_inbox_that_is_a_link_is_followed(make_title: MakeTitle, tmp_path: Path) -> None:
    inbox = make_title().parent
    (tmp_path / "linked").symlink_to(inbox)
    (found,) = LocalInbox(tmp_path / "linked").scan()
    assert read_title(found).title_id == "film"


def test_links_are_not_followed_by_the_listing(make_title: MakeTitle, tmp_path: Path) -> None:
    folder = make_title()
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (folder / "c.en.vtt").symlink_to(outside)
    listed = folder_at(folder).files["c.en.vtt"]
    seen = folder_at(folder).fingerprint()
    assert listed.size == len(str(outside))
    outside.write_text("another secret")
    assert folder_at(folder).fingerprint() == seen


def make_pipe(path: Path) -> None:
    os.mkfifo(path)  # opening it would block


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_folder])
def test_anything_but_a_regular_file_is_refused_after_the_listing(
    make_title: MakeTitle, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_title("f")
    found = folder_at(folder)
    assert "media.mp4" in found.files
    (folder / "media.mp4").unlink()
    monkeypatch.chdir(folder)  # the path of a socket has to be short
    make(Path("media.mp4"))
    with pytest.raises(TitleError, match=r"media\.mp4 is not a regular file") as raised:
        read_title(found)
    assert fault_of(raised.value).cause is Cause.TITLE


@pytest.mark.parametrize("swapped", [make_pipe, make_folder])
def test_a_pipe_swapped_in_during_opening_does_not_block(
    make_title: MakeTitle, swapped: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced between the check of its type and its opening."""
    folder = make_title()
    look = os.lstat

    def look_and_swap(name: str, *, dir_fd: int) -> os.stat_result:
        status = look(name, dir_fd=dir_fd)
        (folder / name).unlink()
        swapped(folder / name)
        return status

    found = folder_at(folder)
    monkeypatch.setattr(title_file.os, "lstat", look_and_swap)
    with pytest.raises(TitleError, match=r"media\.mp4 is not a regular file"):
        found.open("media.mp4")


def test_a_name_with_a_path_out_of_the_folder_is_refused(make_title: MakeTitle) -> None:
    folder = make_title()
    (folder.parent / "secret.mp4").write_text("secret")
    with pytest.raises(TitleError, match="not directly in its title folder"):
        folder_at(folder).open("../secret.mp4")


def test_a_file_that_changes_while_it_is_open(make_title: MakeTitle) -> None:
    folder = make_title()
    with folder_at(folder).open("media.mp4") as file:
        assert file.read_bytes(10) == b"film"
        file.require_unchanged()
        (folder / "other").write_text("another")
        (folder / "other").replace(folder / "media.mp4")
        assert file.read_bytes(10) == b"film", "what was opened is read, whatever has its name"
        assert file.has_changed
        with pytest.raises(TitleError, match="still being written"):
            file.require_unchanged()


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
