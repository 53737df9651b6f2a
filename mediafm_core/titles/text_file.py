"""Text files written by all kinds of programs: captions and tables."""

from collections.abc import Sequence

from mediafm_core.errors import TitleError
from mediafm_core.titles.encoding_detection import DecodedText, UnknownEncodingError, decode
from mediafm_core.titles.title_file import TitleFile


def read_text(file: TitleFile, max_bytes: int, languages: Sequence[str] = ()) -> DecodedText:
    """Read a text file in Unicode or in an older encoding of its language.

    Args:
        file: the open file.
        max_bytes: largest size.
        languages: primary tags (`ru`) of the languages it may be in, the likeliest first; they
            decide between encodings older than Unicode.

    Returns:
        The text, with lines that end in a line feed. A damaged byte costs one letter.

    Raises:
        TitleError: the file cannot be read, is larger than `max_bytes`, or no encoding fits.
    """
    data = file.read_bytes(max_bytes)
    try:
        text, encoding, damaged = decode(data, languages)
    except UnknownEncodingError as error:
        raise TitleError(
            f"{file} reads well in no encoding that was tried ({error}): save it as UTF-8."
        ) from None
    return DecodedText(text.replace("\r\n", "\n").replace("\r", "\n"), encoding, damaged)
