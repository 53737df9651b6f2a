"""Plain text of cues: the markup of each caption format is removed, everything else is kept.

Every function here takes linear time for any text, hostile text included: no pattern may scan from
one opening bracket past the next.
"""

import html
import re
from html.entities import html5

# Braces that begin with a backslash are a SubStation override, which SubRip files use as well:
# {\an8}. Any other braces in SubRip are text.
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_DRAWING = re.compile(r"\\p[1-9]")
# SubStation line breaks and hard spaces; a Windows path keeps its backslashes.
_BREAK_OR_PATH = re.compile(r"\b[A-Za-z]:\\\S*|\\[Nnh]")
_SUBRIP_TAG = re.compile(
    r"< {0,2}/? {0,2}(?:[ibus]|em|strong|strike|ruby|r[tp]|[cv](?=[.\s>])[^<>]*|lang\b[^<>]*"
    r"|(?:font|span|p|div|a|big|small|center)(?=[\s>])[^<>]*) {0,2}/? {0,2}>|<\d[\d:.]{4,12}>",
    re.IGNORECASE,
)
_SUBRIP_BREAK = re.compile(r"< ?br ?/? ?>", re.IGNORECASE)
# https://www.w3.org/TR/webvtt1/#webvtt-cue-text-tokenizer: a name, classes, an annotation.
_WEBVTT_TAG = re.compile(r"</?(?:[A-Za-z][^<>]*)?>|<\d[\d:.]{4,12}>")
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", re.ASCII
)
# In HTML, and therefore in WebVTT, some character references need no semicolon.
_HTML_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};?)", re.ASCII
)
# Marks of byte order, direction and word joining: invisible, but they would change tokens.
_INVISIBLE = dict.fromkeys(
    map(ord, "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069")
)
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
_UNSEEN = {**_CONTROL, **_INVISIBLE}


def plain_subrip(text: str) -> str:
    """Return the plain text of a SubRip cue, on one line."""
    text = _OVERRIDE.sub("", text)
    text = _SUBRIP_TAG.sub("", _SUBRIP_BREAK.sub(" ", text))
    return one_line(_REFERENCE.sub(_unescaped_whole, _without_breaks(text)))


def plain_webvtt(text: str) -> str:
    """Return the plain text of a WebVTT cue, on one line.

    Tags are removed, then references are decoded once: `&amp;lt;` becomes `&lt;`.
    """
    text = _WEBVTT_TAG.sub("", _OVERRIDE.sub("", _SUBRIP_BREAK.sub(" ", text)))
    return one_line(_HTML_REFERENCE.sub(_unescaped, _without_breaks(text)))


def plain_substation(text: str) -> str:
    """Return the plain text of a SubStation event, on one line; empty for a drawing."""
    parts = []
    position = 0
    while (start := _unescaped_brace(text, position)) >= 0 and (end := text.find("}", start)) >= 0:
        if _DRAWING.search(text, start, end):
            return ""
        parts.append(text[position:start])
        position = end + 1
    text = "".join((*parts, text[position:]))
    text = _without_breaks(text.replace(r"\{", "{").replace(r"\}", "}"))
    return one_line(text)


def one_line(text: str) -> str:
    """Remove invisible characters and collapse white space."""
    return " ".join(text.translate(_UNSEEN).split())


def _unescaped_brace(text: str, position: int) -> int:
    """Return the index of the next unescaped opening brace from `position` on; -1 without one."""
    while (position := text.find("{", position)) > 0 and text[position - 1] == "\\":
        position += 1
    return position


def _without_breaks(text: str) -> str:
    return _BREAK_OR_PATH.sub(lambda found: " " if len(found[0]) == 2 else found[0], text)


def _unescaped_whole(found: re.Match[str]) -> str:
    """Decode a reference by its whole name: `html.unescape` would read `&not` in `&notit;`."""
    whole = found[0]
    return html.unescape(whole) if whole[1] == "#" or whole[1:] in html5 else whole


def _unescaped(found: re.Match[str]) -> str:
    return html.unescape(found[0])
