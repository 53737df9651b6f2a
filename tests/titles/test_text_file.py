import codecs
from pathlib import Path

import pytest

from mediafm_core.errors import TitleError
from mediafm_core.titles.text_file import read_text
from mediafm_core.titles.title_file import TitleFile

TEXT = "1\n00:00:01,000 --> 00:00:02,000\nCafé à la crème, ça coûte 5 £\n"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"", "latin-1"),
        (b"", "cp1252"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path: Path, mark: bytes, encoding: str, line_end: str) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes(mark + TEXT.replace("\n", line_end).encode(encoding))
    assert read_text(TitleFile.at(path), 1 << 20).text == TEXT


def test_windows_quotes(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes("“naïve” – 5 €".encode("cp1252"))
    assert read_text(TitleFile.at(path), 1 << 20).text == "“naïve” – 5 €"


def test_east_asian_utf16(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes(("1\n00:00:01,000 --> 00:00:02,000\n" + "日本語" * 9).encode("utf-16-le"))
    assert read_text(TitleFile.at(path), 1 << 20) == (
        "1\n00:00:01,000 --> 00:00:02,000\n" + "日本語" * 9,
        "utf-16-le",
        0,
    )


def test_the_language_decides_between_legacy_encodings(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes("Да!".encode("cp1251"))
    assert read_text(TitleFile.at(path), 1 << 20, ["ru"]).text == "Да!"


def test_a_file_that_fits_no_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes("Да!".encode("cp1251"))
    with pytest.raises(TitleError, match=r"captions\.srt fits no .*save it as UTF-8") as at:
        read_text(TitleFile.at(path), 1 << 20)
    assert "(utf-8, utf-16, cp1252)" in str(at.value)


def test_absurd_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.srt"
    path.write_bytes(b"a" * ((1 << 20) + 1))
    with pytest.raises(TitleError, match="larger than 1 MiB"):
        read_text(TitleFile.at(path), 1 << 20)
