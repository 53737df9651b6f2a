"""Choice between the side files and subtitle tracks of a title, by language and purpose."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from subrip import SRT, SRT_CUES

from mediafm_core.media.probe import MediaProbe, SubtitleStream, probe
from mediafm_core.media.subtitles import TimedText
from mediafm_core.media.timed_text import (
    ranked,
    read_timed_text,
)
from mediafm_core.titles.read_title import SideFile
from mediafm_core.titles.title_file import TitleFile


def timed_text_of(
    media: Path, described: MediaProbe, side_files: list[SideFile], language: str
) -> TimedText:
    """Read the timed text of the title in whose folder a media file lies."""
    return read_timed_text(
        lambda name: TitleFile.at(media.with_name(name)),
        media.name,
        described,
        side_files,
        language,
    )


def first(
    language: str, side_files: list[SideFile], streams: list[SubtitleStream]
) -> SideFile | SubtitleStream | None:
    return next(iter(ranked(language, side_files, streams)), None)


def test_ranking_of_sources_by_language_and_kind() -> None:
    english = SideFile("c.en.vtt", "en-GB")
    french = SideFile("c.fr.vtt", "fr")
    unnamed = SideFile("c.vtt", None)
    tracks = [
        SubtitleStream(index=2, codec="mov_text", language="fra"),
        SubtitleStream(index=3, codec="mov_text", language="eng"),
        SubtitleStream(index=4, codec="ssa", language=None),
    ]
    assert first("en", [french, unnamed, english], tracks) is english
    assert first("de", [french, unnamed, english], tracks) is unnamed
    assert first("de", [french, english], tracks) is french
    assert first("en", [], tracks) is tracks[1]
    assert first("pt-BR", [], tracks) is tracks[2]
    assert first("pt-BR", [], tracks[:2]) is tracks[0]
    assert first("en", [], []) is None
    assert first("und", [french, unnamed], tracks) is unnamed
    # The title's language ranks before the kind of source.
    assert first("en", [french], tracks) is tracks[1]


def test_full_captions_come_before_partial_ones() -> None:
    names = (
        *("film.en.forced.srt", "film.commentary.en.srt", "film.thumbnails.vtt", "film.fr.srt"),
        *("film.en.sdh.srt", "film.en.srt"),
    )
    files = {name: SideFile.named(name, "film.mkv") for name in names}
    ordered = [
        file.name for file in ranked("en", list(files.values()), []) if file in files.values()
    ]
    assert ordered == [
        *("film.en.srt", "film.en.sdh.srt", "film.fr.srt"),
        *("film.en.forced.srt", "film.commentary.en.srt"),
    ]
    track = SubtitleStream(index=2, codec="subrip", language="eng")
    assert first("en", [files["film.en.forced.srt"]], [track]) is track


def test_tracks_by_their_flags() -> None:
    forced = SubtitleStream(index=2, codec="subrip", language="eng", forced=True)
    comments = SubtitleStream(index=3, codec="subrip", language="eng", commentary=True)
    impaired = SubtitleStream(index=4, codec="subrip", language="eng", hearing_impaired=True)
    plain = SubtitleStream(index=5, codec="subrip", language="eng")
    assert ranked("en", [], [forced, comments, impaired, plain]) == [
        *(plain, impaired),
        *(forced, comments),
    ]


@pytest.mark.parametrize(
    ("language", "expected"), [("pt-BR", "film.pt-BR.srt"), ("pt-PT", "film.pt-PT.srt")]
)
def test_exactly_the_titles_language_comes_first(language: str, expected: str) -> None:
    files = [SideFile.named(f"film.{tag}.srt", "film.mkv") for tag in ("pt", "pt-PT", "pt-BR")]
    chosen = first(language, files, [])
    assert isinstance(chosen, SideFile)
    assert chosen.name == expected


def test_real_embedded_tracks(shared_media: Path) -> None:
    media = shared_media / "nasa_13013" / "media.mp4"
    source, cues = timed_text_of(media, probe(TitleFile.at(media)), [], "en")
    assert (source.kind, source.name, source.language) == ("embedded", "stream 2 (mov_text)", "eng")
    assert source.passed_over == ("stream 5 (mov_text)",)
    assert len(cues) == 4
    assert cues[0].text == "NAR: This is the optical and science segment of the Webb"
    assert cues[2].text.startswith("at NASA’s Goddard")
    np.testing.assert_allclose([cue.start_s for cue in cues], [0.21, 4.26, 8.35, 12.47])
    np.testing.assert_allclose(cues[-1].end_s, 16.57)


def test_a_real_title_without_timed_text(shared_media: Path) -> None:
    media = shared_media / "sintel_scene" / "media.mp4"
    source, cues = timed_text_of(media, probe(TitleFile.at(media)), [], "en")
    assert (source.kind, cues, str(source)) == ("none", (), "none")


@pytest.fixture(scope="module")
def film_with_tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a film with French SubRip, English SubStation and unmarked WebVTT tracks.

    Its time stamps start at 1.5 s.
    """
    folder = tmp_path_factory.mktemp("tracks")
    (folder / "captions.srt").write_text(SRT)
    pictures = "color=red:size=64x64:duration=7:rate=5,format=yuv420p"
    command = (
        f"{get_ffmpeg_exe()} -v error -f lavfi -i {pictures} -i captions.srt "
        "-map 0 -map 1 -map 1 -map 1 "
        "-c:v libx264 -c:s:0 srt -c:s:1 ass -c:s:2 webvtt "
        "-metadata:s:s:0 language=fre -metadata:s:s:1 language=eng "
        "-output_ts_offset 1.5 film.mkv"
    )
    subprocess.run(command.split(), cwd=folder, check=True)
    return folder / "film.mkv"


@pytest.mark.parametrize(("language", "track"), [("fr", 1), ("en-US", 2), ("de", 3)])
def test_embedded_tracks_on_the_clock_of_the_title(
    film_with_tracks: Path, language: str, track: int
) -> None:
    described = probe(TitleFile.at(film_with_tracks))
    assert described.start_s == pytest.approx(1.5)
    source, cues = timed_text_of(film_with_tracks, described, [], language)
    assert source.name.startswith(f"stream {track} ")
    assert len(source.passed_over) == 2
    assert [cue.text for cue in cues] == [cue.text for cue in SRT_CUES]
    np.testing.assert_allclose([cue[:2] for cue in cues], [cue[:2] for cue in SRT_CUES], atol=2e-3)


def test_a_side_file_wins_over_tracks(film_with_tracks: Path) -> None:
    captions = SideFile("captions.srt", None)
    source, cues = timed_text_of(
        film_with_tracks,
        probe(TitleFile.at(film_with_tracks)),
        [captions],
        "fr",
    )
    assert (source.kind, source.name, len(source.passed_over)) == ("side_file", "captions.srt", 3)
    assert list(cues) == SRT_CUES


def test_image_tracks_are_skipped(film_with_tracks: Path) -> None:
    described = probe(TitleFile.at(film_with_tracks)).model_copy(
        update={
            "subtitles": tuple(
                SubtitleStream(index=index, codec=codec, language="en")
                for index, codec in enumerate(["dvdsub", "pgssub", "dvbsub", "unknown"], start=1)
            )
        }
    )
    source, cues = timed_text_of(film_with_tracks, described, [], "en")
    assert (source.kind, cues) == ("none", ())
    assert source.passed_over[0] == "stream 1 (dvdsub)"
