"""Purposes of the tracks of a media file: commentary, audio description, forced and so on.

A purpose is read from the container's flags (libav's dispositions) and from the track's name. Many
programs write only one of the two, so either is sufficient.
"""

import re
import unicodedata
from typing import Any, NamedTuple


class TrackPurposes(NamedTuple):
    """Purposes in a track's flags or name.

    Attributes:
        commentary: people talk about the title.
        described: audio description: a narrator describes the pictures.
        incomplete: audio without speech: music and effects, an isolated score.
        forced: subtitles that translate only speech foreign to the main audio.
        hearing_impaired: subtitles that describe sounds as well.
        extra_picture: video beside the film: a cover, sign language, chapter thumbnails.
    """

    commentary: bool = False
    described: bool = False
    incomplete: bool = False
    forced: bool = False
    hearing_impaired: bool = False
    extra_picture: bool = False


ATTACHED = ("attached_pic", "timed_thumbnails", "still_image")
"""Flags of streams that hold still images about the film."""

_FLAGS = {
    "commentary": ("comment",),
    "described": ("visual_impaired", "descriptions"),
    "incomplete": ("clean_effects", "karaoke"),
    "forced": ("forced",),
    "hearing_impaired": ("hearing_impaired", "captions"),
    "extra_picture": ATTACHED,
}
# Whole words of the case-folded name, in languages in which films are often published.
_WORDS = {
    "commentary": (
        r"commentar(?:y|ies)|(?:director|writer|producer|cast|crew|actor)\w*'?s? comments?|"
        r"commentaires?|comentários?|comentarios?|comment[oi]|commentaar|commentaarspoor|"
        r"\w*kommentar\w*|kommentti\w*|komentarz\w*|komentář\w*|komentár\w*|комментари\w*|"
        r"коментар\w*|yorumlu|σχόλια"
    ),
    "described": (
        r"audio[ -]?descri\w+|audio[ -]?deskri\w+|descriptive|described|descriptions|dvs|"
        r"hörfilm\w*|visual(?:ly)?[ -]impair\w*|vision[ -]impair\w*|for the blind|malvoyants?|"
        r"aveugles|ciegos|non vedenti|cegos|sehbehindert\w*|für blinde|syntolk\w*|synstolk\w*|"
        r"synsfortolk\w*|kuvailutulk\w*|тифлокоммент\w*"
    ),
    "incomplete": (
        r"m ?& ?e|music (?:and|&) effects|(?:music|score)[ -]only|"
        r"isolated (?:\w+ )?(?:score|music)|isolierte\w* (?:film)?(?:score|musik)|clean effects|"
        r"karaoke|instrumental"
    ),
    "forced": (
        r"forced|forcé[es]{0,2}|forzad[oa]s?|forzat[oiae]|forzosos?|forçad[oa]s?|erzwungen\w*|"
        r"geforceerd\w*|gedwongen|wymuszon\w*|vynucen\w*|tvungen\w*|tvingad\w*|pakotet\w*|"
        r"kényszerít\w*|zorunlu|форсирован\w*|принудительн\w*|"
        r"foreign (?:parts?|dialogue?|language)(?: only)?|signs ?(?:and|&|/|\+) ?songs|signs only"
    ),
    "hearing_impaired": (
        r"sdh|hoh|closed[ -]captions?|closed captioned|hard[ -]of[ -]hearing|"
        r"hearing[ -]impair\w*|for the deaf|sourds|malentendants?|hörgeschädigt\w*|gehörlos\w*|"
        r"sordos|sordi|non udenti|surdos|slechthorend\w*|doven|hörselskad\w*|hørehæmm\w*|"
        r"hørselshemm\w*|kuulovamm\w*|niesłysząc\w*|neslyšíc\w*|глух\w*|слабослыш\w*"
    ),
    "extra_picture": (
        r"cover(?:[ .]?(?:art|jpg|png))?|poster|thumbnails?|album art|artwork|sign language|"
        r"gebärden\w*|langue des signes|lengua de (?:signos|señas)"
    ),
}
# Terms in scripts that do not separate words by spaces.
_PARTS = {
    "commentary": "コメンタリー|评论|評論|코멘터리",
    "described": "音声ガイド|音声解説|口述影像|화면해설",
    "forced": "强制|強制",
    "hearing_impaired": "聴覚障害|听障|聽障|청각",
}
# Abbreviations that would be words, or language codes, in lower case.
_CAPITALS = {"described": "AD", "forced": "FN", "hearing_impaired": "CC|HI|SME"}
_NOT_NEGATED = "".join(
    rf"(?<!\b{word}[ -])" for word in ("non", "not", "no", "without", "ohne", "sans", "sin")
)


def _pattern(purpose: str) -> re.Pattern[str]:
    words = rf"{_NOT_NEGATED}\b(?:{_WORDS[purpose]})\b"
    return re.compile(f"{words}|{_PARTS[purpose]}" if purpose in _PARTS else words)


_NAMED = {purpose: _pattern(purpose) for purpose in _FLAGS}
_ABBREVIATED = {
    purpose: re.compile(rf"{_NOT_NEGATED}\b(?:{letters})\b")
    for purpose, letters in _CAPITALS.items()
}


def purposes_of(stream: Any) -> TrackPurposes:
    """Return the purposes in a track's flags or name.

    Args:
        stream: a stream of an open container. Its name is the tag `title`, in MP4 also
            `handler_name`.
    """
    name = " / ".join(stream.metadata.get(key, "") for key in ("title", "handler_name"))
    name = unicodedata.normalize("NFC", name)
    folded = name.casefold()
    return TrackPurposes(
        **{
            purpose: has_flag(stream, *flags)
            or _NAMED[purpose].search(folded) is not None
            or (purpose in _ABBREVIATED and _ABBREVIATED[purpose].search(name) is not None)
            for purpose, flags in _FLAGS.items()
        }
    )


def has_flag(stream: Any, *dispositions: str) -> bool:
    """Return True if the container marks a stream with one of libav's dispositions."""
    kinds = stream.disposition.__class__
    return any(kinds[name] in stream.disposition for name in dispositions)
