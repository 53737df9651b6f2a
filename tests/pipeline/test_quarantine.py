"""A title with bad input is quarantined until it is repaired; other titles are processed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from films import ingest_titles, write_manifest

from mediafm_core.pipeline.planning.asset_states import catalogue_states
from mediafm_core.pipeline.planning.title_selection import select_titles


def truncated(title: Path) -> str:
    media = title / "media.mp4"
    media.write_bytes(media.read_bytes()[: media.stat().st_size // 2])
    return "media.mp4"


def empty(title: Path) -> str:
    (title / "media.mp4").write_bytes(b"")
    return "media.mp4"


def text_under_a_media_name(title: Path) -> str:
    (title / "media.mp4").write_text("This is not a film.\n" * 50)
    return "media.mp4"


def playlist_under_a_media_name(title: Path) -> str:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    (title / "media.mp4").write_text(text)
    return "media.mp4"


def concat_script_under_a_media_name(title: Path) -> str:
    (title / "media.mp4").write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")
    return "media.mp4"


def wrong_manifest(title: Path) -> str:
    (title / "title.json").write_text('{"title_id": "cat"')
    return "title.json"


def title_id_with_a_path(title: Path) -> str:
    write_manifest(title, title_id="../elsewhere")
    return "../elsewhere"


def two_films(title: Path) -> str:
    shutil.copy(title / "media.mp4", title / "second.mp4")
    return "second.mp4"


def broken_captions(title: Path) -> str:
    (title / "captions.en.srt").write_text("1\nnot a time --> at all\nHello\n")
    return "captions.en.srt"


def clip_that_ends_before_it_starts(title: Path) -> str:
    (title / "clips.csv").write_text("clip_id,start_s,end_s\nbackwards,5,2\n")
    return "clips.csv"


def clip_outside_the_title(title: Path) -> str:
    (title / "clips.csv").write_text("clip_id,start_s,end_s\nlate,5,5000\n")
    return "clips.csv"


def repeated_clip_id(title: Path) -> str:
    (title / "clips.csv").write_text("clip_id,start_s,end_s\nsame,1,2\nsame,2,3\n")
    return "clips.csv"


FAULTS = [
    truncated,
    empty,
    text_under_a_media_name,
    playlist_under_a_media_name,
    concat_script_under_a_media_name,
    wrong_manifest,
    title_id_with_a_path,
    two_films,
    broken_captions,
    clip_that_ends_before_it_starts,
    clip_outside_the_title,
    repeated_clip_id,
]


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda fault: fault.__name__)
def test_a_faulty_title_is_quarantined_until_it_is_repaired(
    catalogue, spoil: Callable[[Path], str]
):
    title = catalogue.inbox / "cat"
    sound = catalogue.inbox.parent / "sound"
    shutil.copytree(title, sound)
    named = spoil(title)
    platform = catalogue.platform()

    ingest_titles(platform, ["cat", "coffee"])

    found = {each.title_id: each for each in catalogue_states(platform)}
    assert found["coffee"].state == "present"
    assert found["cat"].state == "quarantined"
    assert named in found["cat"].reason
    assert "quarantined" in found["cat"].assets.values()
    assert "\n" not in found["cat"].reason
    assert select_titles(platform).work == [], "a quarantined title is left alone"
    assert select_titles(platform, retry=True).work == ["cat"]

    shutil.rmtree(title)
    shutil.copytree(sound, title)
    ingest_titles(platform, select_titles(platform).work)  # no work if all artefacts exist already
    assert {each.state for each in catalogue_states(platform)} == {"present"}


def test_a_folder_with_an_invalid_name_is_quarantined(catalogue):
    folder = catalogue.inbox / "No Title"
    folder.mkdir()
    (folder / "title.json").write_text("{}")
    platform = catalogue.platform()
    assert select_titles(platform).work == []
    state = next(each for each in catalogue_states(platform) if each.title_id == "No Title")
    assert state.state == "quarantined"
    assert "'No Title'" in state.reason


def test_a_folder_without_manifest_waits(catalogue):
    (catalogue.inbox / "late").mkdir()
    platform = catalogue.platform()
    assert select_titles(platform).work == []
    state = next(each for each in catalogue_states(platform) if each.title_id == "late")
    assert (state.state, "title.json" in state.reason) == ("waiting", True)
