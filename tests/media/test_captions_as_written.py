"""Captions as people and programs write them, from public bug reports of players and tools."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.media.subtitles import Cue, read_side_file
from mediafm_core.titles.title_file import TitleFile

Read = Callable[..., list[Cue]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: str, name: str = "film.srt") -> list[Cue]:
        path = tmp_path / name
        path.write_bytes(content.encode())
        return list(read_side_file(TitleFile.at(path), "en").cues)

    return write_and_read


def srt(*texts: str) -> str:
    return "\n".join(
        f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},500\n{text}\n" for n, text in enumerate(texts, 1)
    )


def vtt(*texts: str) -> str:
    return "WEBVTT\n\n" + "\n".join(
        f"00:{n:02}.000 --> 00:{n:02}.500\n{text}\n" for n, text in enumerate(texts, 1)
    )


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,{}

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{}
"""

CUE_ENDS = {
    "a blank line inside a text": (
        "1\n00:00:01,000 --> 00:00:02,000\nI'm stuck at work.\n\nTen minutes late.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nIn traffic.\n",
        ["I'm stuck at work. Ten minutes late.", "In traffic."],
    ),
    "a number is the text, a bet in a game": (
        "1\n00:00:01,000 --> 00:00:02,000\n\n500\n\n2\n00:00:03,000 --> 00:00:04,000\nRaise.\n",
        ["500", "Raise."],
    ),
    "a number ends the text": (srt("Room\n101", "Go"), ["Room 101", "Go"]),
    "empty cues whose numbers follow each other": (
        "8\n00:00:01,000 --> 00:00:02,000\nI'm Liza.\n\n9\n00:00:03,000 --> 00:00:04,000\n\n"
        "10\n00:00:05,000 --> 00:00:06,000\n",
        ["I'm Liza."],
    ),
    "empty cues without blank lines": (
        "18\n00:00:01,000 --> 00:00:02,000\nthe\n\n19\n00:00:03,000 --> 00:00:04,000\n"
        "20\n00:00:05,000 --> 00:00:06,000\n21\n00:00:07,000 --> 00:00:08,000\ntower\n",
        ["the", "tower"],
    ),
    "no blank lines at all": (
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["One", "Two"],
    ),
    "no numbers": (
        "00:00:01,000 --> 00:00:02,000\nRoom\n101\n\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["Room 101", "Two"],
    ),
    "every second line is blank": (
        "1\n\n00:00:01,000 --> 00:00:02,000\n\nOne\n\nmore\n\n2\n\n"
        "00:00:03,000 --> 00:00:04,000\n\nTwo\n",
        ["One more", "Two"],
    ),
    "several blank lines, also at the beginning": (
        "\n\n1\n00:00:01,000 --> 00:00:02,000\nOne\n\n\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["One", "Two"],
    ),
    "the same number twice": (
        "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n1\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["One", "Two"],
    ),
    "a file cut off behind a number": (srt("One") + "\n2\n", ["One"]),
    "a countdown at the end": (srt("Countdown\n3\n2"), ["Countdown 3 2"]),
    "two files put together": (
        srt("One") + "\ufeff1\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["One", "Two"],
    ),
    "arabic numbers": (
        "١\n00:00:01,000 --> 00:00:02,000\nOne\n\n٢\n00:00:03,000 --> 00:00:04,000\nTwo\n",
        ["One", "Two"],
    ),
    "blanks around everything": (
        " 1 \n  00:00:01,000 --> 00:00:02,000  \n  One  \n \n\t2\n"
        "00:00:03,000 --> 00:00:04,000\nTwo",
        ["One", "Two"],
    ),
    "text behind the times": ("1\n00:00:01,000 --> 00:00:02,000 Hello\nthere\n", ["Hello there"]),
    "times of something else in a text": (
        srt("Recorded 00:00:05,000 --> 00:00:07,000", "From 00:00:05,000 to 00:00:07,000"),
        ["Recorded 00:00:05,000 --> 00:00:07,000", "From 00:00:05,000 to 00:00:07,000"],
    ),
    "names of sections in a text": (
        srt("[Events]", "[Script Info]"),
        ["[Events]", "[Script Info]"],
    ),
    "an arrow in a text": (srt("A --> B", "3 --> 4"), ["A --> B", "3 --> 4"]),
    "large numbers in a text": (
        srt("<i>Austro-Húngaro:\n1.567.202. </i>"),
        ["Austro-Húngaro: 1.567.202."],
    ),
}


@pytest.mark.parametrize("case", CUE_ENDS)
def test_end_of_a_subrip_cue(read: Read, case: str) -> None:
    content, texts = CUE_ENDS[case]
    assert [cue.text for cue in read(content)] == texts


