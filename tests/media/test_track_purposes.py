"""Purposes of tracks by their flags or names, and the choice of the main tracks."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from make_media import ffmpeg, gradient, moving

from mediafm_core.media.probe import probe
from mediafm_core.titles.title_file import TitleFile

Track = tuple[str, str, str]  # language, name, flags


def with_sound(path: Path, *tracks: Track) -> Path:
    """Write a film with an audio track for each of `tracks`."""
    sound = ("-f", "lavfi", "-i", "sine=duration=0.2")
    return _written(path, "a", "1:a", tracks, *sound)


def with_subtitles(path: Path, *tracks: Track) -> Path:
    """Write a film with a SubRip track for each of `tracks`."""
    text = path.with_suffix(".srt")
    text.write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n")
    return _written(path, "s", "1:s", tracks, "-i", text)


def _written(
    path: Path, kind: str, source: str, tracks: tuple[Track, ...], *inputs: object
) -> Path:
    options: list[object] = []
    for number, (language, name, flags) in enumerate(tracks):
        options += ["-map", source, f"-disposition:{kind}:{number}", flags or "0"]
        for tag in (f"language={language}", f"title={name}", f"handler_name={name}"):
            options += [f"-metadata:s:{kind}:{number}", tag]
    video = ("-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=0.2")
    ffmpeg(*video, *inputs, "-map", "0:v", *options, "-c:v", "mpeg4", path)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_commentaries_and_descriptions_are_not_the_main_sound(tmp_path: Path, suffix: str):
    about = [
        ("Director's Commentary", "default"),
        ("", "comment+default"),
        ("Audiokommentar mit dem Regisseur", "default"),
        ("Commentaire du réalisateur", "default"),
        ("Комментарий режиссёра", "default"),
        ("监制评论音轨", "default"),
        ("English (Audio Description)", "default"),
        ("", "visual_impaired+default"),
        ("English AD", "default"),
        ("Hörfilmfassung", "default"),
        ("Isolated Score", "default"),
        ("Music & Effects", "default"),
    ]
    tracks = [("eng", *each) for each in about]
    path = with_sound(tmp_path / f"film.{suffix}", *tracks, ("eng", "English 5.1", ""))
    audio = probe(TitleFile.at(path), "en").audio
    assert audio is not None
    assert audio.index == 1 + len(about)


def test_other_track_names_have_no_effect(tmp_path: Path):
    names = ["Stereo", "Ad-lib", "Adaptation", "English without commentary", "SoundHandler"]
    main = [("eng", name, "") for name in names]
    for number, _ in enumerate(main):
        others = main[:number] + main[number + 1 :]
        path = with_sound(
            tmp_path / "film.mkv", *others, ("eng", names[number], "default"), ("eng", "AD", "")
        )
        audio = probe(TitleFile.at(path), "en").audio
        assert audio is not None
        assert audio.index == len(main)


def test_dialogue_in_another_language_comes_before_a_commentary(tmp_path: Path):
    path = with_sound(
        tmp_path / "film.mkv", ("eng", "Commentary", "default"), ("fra", "Original", "")
    )
    audio = probe(TitleFile.at(path), "en").audio
    assert audio is not None
    assert audio.language == "fra"


def test_a_description_in_the_titles_language_comes_before_another_language(tmp_path: Path):
    path = with_sound(tmp_path / "film.mkv", ("fra", "Doublage", "default"), ("eng", "AD", ""))
    audio = probe(TitleFile.at(path), "en").audio
    assert audio is not None
    assert audio.language == "eng"


def test_a_commentary_is_used_if_it_is_the_only_sound(tmp_path: Path):
    path = with_sound(tmp_path / "film.mkv", ("eng", "Commentary", ""))
    audio = probe(TitleFile.at(path), "en").audio
    assert audio is not None
    assert audio.index == 1


def test_purposes_of_subtitle_tracks(tmp_path: Path):
    tracks = [
        ("", "forced", {"forced"}),
        ("English (Forced)", "", {"forced"}),
        ("Français forcés", "", {"forced"}),
        ("Signs & Songs", "", {"forced"}),
        ("English, not forced", "", set()),
        ("", "hearing_impaired", {"hearing_impaired"}),
        ("English SDH", "", {"hearing_impaired"}),
        ("English [CC]", "", {"hearing_impaired"}),
        ("Deutsch für Hörgeschädigte", "", {"hearing_impaired"}),
        ("Director's Commentary", "", {"commentary"}),
        ("Full", "", set()),
        ("hi", "", set()),
    ]
    path = with_subtitles(tmp_path / "film.mkv", *(("eng", *track[:2]) for track in tracks))
    for track, (name, flags, purposes) in zip(
        probe(TitleFile.at(path)).subtitles, tracks, strict=True
    ):
        fields = ("forced", "hearing_impaired", "commentary")
        assert {each for each in fields if getattr(track, each)} == purposes, (name, flags)


def test_a_cover_marked_as_default_is_not_chosen_as_video(tmp_path: Path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.default
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.disposition = Disposition(0)
        still = av.VideoFrame.from_ndarray(gradient(64, 64).astype(np.uint8), format="rgb24")
        container.mux(cover.encode(still))
        container.mux(cover.encode(None))
        for picture in moving(5):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    assert probe(TitleFile.at(path)).video.codec == "mpeg4"
