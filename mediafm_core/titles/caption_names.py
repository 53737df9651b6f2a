"""Language and purpose of captions, parsed from the file name.

Media servers (Plex, Jellyfin, Emby, Kodi) and download tools append words to the name of the media
file: `film.en.forced.srt`, `film.pt-BR.srt`, `Film (2010).English [SDH].srt`, `film_en.srt`.
"""

import re
from pathlib import PurePath
from typing import Literal, NamedTuple

from mediafm_core.titles.language import primary_language

CaptionPurpose = Literal["full", "hearing_impaired", "forced", "commentary", "no_captions"]
"""Purpose of captions.

`full`: all speech. `hearing_impaired`: all speech, and sounds. `forced`: only speech foreign to the
main audio, and signs. `commentary`: a commentator's speech. `no_captions`: timed data of another
kind, such as chapters or a storyboard.
"""


class CaptionName(NamedTuple):
    """Language (BCP 47 or ISO 639 tag, None if the name has none) and purpose of captions."""

    language: str | None
    purpose: CaptionPurpose


def _set_of(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_NO_CAPTIONS = _set_of(
    "chapter chapters description descriptions metadata sprite sprites storyboard storyboards",
    "thumb thumbs thumbnail thumbnails",
)
_COMMENTARY = _set_of(
    "comment comments commentary commentaries commentaire commentaires kommentar comentario",
    "comentarios",
)
_FORCED = _set_of("forced foreign signs songs forcé forcés forcee forces forzado forzados forzati")
_HEARING_IMPAIRED = _set_of(
    "sdh cc hoh hearing impaired deaf sourds malentendants gehörlose hörgeschädigte"
)
_FULL = _set_of("full complete dialog dialogue")
# Words that may stand between the words for language and purpose.
_FILLERS = _FULL | _set_of(
    "auto caption captions default for of orig original sub subs subtitle subtitles the utf8"
)
_KIND_WORDS = _NO_CAPTIONS | _COMMENTARY | _FORCED | _HEARING_IMPAIRED | _FILLERS
# `hi` is the code of Hindi; beside another language it means "hearing impaired".
_HINDI_OR_IMPAIRED = "hi"

# Codes in use that are not valid tags, or that are officially of languages without films.
_CODES = {
    **{"chs": "zh-Hans", "zhs": "zh-Hans", "sc": "zh-Hans", "gb": "zh-Hans", "cn": "zh"},
    **{"cht": "zh-Hant", "zht": "zh-Hant", "tc": "zh-Hant", "jp": "ja", "kr": "ko"},
    **{"cz": "cs", "dk": "da", "gr": "el", "ua": "uk", "pb": "pt-BR", "pob": "pt-BR"},
    **{"ptbr": "pt-BR", "spl": "es-419", "scc": "sr", "scr": "hr"},
}
_NAMES = {
    name: tag
    for tag, names in {
        "af": "afrikaans",
        "ar": "arabic العربية",
        "be": "belarusian",
        "bg": "bulgarian български",
        "bn": "bengali",
        "bs": "bosnian bosanski",
        "ca": "catalan català",
        "cs": "czech čeština cesky český",
        "cy": "welsh",
        "da": "danish dansk",
        "de": "german deutsch",
        "el": "greek ελληνικά",
        "en": "english",
        "eo": "esperanto",
        "es": "spanish español espanol castilian castellano",
        "es-419": "latino",
        "et": "estonian eesti",
        "eu": "basque euskara",
        "fa": "persian farsi فارسی",
        "fi": "finnish suomi",
        "fil": "filipino tagalog",
        "fr": "french français francais",
        "ga": "irish gaeilge",
        "gl": "galician galego",
        "gu": "gujarati",
        "he": "hebrew עברית",
        "hi": "hindi हिन्दी",
        "hr": "croatian hrvatski",
        "hu": "hungarian magyar",
        "id": "indonesian",
        "is": "icelandic íslenska",
        "it": "italian italiano",
        "ja": "japanese 日本語",
        "kn": "kannada",
        "ko": "korean 한국어",
        "lt": "lithuanian lietuvių",
        "lv": "latvian latviešu",
        "mk": "macedonian македонски",
        "ml": "malayalam",
        "mr": "marathi",
        "ms": "malay",
        "nl": "dutch nederlands",
        "no": "norwegian norsk",
        "pa": "punjabi",
        "pl": "polish polski",
        "pt": "portuguese português portugues",
        "pt-BR": "brazilian brazil brasil",
        "ro": "romanian română",
        "ru": "russian русский",
        "sk": "slovak slovenčina",
        "sl": "slovenian slovene slovenščina",
        "sq": "albanian shqip",
        "sr": "serbian srpski српски",
        "sv": "swedish svenska",
        "sw": "swahili",
        "ta": "tamil",
        "te": "telugu",
        "th": "thai ไทย",
        "tr": "turkish türkçe turkce",
        "uk": "ukrainian українська",
        "ur": "urdu",
        "vi": "vietnamese",
        "yue": "cantonese",
        "zh": "chinese mandarin 中文",
        "zh-Hans": "simplified 简体中文 简体",
        "zh-Hant": "traditional 繁體中文 繁體",
    }.items()
    for name in names.split()
}
_COUNTRY = re.compile(r"(?<![^\W_])([a-z]{2})_([A-Z]{2}|Han[st])(?![^\W_])")  # pt_BR
_PART_ENDS = re.compile(r"[._()\[\]{}]+")
_WORD_ENDS = re.compile(r"[\s,+&]+")
_LONGEST_WORD = 32


def caption_name(file_name: str, media_name: str | None = None) -> CaptionName:
    """Parse the name of a side file: `film.en.hi.srt` is English, hearing impaired.

    Args:
        file_name: of the captions, with its suffix.
        media_name: of the media file beside it. If the captions' name begins with it, only the rest
            is parsed, so that words of the film's name are not mistaken for a language.
    """
    stem = PurePath(file_name).stem
    media = PurePath(media_name).stem if media_name else ""
    rest = stem[len(media) :]
    follows = media and stem.casefold().startswith(media.casefold()) and not rest[:1].isalnum()
    words = _words(rest if follows else stem)
    if not follows:
        words = _known_at_the_end(words)
    return CaptionName(_language(words), purpose_in_words(words))


def purpose_in_words(words: list[str]) -> CaptionPurpose:
    """Return the purpose in the words of a file's or track's name, `full` if there is none."""
    found = {word.casefold() for word in words}
    if found & _NO_CAPTIONS:
        return "no_captions"
    if found & _COMMENTARY:
        return "commentary"
    if found & _FORCED and not found & _FULL:
        return "forced"
    impaired = _HINDI_OR_IMPAIRED in found and _hi_stands_for_impaired(words)
    return "hearing_impaired" if impaired or found & _HEARING_IMPAIRED else "full"


def _known_at_the_end(words: list[str]) -> list[str]:
    """Return the known words at the end of a name."""
    known = 0
    while known < len(words) and _is_known(words[-1 - known]):
        known += 1
    return words[len(words) - known :]


def _words(text: str) -> list[str]:
    """Split a name into words; a tag such as `pt-BR` is one word.

    A language code counts only between dots, underscores or brackets: in a part with other words
    ("Lost in LA", "spider-man") it is replaced by an empty word.
    """
    words: list[str] = []
    for part in _PART_ENDS.split(_COUNTRY.sub(r"\1-\2", text)):
        found: list[str] = []
        for word in _WORD_ENDS.split(part.strip(" -")):
            found += [word] if _is_known(word) else word.split("-")
        found = [word for word in found if word]
        if not all(map(_is_known, found)):
            found = ["" if _is_code(word) else word for word in found]
        words += found
    return words


def _is_known(word: str) -> bool:
    return word.casefold() in _KIND_WORDS or word.isdecimal() or _tag(word) is not None


def _is_code(word: str) -> bool:
    return _tag(word) is not None and word.casefold() not in _NAMES


def _language(words: list[str]) -> str | None:
    """Return the language of the last word that names one, as its most specific tag in the name."""
    tags = [tag for word in words if (tag := _tag(word))]
    if _hi_stands_for_impaired(words):
        tags = [tag for tag in tags if tag.casefold() != _HINDI_OR_IMPAIRED] or tags
    if not tags:
        return None
    same = [tag for tag in tags if primary_language(tag) == primary_language(tags[-1])]
    return max(same, key=len)


def _hi_stands_for_impaired(words: list[str]) -> bool:
    """Return True if `hi` occurs beside another word that names a language."""
    return sum(_tag(word) is not None for word in words) > 1


def _tag(word: str) -> str | None:
    """Return the language tag that a word is or names; None if it is neither."""
    lower = word.casefold()
    named = _NAMES.get(lower) or _CODES.get(lower)
    if named or len(word) > _LONGEST_WORD or lower in _KIND_WORDS:
        return named
    if primary_language(word):
        return word
    primary, hyphen, _ = word.partition("-")  # en-orig
    return primary if hyphen and len(primary) == 2 and primary_language(primary) else None
