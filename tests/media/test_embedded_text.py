"""Text tracks inside media are read by the rules for files of their format."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from mediafm_core.errors import TitleError
from mediafm_core.media import subtitles
from mediafm_core.media.probe import probe
from mediafm_core.media.subtitles import TimedText, read_embedded
from mediafm_core.media.timed_text import read_timed_text
from mediafm_core.titles.read_title import SideFile
from mediafm_core.titles.title_file import TitleFile

MakeFilm = Callable[..., Path]
PICTURES = "color=red:size=64x64:duration=4:rate=5,format=yuv420p"
SRT = """1
00:00:00,500 --> 00:00:01,500
{music playing} Tom &amp; Jerry&#39;s &lt;3&nbsp;day
<i>If a < b</i> {\\an8}\\hend

2
00:00:02,000 --> 00:00:03,000
<sighs> &amp;lt;
"""
TEXTS = ["{music playing} Tom & Jerry's <3 day If a < b end", "<sighs> &lt;"]
VTT = """WEBVTT

00:00.500 --> 00:01.500 line:0
<v Ann>{music} If a &lt; b &amp;lt; c &#39;</v>
"""


@pytest.fixture
def make_film(tmp_path: Path) -> MakeFilm:
    def make(options: str, name: str = "film.mkv", **files: str | bytes) -> Path:
        inputs = []
        for file_name, content in files.items():
            file = tmp_path / file_name.replace("_", ".")
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            inputs += ["-i", file.name]
        command = [get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", PICTURES, *inputs]
        maps = [each for number in range(len(files) + 1) for each in ("-map", str(number))]
        command += [*maps, "-c:v", "libx264", *options.split(), name]
        subprocess.run(command, cwd=tmp_path, check=True)
        return tmp_path / name

    return make


def read(film: Path, language: str = "en", side_files: tuple[str, ...] = ()) -> TimedText:
    return read_timed_text(
        lambda name: TitleFile.at(film.with_name(name)),
        film.name,
        probe(TitleFile.at(film)),
        [SideFile.named(name, film.name) for name in side_files],
        language,
    )


def texts(found: TimedText) -> list[str]:
    return [cue.text for cue in found.cues]


def test_subrip(make_film: MakeFilm) -> None:
    found = read(make_film("-c:s copy", a_srt=SRT))
    assert texts(found) == TEXTS
    assert (found.source.encoding, found.source.notes) == ("utf-8", ())


def test_webvtt(make_film: MakeFilm) -> None:
    assert texts(read(make_film("-c:s copy", "film.mkv", a_vtt=VTT))) == [
        "{music} If a < b &lt; c '"
    ]


def test_quicktime_text(make_film: MakeFilm) -> None:
    film = make_film("-c:s mov_text", "film.mp4", a_srt=SRT.replace("&amp;lt;", "\\N日本"))
    assert texts(read(film))[1] == "日本"  # the program ffmpeg treats <sighs> as a tag


def test_a_legacy_encoding_of_the_language(make_film: MakeFilm) -> None:
    russian = "Привет, как дела?"
    film = make_film("-c:s copy", a_srt=SRT.replace("<sighs>", russian).encode())
    data = film.read_bytes()
    written = russian.encode()
    shorter = russian.encode("cp1251")
    film.write_bytes(data.replace(written, shorter + b" " * (len(written) - len(shorter))))
    found = read(film, "ru")
    assert (texts(found)[1], found.source.encoding) == (f"{russian} &lt;", "cp1251")


def test_a_bad_byte_becomes_a_replacement_character(make_film: MakeFilm) -> None:
    film = make_film("-c:s copy", a_srt=SRT.replace("<sighs>", "Là-bas, près de l'été"))
    film.write_bytes(film.read_bytes().replace("Là".encode(), b"L\xffa"))
    found = read(film, "fr")
    assert texts(found)[1].startswith("L\ufffda-bas, près")
    assert found.source.notes == ("characters that are damaged and read as U+FFFD: 1",)


def test_an_image_track_is_refused_with_its_name(make_film: MakeFilm) -> None:
    film = make_film("-c:s copy", a_srt=SRT.replace("<sighs>", "Là-bas"))
    film.write_bytes(film.read_bytes().replace("Là-bas".encode(), b"L\xff\xfe-\xfb\xfc\xfd"))
    with pytest.raises(TitleError, match=r"film\.mkv: stream 1 \(\w+\) cannot be decoded"):
        read(film)


def test_full_tracks_come_before_forced_ones(make_film: MakeFilm) -> None:
    film = make_film(
        "-c:s copy -disposition:s:0 forced -disposition:s:1 0 -metadata:s:s:0 language=eng "
        "-metadata:s:s:1 language=eng -metadata:s:s:2 language=eng "
        "-metadata:s:s:2 title=Commentary",
        forced_srt=SRT.replace("<sighs>", "FORCED"),
        full_srt=SRT.replace("<sighs>", "FULL"),
        talk_srt=SRT.replace("<sighs>", "TALK"),
    )
    found = read(film)
    assert texts(found)[1] == "FULL &lt;"
    assert (found.source.purpose, len(found.source.passed_over)) == ("full", 2)
    (film.parent / "film.en.forced.srt").write_text(SRT.replace("<sighs>", "ALSO FORCED"))
    assert texts(read(film, "en", ("film.en.forced.srt",)))[1] == "FULL &lt;"


def test_forced_captions_alone_are_used_with_a_note(make_film: MakeFilm) -> None:
    found = read(make_film("-c:s copy -disposition:s:0 forced", forced_srt=SRT))
    assert texts(found) == TEXTS
    assert found.source.purpose == "forced"
    assert found.source.notes == ("only forced captions: most speech is missing",)


def test_the_next_source_is_used_if_one_is_empty(make_film: MakeFilm) -> None:
    film = make_film("-c:s copy", a_srt=SRT)
    (film.parent / "film.en.vtt").write_text("WEBVTT\n")
    found = read(film, "en", ("film.en.vtt",))
    assert (found.source.kind, texts(found)) == ("embedded", TEXTS)
    assert found.source.notes == ("film.en.vtt holds no cue",)


def test_only_empty_sources_give_a_title_without_text(make_film: MakeFilm) -> None:
    film = make_film("", "film.mkv")
    for name in ("film.en.vtt", "film.en.sdh.srt"):
        (film.parent / name).write_bytes(b"")
    source, cues = read(film, "en", ("film.en.sdh.srt", "film.en.vtt"))
    assert (source.kind, source.name, cues) == ("side_file", "film.en.vtt", ())
    assert source.notes == ("film.en.vtt holds no cue", "film.en.sdh.srt holds no cue")
    assert source.passed_over == ("film.en.sdh.srt",)


def test_too_many_cues(make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_film("-c:s copy", a_srt=SRT)
    monkeypatch.setattr(subtitles, "MAX_CUES", 1)
    file = TitleFile.at(film)
    with pytest.raises(TitleError, match="has more than 1 cues"):
        read_embedded(file, probe(file).subtitles[0], 0.0)