@pytest.mark.parametrize(
    ("line", "start_s", "end_s"),
    [
        ("00:00:01,000 --> 00:00:02,500", 1.0, 2.5),
        ("00:00:01.000 --> 00:00:02.500", 1.0, 2.5),
        ("00:01,000 --> 00:02,500", 1.0, 2.5),  # without hours
        ("0:0:1,0 --> 0:0:2,5", 1.0, 2.5),
        ("00:00:0,500 --> 00:00:2,00", 0.5, 2.0),
        ("00:00:20 --> 00:00:24", 20.0, 24.0),  # without milliseconds
        ("00:00:01:000 --> 00:00:02:500", 1.0, 2.5),
        ("00:00:01,123456 --> 00:00:02,999999", 1.123, 2.999),
        ("00: 00: 01,000 -> 00: 00: 02,500", 1.0, 2.5),  # translated by a program
        ("00:00:01,000 -- > 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 --&gt; 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 → 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 —> 00:00:02,500", 1.0, 2.5),
        ("00:00:01,000-->00:00:02,500", 1.0, 2.5),
        ("00:00:01,000 --> 00:00:02,500 X1:63 X2:223 Y1:43 Y2:58", 1.0, 2.5),
        ("00:00:01,000 --> 00:00:02,500 align:start position:0%", 1.0, 2.5),
        ("00:00:60,000 --> 00:00:61,500", 60.0, 61.5),
        ("123:00:01,000 --> 123:00:02,500", 442801.0, 442802.5),
        ("-00:00:01,000 --> 00:00:02,500", -1.0, 2.5),
    ],
)
def test_times(read: Read, line: str, start_s: float, end_s: float) -> None:
    assert read(f"1\n{line}\nx\n") == [(start_s, end_s, "x")]
    if "--" in line:
        assert read(f"WEBVTT\n\n{line}\nx\n") == [(start_s, end_s, "x")]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (srt("One") + "\n2\n00:00:aa,000 --> 00:00:09,000\nx\n", "line 6: '00:00:aa,000 --> 00"),
        (srt("One") + "\n2\n00:00:08,000 -->\nx\n", "line 6: '00:00:08,000 -->'"),
        (srt("One") + "\n2\n00:00:08,000 00:00:09,000\nx\n", "line 6: '00:00:08,000 00:00:09,000'"),
        ("1\n00:00:01:12 --> 00:00:02:24\nx\n", "line 2: '00:00:01:12 --> 00:00:02:24' counts fr"),
        ("1\n00:00:01;12 --> 00:00:02;24\nx\n", "line 2: '00:00:01;12 --> 00:00:02;24' counts fr"),
        (f"1\n{'9' * 10_000}:00:01,000 --> 00:00:02,000\nx\n", "line 2: '99999"),
        ("1\n00:00:03,000 --> 00:00:02,000\nBack\n", "line 2: the cue 'Back' ends at 2 s"),
        ("WEBVTT\n\n00:01.000 --> soon\nx\n", "line 3: '00:01.000 --> soon'"),
        ("WEBVTT\n\n00:03.000 --> 00:02.000\nBack\n", "line 3: the cue 'Back' ends at 2 s"),
        ("WEBVTT\n\nHello there\n", "line 3: 'Hello there' has no times"),
        (srt("<i></i>", "{\\an8}"), "has times for 2 cues and no text"),
        (vtt("&nbsp;"), "has times for 1 cues and no text"),
        (ASS.format(20, r"{\p1}m 0 0 l 1 0{\p0}"), "has times for 1 cues and no text"),
        (ASS.format(20, "x").replace("0:00:01.00", "soon"), "line 10: 'Dialogue: 0,soon,"),
        ("{1}{25}MicroDVD", "holds no cue in SubRip, WebVTT or SubStation form"),
        ("<SAMI><BODY><SYNC Start=1>x</BODY></SAMI>", "holds no cue in SubRip"),
        ("just prose", "holds no cue in SubRip"),
    ],
)
def test_unreadable_captions_are_refused_with_the_line(
    read: Read, content: str, named: str
) -> None:
    with pytest.raises(TitleError) as raised:
        read(content)
    message = str(raised.value)
    assert named in message
    assert "film.srt" in message
    assert len(message) - message.index("film.srt") < 250


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            " \n\n",
            "\ufeff",
            "WEBVTT",
            "WEBVTT\n\n",
            "\ufeffWEBVTT - by hand\nKind: captions\n",
        ),
        "WEBVTT\n\nNOTE nothing is said\n\nSTYLE\n::cue { color: red }\n",
        "[Script Info]\n\n[V4+ Styles]\n\n[Events]\n",
        "[Script Info]\n[Events]\nComment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,not shown\n",
    ],
)
def test_an_empty_file_gives_no_cues(read: Read, content: str) -> None:
    assert read(content) == []


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("{music playing}", "{music playing}"),
        ("{\\an8}Up {laughs}{\\i1}here", "Up {laughs}here"),
        ("{\\an8", "{\\an8"),
        ("Tom &amp; Jerry&#39;s &lt;3&nbsp;day", "Tom & Jerry's <3 day"),
        ("&amp;lt;b&amp;gt; &lt;i&gt;", "&lt;b&gt; <i>"),
        ("AT&T, R&B; ?a=1&copy=2 &notit;", "AT&T, R&B; ?a=1&copy=2 &notit;"),
        ("I <3 you, 1 < 2 > 0, a <b and c> d", "I <3 you, 1 < 2 > 0, a <b and c> d"),
        ("<i>It</i> < b >was</ b > <U>me</U>", "It was me"),
        ('<font color="#ff0000" size=2>Red</font>', "Red"),
        ("One<br>two<br />three", "One two three"),
        ("<sighs> <<music>> <ann@example.org>", "<sighs> <<music>> <ann@example.org>"),
        ("<c.yellow>Yellow</c> <v Ann>Hi</v>", "Yellow Hi"),
        ("\\h\\hHello\\Nthere\\h", "Hello there"),
        ("C:\\new\\Nancy is a path", "C:\\new\\Nancy is a path"),
        (
            "\u202eright to left\u202c \u2066isolated\u2069 \u200eA\u200f",
            "right to left isolated A",
        ),
        ("a\x00b\x07c\x85d", "a b c d"),
        ("می\u200cدانم", "می\u200cدانم"),
        ("&#0; &#xD800; &#99999999; &#x110000;", "\ufffd \ufffd &#99999999; \ufffd"),
        ("♪ ~ ♪ - [wind]", "♪ ~ ♪ - [wind]"),
    ],
)
def test_plain_text_of_subrip(read: Read, written: str, plain: str) -> None:
    assert [cue.text for cue in read(srt(written))] == [plain]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("If a &lt; b and c &gt; d then stop", "If a < b and c > d then stop"),
        ("Texas A&amp;M, A&amp M", "Texas A&M, A& M"),
        ("&amp;lt; &gt;&gt; &copy; &deg;", "&lt; >> © °"),
        ("<v Ben &amp; Jerry>We charge 5 &lt; 10 &amp; win</v>", "We charge 5 < 10 & win"),
        ("less or more < > in text", "less or more < > in text"),
        ("bla bla<", "bla bla<"),
        ("I <3 you", "I <3 you"),
        ("<00:00:01.100><c> word</c><00:00:01.200><c> by</c>", "word by"),
        ("<lang en-GB>tap</lang> <ruby>漢<rt>kan</rt></ruby>", "tap 漢kan"),
        ("{music} {\\an8}x", "{music} x"),
    ],
)
def test_plain_text_of_webvtt(read: Read, written: str, plain: str) -> None:
    assert [cue.text for cue in read(vtt(written), "film.vtt")] == [plain]


