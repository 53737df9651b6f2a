"""Detection of a text file's encoding: byte order mark, UTF-8, legacy encodings of its language.

A file in UTF-8 with a few invalid bytes is read as UTF-8; each such byte becomes U+FFFD. Legacy
encodings are tried for the languages that the file may be in, and scored by how well the decoded
letters fit the language. Without a usable language, the statistics of charset-normalizer have to
agree. An ambiguous file is refused. The same bytes and languages always give the same text.
"""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from mediafm_core.titles.writing_systems import WRITING_SYSTEMS, WritingSystem, writing_systems_of

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
_ISO_2022_JP = b"\x1b$"  # escape sequence to double bytes; a seven-bit encoding

_REPLACEMENT = "\ufffd"
_MAX_DAMAGED_SHARE = 0.05  # of the characters beyond ASCII
_SAMPLE_BYTES = 8 << 10
_MIN_FIT = 0.85
_CLEAR_FIT = 0.95
_ENOUGH_LETTERS = 30  # letters needed for another language to overrule the title's
_ENOUGH_CHARACTERS = 5  # characters of which one must be among the commonest
_CLEAR_LEAD = 0.05
_RANK_PENALTY = 0.002  # subtracted from an encoding's score for each place in its list
_MIN_SHARE_OF_OWN_SCRIPT = 0.3
_MAX_SHARE_OF_WORDS_WITHOUT_ASCII = 0.2
# Non-ASCII characters that are not letters and may occur in any text.
_PUNCTUATION = frozenset(
    "’‘“”„‚«»‹›–—…•·¿¡§°€£¥©®™♪♫´½¼¾²³¹±×÷¢¤¦¨¬¯¶¸†‡‰ˆƒ\xa0\xad"
    "，。、？！：；「」『』（）《》〈〉【】～　・ー"
    "\u200c\u200d\u200e\u200f"
)
_SIGNS = frozenset("µª")  # signs that Unicode classifies as letters
_AFTER_A_LETTER = re.compile(
    r"(?<=[^\W\d_])[¿¡¢£€¤¥¦¨¬¯±¸¹²³¼½¾×÷‚„‹†‡‰ˆƒ]|(?<=[^\W\d_])°(?=[^\W\d_])"
    r"|(?<=[^\W\da-zA-Z_])¶|¶(?=[^\W\da-zA-Z_])"
)
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_LINE_ENDS = re.compile(rb"[\r\n]+")
_BEFORE, _AFTER = 256, 1024  # bytes of a line kept around a non-ASCII one
_WORD = re.compile(r"[^\W\d_]+")
_CHINESE = re.compile(r"[\u3400-\u9fff\uff10-\uff5a]")
_SCRIPTS = {
    "zh": _CHINESE,
    "ja": re.compile(r"[\u3041-\u30ff\u4e00-\u9fff\uff10-\uff5a]"),
    "ko": re.compile(r"[\uac00-\ud7a3\uff10-\uff5a]"),
}


class DecodedText(NamedTuple):
    """Decoded text, its encoding, and the number of U+FFFD characters for damaged bytes."""

    text: str
    encoding: str
    damaged: int = 0


class UnknownEncodingError(Exception):
    """No encoding fits the bytes; the message lists the encodings that were tried."""


