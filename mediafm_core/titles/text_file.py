"""Text files written by all kinds of programs: captions and tables."""

from collections.abc import Sequence
from pathlib import Path

from mediafm_core.errors import TitleError
from mediafm_core.titles.encodings import DecodedText, UnknownEncodingError, decode


def read_text(path: Path, max_bytes: int, languages: Sequence[str] = ()) -> DecodedText:
    """Read a text file in Unicode or in an older encoding of its language.

    Args:
        path: of the file.
        max_bytes: largest size.
        languages: primary tags (`ru`) of the languages it may be in, the likeliest first; they
            decide between encodings older than Unicode.

    Returns:
        The text, with lines that end in a line feed. A damaged byte costs one letter.

    Raises:
        TitleError: the file cannot be read, is larger than `max_bytes`, or no encoding fits.
    """
    data = read_bytes(path, max_bytes)
    try:
        text, encoding, damaged = decode(data, languages)
    except UnknownEncodingError as error:
        raise TitleError(
            f"{path} reads well in no encoding that was tried ({error}): save it as UTF-8, or "
            "name its language in the file's name (film.ru.srt)."
        ) from None
    return DecodedText(text.replace("\r\n", "\n").replace("\r", "\n"), encoding, damaged)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """A whole file of bounded size.

    Raises:
        TitleError: the file cannot be read or is larger than `max_bytes`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise TitleError(
            f"{path} cannot be read ({error.strerror}): mend the file or its permissions."
        ) from error
    if len(data) > max_bytes:
        raise TitleError(
            f"{path} is larger than {max_bytes >> 20} MiB, too large for what it should be: "
            "replace it."
        )
    return data
