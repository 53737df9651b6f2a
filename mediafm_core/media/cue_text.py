"""Plain text of cues: markup of each format left out, everything else kept.

Every function here takes time in proportion to its text, whatever the text is: no pattern may scan
on from one bracket over the next.
"""

import html
import re
from html.entities import html5

# A pair of braces with a backslash is an override of SubStation, which SubRip files use as well:
# {\an8}. Any other braces in SubRip are text.
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_DRAWING = re.compile(r"\\p[1-9]")
# Breaks and hard spaces of SubStation; a Windows path keeps its backslashes.
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
# In HTML, and so in WebVTT, some names need no semicolon.
_HTML_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};?)", re.ASCII
)
# Marks of byte order, direction and word joining: they are not seen and would change a token.
_INVISIBLE = dict.fromkeys(
    map(ord, "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069")
)
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
_UNSEEN = {**_CONTROL, **_INVISIBLE}


def plain_subrip(text: str) -> str:
    """Plain text of a SubRip cue, on one line."""
    text = _OVERRIDE.sub("", text)
    text = _SUBRIP_TAG.sub("", _SUBRIP_BREAK.sub(" ", text))
    return one_line(_REFERENCE.sub(_unescaped_whole, _without_breaks(text)))


def plain_webvtt(text: str) -> str:
    """Plain text of a WebVTT cue, on one line: tags left out, then references read, once."""
    text = _WEBVTT_TAG.sub("", _OVERRIDE.sub("", _SUBRIP_BREAK.sub(" ", text)))
    return one_line(_HTML_REFERENCE.sub(_unescaped, _without_breaks(text)))


def plain_substation(text: str) -> str:
    """Plain text of a SubStation event, on one line; empty for a drawing."""
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
    """Text without unseen characters, white space collapsed."""
    return " ".join(text.translate(_UNSEEN).split())


def _unescaped_brace(text: str, position: int) -> int:
    """Return the place of the next brace that no backslash stands before; -1 without one."""
    while (position := text.find("{", position)) > 0 and text[position - 1] == "\\":
        position += 1
    return position


def _without_breaks(text: str) -> str:
    return _BREAK_OR_PATH.sub(lambda found: " " if len(found[0]) == 2 else found[0], text)


def _unescaped_whole(found: re.Match[str]) -> str:
    """The character that a reference names, and not one that its beginning names: `&notit;`."""
    whole = found[0]
    return html.unescape(whole) if whole[1] == "#" or whole[1:] in html5 else whole


def _unescaped(found: re.Match[str]) -> str:
    return html.unescape(found[0])