def decode(data: bytes, languages: Sequence[str] = ()) -> DecodedText:
    """Decode the bytes of a text file.

    Args:
        data: the whole file.
        languages: primary tags (`ru`) of the languages it may be in, the likeliest first.

    Raises:
        UnknownEncodingError: no encoding fits, or several do.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            found = _decoded(data, encoding)
            if 2 * found.damaged > len(found.text):
                raise UnknownEncodingError(encoding)
            return found
    if (unicode := _without_mark(data)) is not None:
        return unicode
    return _legacy(data, languages)


def _without_mark(data: bytes) -> DecodedText | None:
    """Decode Unicode without a byte order mark, or ISO 2022; None if the data is neither."""
    probed = data[:_PROBED_BYTES]
    for encoding, zeros in (
        ("utf-16-le", probed[1::2].count(0)),
        ("utf-16-be", probed[0::2].count(0)),
    ):
        if zeros > _ZERO_SHARE_OF_UTF16 * len(probed) / 2:
            found = _decoded(data, encoding)
            if found.damaged <= _MAX_DAMAGED_SHARE * len(found.text):
                return found
    if data.isascii() and _ISO_2022_JP in data:
        found = _decoded(data, "iso2022_jp")
        if not found.damaged:
            return found
    found = _decoded(data, "utf-8")
    # Letters in other encodings rarely form valid UTF-8 sequences: half valid is evidence enough.
    return found if 2 * found.damaged <= _beyond_ascii(found.text) else None


def _legacy(data: bytes, languages: Sequence[str]) -> DecodedText:
    """Decode the data in the best legacy encoding.

    Raises:
        UnknownEncodingError: none fits.
    """
    samples = _DecodedSamples(data)
    encodings = [encoding for language in languages for encoding in samples.encodings_of(language)]
    encodings += filter(None, [_encoding_of_any_language(samples, languages)])
    for encoding in encodings:
        found = _decoded(data, encoding)
        if found.damaged <= _MAX_DAMAGED_SHARE * _beyond_ascii(found.text):
            return found
    raise UnknownEncodingError(", ".join(("utf-8", "utf-16", *samples.tried(languages))))


def _encoding_of_any_language(samples: "_DecodedSamples", languages: Sequence[str]) -> str | None:
    """Return the encoding on which any language and charset-normalizer agree; None if unsure.

    Windows-1252, by far the most common, needs no agreement if a western language fits it.
    """
    from charset_normalizer import from_bytes

    best = samples.best()
    if samples.fits_western(_CLEAR_FIT) or (not best and samples.fits_western(_MIN_FIT)):
        return "cp1252"
    guess = from_bytes(samples.sample).best()
    if best and guess:
        text = max(best, key=lambda each: best[each][0])
        if text == samples.sample.decode(guess.encoding, "replace"):
            return best[text][1]
    # English texts hold letters of many languages, so English is tried last.
    is_western = not best or any(
        writing.encodings[0] == "cp1252"
        for name in languages
        for writing in writing_systems_of(name)
    )
    return "cp1252" if is_western and samples.fits("en", "cp1252") else None


class _DecodedSamples:
    """The non-ASCII lines of a file, decoded in one encoding after another; results are cached."""

    def __init__(self, data: bytes) -> None:
        self.sample = b"\n".join(_lines_beyond_ascii(data))
        self._decoded: dict[str, _DecodedSample] = {}

    def __getitem__(self, encoding: str) -> "_DecodedSample":
        if encoding not in self._decoded:
            self._decoded[encoding] = _DecodedSample.of(self.sample.decode(encoding, "replace"))
        return self._decoded[encoding]

    def encodings_of(self, language: str) -> list[str]:
        """Return the encodings of a language that fit well, best first.

        The list is empty if encodings of other languages fit far better: the file is then in
        another language. It is also empty if the best encoding is not the language's usual one
        and a western language fits Windows-1252. English gives no evidence and is handled in
        `_encoding_of_any_language`.
        """
        if language == "en":
            return []
        scored = [
            (fit + common - _RANK_PENALTY * rank, encoding, writing.is_latin)
            for rank, (writing, encoding, fit, common) in enumerate(self._scores(language))
            if fit >= _MIN_FIT and (rank == 0 or self[encoding].letters)
        ]
        scored.sort(key=lambda each: -each[0])
        if scored:
            score, encoding, is_latin = scored[0]
            decoded = self[encoding]
            is_usual = encoding == writing_systems_of(language)[0].encodings[0]
            if is_latin and not is_usual and self.fits_western(_CLEAR_FIT):
                return []
            if not is_latin and decoded.letters.total() >= _ENOUGH_LETTERS:
                best = self.best()
                text = max(best, key=lambda each: best[each][0], default=decoded.text)
                if text != decoded.text and best[text][0] > score + _CLEAR_LEAD:
                    return []
        return [encoding for _, encoding, _ in scored]

    def best(self) -> dict[str, tuple[float, str]]:
        """Return the texts that clearly fit a language other than English: best score, encoding."""
        best: dict[str, tuple[float, str]] = {}
        for language in (*WRITING_SYSTEMS, "sr"):
            for _, encoding, fit, common in self._scores(language):
                if fit >= _CLEAR_FIT and language != "en" and self[encoding].letters:
                    text = self[encoding].text
                    score, first = best.get(text, (0.0, encoding))
                    best[text] = max(score, fit + common), first
        return best

    def fits(self, language: str, encoding: str, least: float = _MIN_FIT) -> bool:
        """Return True if a language fits an encoding by at least `least`."""
        return any(fit >= least for _, each, fit, _ in self._scores(language) if each == encoding)

    def fits_western(self, least: float) -> bool:
        """Return True if a language other than English fits Windows-1252."""
        western = [name for name, each in WRITING_SYSTEMS.items() if each.encodings[0] == "cp1252"]
        return any(self.fits(name, "cp1252", least) for name in western if name != "en")

    def tried(self, languages: Sequence[str]) -> list[str]:
        """Return the legacy encodings of languages, for an error message."""
        of_languages = [
            encoding
            for language in languages
            for writing in writing_systems_of(language)
            for encoding in writing.encodings
        ]
        return list(dict.fromkeys((*of_languages, "cp1252")))

    def _scores(self, language: str) -> Iterator[tuple[WritingSystem, str, float, float]]:
        for writing in writing_systems_of(language):
            for encoding in writing.encodings:
                yield writing, encoding, *self[encoding].score(writing, _SCRIPTS.get(language))


@dataclass(frozen=True, slots=True)
class _DecodedSample:
    """A decoded text, and the counts by which its encoding is scored.

    Attributes:
        text: as decoded.
        letters: counts of non-ASCII letters, in lower case.
        mixed: counts of those in words that also have ASCII letters.
        ascii_letters: number of ASCII letters.
        words: number of words with non-ASCII letters.
        foreign_words: number of those with two letters or more and no ASCII letter.
        wrong: number of characters that no text has in their place: control characters, symbols
            inside words, capitals after lower-case letters.
    """

    text: str
    letters: Counter[str]
    mixed: Counter[str]
    ascii_letters: int
    words: int
    foreign_words: int
    wrong: int

    @classmethod
    def of(cls, text: str) -> "_DecodedSample":
        """Count the letters and words of a text."""
        letters: Counter[str] = Counter()
        mixed: Counter[str] = Counter()
        ascii_letters = words = foreign_words = capitals = 0
        for found in _WORD.finditer(text):
            word = found[0]
            in_ascii = sum(map(str.isascii, word))
            ascii_letters += in_ascii
            if in_ascii == len(word):
                continue
            beyond = [
                _small(each)
                for each in word
                if not each.isascii() and each.isalpha() and each not in _SIGNS
            ]
            letters.update(beyond)
            words += 1
            if in_ascii:
                mixed.update(beyond)
            elif len(word) > 1:
                foreign_words += 1
            capitals += sum(a.islower() and b.isupper() for a, b in pairwise(word))
        others = Counter(
            character for character in text if not character.isascii() and not character.isalpha()
        )
        marks = {each: n for each, n in others.items() if unicodedata.category(each) == "Mn"}
        letters.update(marks)
        wrong = sum(
            n for each, n in others.items() if each not in _PUNCTUATION and each not in marks
        )
        return cls(
            text,
            letters,
            mixed,
            ascii_letters,
            words,
            foreign_words,
            wrong + capitals + len(_AFTER_A_LETTER.findall(text)),
        )

    def score(
        self, writing: WritingSystem, script: re.Pattern[str] | None = None
    ) -> tuple[float, float]:
        """Score the text for a writing system.

        Returns:
            The fraction of non-ASCII characters that belong to it, and how common these letters
            are in the language, both 0 to 1.
        """
        total = self.letters.total()
        if writing.is_latin:
            own = {letter: self.letters[letter] for letter in writing.letters}
            if self.foreign_words > _MAX_SHARE_OF_WORDS_WITHOUT_ASCII * self.words:
                return 0.0, 0.0
        else:
            wanted = script.findall("".join(self.letters)) if script else writing.letters
            own = {letter: self.letters[letter] - self.mixed[letter] for letter in wanted}
            if total < _MIN_SHARE_OF_OWN_SCRIPT * (total + self.ascii_letters) or not total:
                return 0.0, 0.0
        fitting = sum(own.values())
        measured = total + self.wrong
        if script and total >= _ENOUGH_CHARACTERS and not any(map(own.get, writing.letters)):
            return 0.0, 0.0  # only rare characters
        if not measured:  # nothing but punctuation
            return 1.0, 0.0
        if writing.is_latin or not fitting:
            return fitting / measured, 0.0
        count = len(writing.letters)
        common = sum(
            own.get(letter, 0) * (1.0 if script else 1.0 - rank / count)
            for rank, letter in enumerate(writing.letters)
        )
        return fitting / measured, common / fitting


def _small(letter: str) -> str:
    return "ı" if letter == "İ" else letter.lower()  # lower() makes two characters of it


def _decoded(data: bytes, encoding: str) -> DecodedText:
    text = data.decode(encoding, "replace")
    damaged = text.count(_REPLACEMENT)
    if damaged and encoding.startswith("utf"):  # the file itself may contain U+FFFD
        damaged -= data.decode(encoding, "ignore").count(_REPLACEMENT)
    return DecodedText(text, encoding, damaged)


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))


def _lines_beyond_ascii(data: bytes) -> Iterator[bytes]:
    """Yield the first lines with non-ASCII bytes, long ones cut, up to the size of a sample."""
    end = size = 0
    while size < _SAMPLE_BYTES and (found := _BEYOND_ASCII.search(data, end)):
        first = found.start()
        head = _LINE_ENDS.split(data[max(end, first - _BEFORE) : first])[-1]
        tail = _LINE_ENDS.split(data[first : first + _AFTER], 1)[0]
        yield head + tail
        end = first + len(tail)
        size += len(head) + len(tail)
