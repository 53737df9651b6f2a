"""Text files written by all kinds of programs: captions and tables."""

import codecs
from typing import NamedTuple

from mediafm_core.errors import TitleError
from mediafm_core.titles.own_file import OwnFile

# The longer mark first: UTF-32 LE begins with the mark of UTF-16 LE.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PROBED_BYTES = 4096
# In UTF-16 every ASCII character (line ends, digits, punctuation) has a zero byte on one side.
_ZERO_SHARE_OF_UTF16 = 0.2


class DecodedText(NamedTuple):
    """A text file's content, lines ending in a line feed, and the encoding it was in."""

    text: str
    encoding: str


def read_text(file: OwnFile, max_bytes: int) -> DecodedText:
    """Read a text file in UTF-8, UTF-16 (with or without byte order mark) or Latin-1.

    Latin-1 is read as Windows-1252, its superset for text: a file that is not valid UTF-8 and has
    no bytes that Windows-1252 leaves undefined. The order is fixed and nothing is guessed from
    statistics, so the same file always reads the same.

    Raises:
        TitleError: the file cannot be read, is larger than `max_bytes` or in no such encoding.
    """
    data = file.read_bytes(max_bytes)
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise TitleError(
            f"{file} is neither UTF-8, UTF-16 nor Latin-1 text: save it as UTF-8."
        ) from None
    return DecodedText(text.replace("\r\n", "\n").replace("\r", "\n"), encoding)


def _encoding(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    probed = data[:_PROBED_BYTES]
    for encoding, zeros in (
        ("utf-16-le", probed[1::2].count(0)),
        ("utf-16-be", probed[0::2].count(0)),
    ):
        if zeros > _ZERO_SHARE_OF_UTF16 * len(probed) / 2:
            return encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