def test_webvtt_blocks(read: Read) -> None:
    content = """WEBVTT
X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000
00:01.000 --> 00:02.000 size: 50% line:0
first, below the header

NOTE
a comment --> with an arrow
00:03.000 --> 00:04.000
starts a cue, the standard says

intro
00:05.000 --> 00:06.000
with
an identifier
00:07.000 --> 00:08.000
without a blank line
WEBVTT
X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000

7
00:09.000 --> 00:10.000
numbered
8
00:11.000 --> 00:12.000
"""
    assert [(cue.start_s, cue.text) for cue in read(content, "film.vtt")] == [
        (1.0, "first, below the header"),
        (3.0, "starts a cue, the standard says"),
        (5.0, "with an identifier"),
        (7.0, "without a blank line"),
        (9.0, "numbered"),
    ]


def test_webvtt_without_its_signature_is_read_as_subrip(read: Read) -> None:
    content = vtt("Hi &lt;there&gt;").removeprefix("WEBVTT")
    assert [cue.text for cue in read(content, "film.vtt")] == ["Hi <there>"]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (r"{\k20}Kara{\k30}oke{a comment} {\b1}x", "Karaoke x"),
        (r"One\Ntwo\nthree\hfour", "One two three four"),
        (r"\{not an override\}", "{not an override}"),
        ("{never closed", "{never closed"),
        ("<i>kept</i> &amp;", "<i>kept</i> &amp;"),
        ("Second,, with commas", "Second,, with commas"),
    ],
)
def test_text_of_substation(read: Read, written: str, plain: str) -> None:
    assert read(ASS.format("20", written), "film.ass") == [(1.0, 2.5, plain)]
    # An invalid style does not change the text.
    assert read(ASS.format("big", written), "film.ass") == [(1.0, 2.5, plain)]


def test_times_of_substation(read: Read) -> None:
    content = ASS.format(20, "x").replace("0:00:01.00,0:00:02.50", "00:0:1.0,0:00:02")
    assert read(content, "film.ass") == [(1.0, 2.0, "x")]
