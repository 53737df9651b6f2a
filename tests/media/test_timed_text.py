import codecs
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe

from mediafm_core.errors import TitleError
from mediafm_core.media.probe import MediaProbe, SubtitleStream, probe
from mediafm_core.media.subtitles import Cue, TimedText, read_side_file
from mediafm_core.media.timed_text import (
    SHOT_TEXT_SCHEMA,
    ranked,
    read_timed_text,
    timed_text_per_shot,
)
from mediafm_core.titles.read_title import SideFile
from mediafm_core.titles.title_file import TitleFile

Read = Callable[..., list[Cue]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: str | bytes, name: str = "captions.en.srt") -> list[Cue]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_side_file(TitleFile.at(path), "en").cues)

    return write_and_read


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


def shots_of(edges: list[float]) -> pa.Table:
    return pa.table(
        {
            "title_id": ["film"] * (len(edges) - 1),
            "shot_index": pa.array(range(len(edges) - 1), pa.int32()),
            "start_s": pa.array(edges[:-1], pa.float64()),
            "end_s": pa.array(edges[1:], pa.float64()),
        }
    )


def test_real_webvtt_with_identifiers(shared_media: Path) -> None:
    path = shared_media / "elephants_dream" / "captions.en.vtt"
    source, cues = read_side_file(TitleFile.at(path), "en")
    assert cues[0] == (15.0, 17.951, "At the left we can see...")
    assert cues[3].text == "Everything is safe. Perfectly safe."
    assert cues[-1].start_s > 71.9  # captions of the whole film
    assert len(cues) == path.read_text().count("-->")
    assert (source.name, source.language, source.encoding) == ("captions.en.vtt", "en", "utf-8")


def test_real_webvtt_with_settings(shared_media: Path) -> None:
    path = shared_media / "his_girl_friday" / "captions.en.vtt"
    assert [cue.text for cue in read_side_file(TitleFile.at(path), "en").cues] == [
        "Hildy!",
        "How are you?",
        "Tell me, is the lord of the universe in?",
        "Yes, he's in - in a bad humor",
        "Somebody must've stolen the crown jewels",  # prose: allow
    ]


SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Où est-ce ?</i> {\\an8}[wind howling]
Là-bas.

2
00:00:03,000 --> 00:00:04,000
<font color="#ff0000"> </font>

3
00:00:05,000 --> 00:00:06,000
Room
101
"""
SRT_CUES = [
    Cue(1.0, 2.5, "Où est-ce ? [wind howling] Là-bas."),
    Cue(5.0, 6.0, "Room 101"),
]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "latin-1"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_subrip_in_every_encoding(read: Read, mark: bytes, encoding: str, line_end: str) -> None:
    assert read(mark + SRT.replace("\n", line_end).encode(encoding)) == SRT_CUES


def test_webvtt_blocks_tags_and_short_times(read: Read) -> None:
    vtt = """WEBVTT - made by hand
Kind: captions

STYLE
::cue { color: lime }

NOTE a comment
over two lines

intro
00:01.000 --> 00:02.000 align:start position:10%
<v Ann>Salt &amp; <00:01.500><c.loud>pepper</c>&nbsp;<00:01.700>mill

NOTE after a cue

00:03.000 --> 00:04.000

