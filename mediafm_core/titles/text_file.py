"""Reader of text files in any encoding: captions and tables."""

from collections.abc import Sequence

from mediafm_core.errors import TitleError
from mediafm_core.titles.encoding_detection import DecodedText, UnknownEncodingError, decode
from mediafm_core.titles.title_file import TitleFile


def read_text(file: TitleFile, max_bytes: int, languages: Sequence[str] = ()) -> DecodedText:
    """Read a text file in Unicode or in a legacy encoding of its language.

    Args:
        file: the open file.
        max_bytes: largest size.
        languages: primary tags (`ru`) of the languages it may be in, the most likely first, for
            detecting legacy encodings.

    Returns:
        The text, with lines that end in a line feed. Each damaged byte becomes U+FFFD.

    Raises:
        TitleError: the file cannot be read, is larger than `max_bytes`, or no encoding fits.
    """
    data = file.read_bytes(max_bytes)
    try:
        text, encoding, damaged = decode(data, languages)
    except UnknownEncodingError as error:
        raise TitleError(
            f"{file} fits no encoding that was tried ({error}): save it as UTF-8."
        ) from None
    return DecodedText(text.replace("\r\n", "\n").replace("\r", "\n"), encoding, damaged)
