"""A page of clips for people: one HTML file with pictures, times, similarity and text.

Nothing in it is loaded from elsewhere and nothing runs: it opens from a disk, a mail or an archive.
"""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files

PICTURE_WIDTH = 320
_QUALITY = 72
_BARE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class ClipCard:
    """A clip as the page shows it.

    Attributes:
        title: name of its title.
        title_id: of its title.
        clip_id: its own.
        start_s: in seconds.
        end_s: in seconds, exclusive.
        text: what is said in it; empty without.
        facts: what else to say, a name and a value each; the first stands out.
        pictures: JPEG files in the order of time, with the moment of each in seconds.
    """

    title: str
    title_id: str
    clip_id: str
    start_s: float
    end_s: float
    text: str = ""
    facts: Sequence[tuple[str, str]] = ()
    pictures: Sequence[tuple[float, bytes]] = ()


@dataclass(frozen=True)
class Section:
    """What was asked, and the clips that answer it.

    Attributes:
        heading: in words.
        query: the clip that was asked about, where it was one.
        clips: the best first.
    """

    heading: str
    query: ClipCard | None = None
    clips: Sequence[ClipCard] = field(default_factory=tuple)


def clip_page(title: str, note: str, sections: Sequence[Section]) -> str:
    """The page, complete.

    Args:
        title: of the page.
        note: a line below it: the catalogue and what was asked of it.
        sections: one for each query.
    """
    style = (files("mediafm_core.report") / "clip_page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_BARE}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{style}</style>",
            f"<header><h1>{escape(title)}</h1><p>{escape(note)}</p></header>",
            "<main>",
            *(line for section in sections for line in _section(section)),
            "</main>",
            "</html>",
            "",
        ]
    )


def _section(section: Section) -> Iterator[str]:
    yield f"<section><h2>{escape(section.heading)}</h2>"
    if section.query:
        yield from _card(section.query, "article", "query")
    if not section.clips:
        yield "<p>No clip was found.</p>"
    yield "<ol>"
    for clip in section.clips:
        yield from _card(clip, "li", "clip")
    yield "</ol></section>"


def _card(clip: ClipCard, element: str, kind: str) -> Iterator[str]:
    yield f'<{element} class="{kind}">'
    yield f'<div class="pictures many{min(len(clip.pictures), 4)}">'
    for time_s, jpeg in clip.pictures:
        caption = escape(f"{clip.title} at {clock(time_s)}")
        yield f'<img src="{_data(jpeg)}" alt="{caption}" title="{caption}" loading="lazy">'
    yield "</div>"
    yield f"<h3>{escape(clip.title)}</h3>"
    yield f'<p class="times">{clock(clip.start_s)} – {clock(clip.end_s)}</p>'
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in clip.facts
    )
    yield f"<dl>{facts}</dl>"
    if clip.text:
        yield f"<blockquote>{escape(clip.text)}</blockquote>"
    place = f"{clip.title_id} {clip.clip_id}".strip()
    yield f"<footer><code>{escape(place)}</code></footer></{element}>"


def clock(seconds: float) -> str:
    """A moment for people: `1:02:03.4`, or `2:03.4` in the first hour."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clocked = f"{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{clocked}" if hours else clocked


def _data(jpeg: bytes) -> str:
    """A picture as a data URI, no wider than it is shown on a dense display."""
    from PIL import Image

    picture = Image.open(io.BytesIO(jpeg))
    if picture.width > PICTURE_WIDTH:
        height = max(1, round(picture.height * PICTURE_WIDTH / picture.width))
        smaller = picture.convert("RGB").resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=_QUALITY)
        jpeg = buffer.getvalue()
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
