"""Side files in SubRip, WebVTT and SubStation, in every encoding, and refusals of broken ones."""

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest
from subrip import SRT, SRT_CUES

from mediafm_core.errors import TitleError
from mediafm_core.media.subtitles import Cue, read_side_file
from mediafm_core.titles.title_file import TitleFile

Read = Callable[..., list[Cue]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: str | bytes, name: str = "captions.en.srt") -> list[Cue]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_side_file(TitleFile.at(path), "en").cues)

    return write_and_read


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


def test_substation_times_without_a_fraction(read: Read) -> None:
    text = "[Script Info]\n[Events]\nDialogue: 0,0:00:01,0:00:02,Default,,0,0,0,,Back\n"
    assert read(text, "captions.ass") == [Cue(1.0, 2.0, "Back")]
