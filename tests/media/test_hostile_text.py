"""Captions made to consume time or memory are read, or refused in one sentence, quickly."""

from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.media.cue_text import plain_subrip, plain_substation, plain_webvtt
from mediafm_core.media.subtitles import read_side_file
from mediafm_core.titles.title_file import TitleFile

# The sizes make quadratic code take hours; the timeout detects it.
pytestmark = pytest.mark.timeout(300)

MEGA = 1 << 20
TIMES = "00:00:01,000 --> 00:00:02,000\n"
WEBVTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n"
EVENT = "[Script Info]\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{",
            "}",
            "{}",
            "{\\",
            "\\{",
            "{\\an8",
            "<",
            "<a",
            "< ",
            "</",
            "<i",
            "<font ",
            "<c ",
            "<br",
        ),
        *("&", "&a", "&#9", "&#x", "\\", "\\N", "C:\\a", "--", "-->", " ", "\t", "\x00", "\u202e"),
        *("9", "1:", "00:00:01,000 --> ", "[", "[a", "Dialogue:", ","),
    ],
)
@pytest.mark.parametrize("plain", [plain_subrip, plain_webvtt, plain_substation])
def test_plain_text_takes_linear_time(plain, text: str) -> None:
    repeated = text * (MEGA // 4 // len(text))
    assert len(plain(repeated)) <= len(repeated)
    assert len(plain("<" + repeated)) <= len(repeated) + 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1\n" + TIMES + "{" * MEGA, "a cue of 1048576 characters, more than 10000"),
        (WEBVTT + "<" * MEGA, "a cue of 1048576 characters"),
        (EVENT + "{" * MEGA, "a cue of 1048576 characters"),
        ((TIMES + "x\n") * 100_001, "line 200001: the file has more than 100000 cues"),
        (WEBVTT + "00:01.000 --> 00:02.000\n" * 100_001, "more than 100000 cues"),
        ("[Script Info]\n" + EVENT.split("\n")[2].join("\n" for _ in range(100_002)), "100000 Dia"),
        ("\n" * 1_000_001, "has more than 1000000 lines"),
        ("1:1-->\n" * 300_000, "line 1: '1:1-->' is not a start and an end time"),
        ("1\n" + "9" * MEGA + ":00 -->\n", "line 2: '9999"),
        ("1\n" + TIMES.strip() + " " * MEGA + "\n", "has times for 1 cues and no text"),
        ("1\n" + "\x00" * MEGA, "holds no cue"),
        ("[" + "a" * MEGA, "holds no cue"),
        ("[Script Info]\n[" + "a" * MEGA, None),
        ("WEBVTT\n\n" + "a\n" * (MEGA // 2), "line 3: 'a' has no times"),
        ("\u202e" * MEGA, "holds no cue"),
    ],
)
def test_a_hostile_file(tmp_path: Path, content: str, said: str | None) -> None:
    path = tmp_path / "film.srt"
    path.write_text(content)
    if said is None:
        assert read_side_file(TitleFile.at(path), "en").cues == ()
        return
    with pytest.raises(TitleError) as raised:
        read_side_file(TitleFile.at(path), "en")
    assert said in str(raised.value)
    assert len(str(raised.value)) - len(str(path)) < 250


@pytest.mark.parametrize("case", ["many_braces_srt", "many_brackets_vtt"])
def test_hostile_cases(shared_cases: Path, case: str) -> None:
    (path,) = (shared_cases / "hostile" / "inbox" / case).glob("film.en.*")
    with pytest.raises(TitleError, match=r"a cue of .* characters, more than 10000"):
        read_side_file(TitleFile.at(path), "en")