123:00:05.000 --> 123:00:06.000
Countdown
3
2
"""
    assert read(vtt) == [
        Cue(1.0, 2.0, "Salt & pepper mill"),
        Cue(442805.0, 442806.0, "Countdown 3 2"),
    ]


def test_substation_without_drawings_comments_and_layers(read: Read) -> None:
    ass = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,Second,\\Nwith a comma
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\\k20}Kara{\\k30}oke{\\i1} line{\\i0}
Dialogue: 1,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\\bord4}Karaoke line
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,not shown
"""
    expected = [Cue(1.0, 2.5, "Karaoke line"), Cue(3.0, 4.0, "Second, with a comma")]
    assert read(ass, "captions.ass") == expected
    assert read(ass, "captions.srt") == expected  # the format is detected from the content


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (SRT + "\n4\n00:00:aa,000 --> 00:00:09,000\nx\n", "line 16: '00:00:aa,000 --> 00:00:09"),
        (
            "[Script Info]\n[V4+ Styles]\n[Events]\nDialogue: 0,0:00:xx,0:00:02.00,,,0,0,0,,Hi\n",
            "line 4: 'Dialogue: 0,0:00:xx",
        ),
        (
            "[Script Info]\n[V4+ Styles]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Hi\n",
            "line 4: 'Dialogue: 0,0:00:01.00,0:00:02.00,Hi' is an incomplete Dialogue line",
        ),
        ("Да!".encode("cp1251"), "fits no encoding"),
        (bytes(range(256)) * 40, "captions.en.srt"),
    ],
)
def test_a_broken_side_file_is_refused_in_one_sentence(
    read: Read, content: str | bytes, named: str
) -> None:
    with pytest.raises(TitleError) as raised:
        read(content)
    message = str(raised.value)
    assert "captions.en.srt" in message
    assert named in message
    assert "\n" not in message


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
    """A film with French SubRip, English SubStation and unmarked WebVTT tracks.

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


def test_assignment_of_cues_to_shots() -> None:
    cues = [
        Cue(-3.0, -1.0, "before the start"),
        Cue(-1.0, 0.5, "runs into it"),
        Cue(0.5, 2.1, "lingers over a cut"),
        Cue(1.0, 4.0, "spans two"),
        Cue(4.9, 5.3, "half and half, nearly"),
        Cue(5.2, 5.2, "without length"),
        Cue(8.5, 99.0, "runs past the end"),
        Cue(9.0, 10.0, "starts at the end"),
        Cue(70.0, 71.0, "of another film"),
    ]
    table, summary = timed_text_per_shot(cues, shots_of([0.0, 2.0, 5.0, 5.3, 8.0, 9.0]))
    assert table.schema == SHOT_TEXT_SCHEMA
    assert table["text"].to_pylist() == [
        "runs into it lingers over a cut spans two",
        "spans two",
        "half and half, nearly without length",
        None,
        "runs past the end",
    ]
    assert table["cues"].to_pylist() == [3, 1, 2, 0, 1]
    assert summary == (9, 6, 2, 1, 4, 0)


@pytest.mark.timeout(120)  # detects excessive time and memory
@pytest.mark.parametrize(("cues", "length"), [(50_000, 1), (20, 9_000)])
def test_cues_that_cover_everything_are_refused(cues: int, length: int) -> None:
    everywhere = [Cue(0.0, 9e9, "x" * length)] * cues
    with pytest.raises(TitleError, match=f"film: {cues} cues cover .* correct the ends"):
        timed_text_per_shot(everywhere, shots_of(np.arange(0.0, 1001.0).tolist()))


def test_no_cues() -> None:
    table, summary = timed_text_per_shot([], shots_of([0.0, 2.0, 5.0]))
    assert table.schema == SHOT_TEXT_SCHEMA
    assert table["text"].to_pylist() == [None, None]
    assert table["cues"].to_pylist() == [0, 0]
    assert summary == (0, 0, 0, 0, 0, None)


def test_elephants_dream_starts_with_the_shot_on_screen_at_15_seconds(shared_media: Path) -> None:
    path = shared_media / "elephants_dream" / "captions.en.vtt"
    cues = read_side_file(TitleFile.at(path), "en").cues
    shots = shots_of([0.0, 14.0, 17.0, 22.0, 40.0, 71.9])
    _, summary = timed_text_per_shot(cues, shots)
    assert summary.first_captioned_shot == 1
    assert summary.cues_past_end > 0
    assert summary.cues_used == summary.cues_read - summary.cues_past_end


times = st.floats(0.0, 120.0)


@given(
    st.lists(st.floats(0.04, 9.0), min_size=1, max_size=30),
    st.lists(st.tuples(times, st.floats(0.0, 12.0)), max_size=30),
)
def test_each_cue_within_the_title_has_overlapping_shots_only(
    lengths: list[float], spans: list[tuple[float, float]]
) -> None:
    edges = [0.0, *np.cumsum(lengths).tolist()]
    cues = [Cue(start, start + length, f"<{n}>") for n, (start, length) in enumerate(sorted(spans))]
    table, summary = timed_text_per_shot(cues, shots_of(edges))
    past_end = [cue for cue in cues if cue.start_s >= edges[-1]]
    assert summary.cues_past_end == len(past_end)
    assert summary.cues_used == len(cues) - len(past_end)
    for row, (start, end) in enumerate(pairwise(edges)):
        words = (table["text"][row].as_py() or "").split()
        assert len(words) == table["cues"][row].as_py()
        assert words == sorted(words, key=lambda word: int(word[1:-1]))
        for word in words:
            cue = cues[int(word[1:-1])]
            assert cue.start_s < end
            assert cue.end_s >= start


def test_substation_times_without_a_fraction(read: Read) -> None:
    text = "[Script Info]\n[Events]\nDialogue: 0,0:00:01,0:00:02,Default,,0,0,0,,Back\n"
    assert read(text, "captions.ass") == [Cue(1.0, 2.0, "Back")]
