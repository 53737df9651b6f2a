"""A page of clips for people: one HTML file with pictures, times, similarity and text.

Nothing in it is loaded from elsewhere and nothing runs: it opens from a disk, a mail or an archive.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

PICTURE_WIDTH = 320
_QUALITY = 72


@dataclass(frozen=True)
class ClipCard:
    """A clip as the page shows it.

    Attributes:
        title: name of its title.
        title_id: of its title.
        clip_id: its own; empty for a span that is no clip.
        start_s: in seconds.
        end_s: in seconds, exclusive.
        text: of its captions and speech; empty without.
        facts: further names and values to show; the first stands out.
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
class ClipSection:
    """A query and the clips that answer it.

    Attributes:
        heading: the query in words.
        query: the clip that was searched with; None for a text.
        clips: the best first.
    """

    heading: str
    query: ClipCard | None = None
    clips: Sequence[ClipCard] = field(default_factory=tuple)


def clip_page(title: str, note: str, sections: Sequence[ClipSection]) -> str:
    """Render the page from the template `clip_page.html`; every text in it is escaped.

    Args:
        title: of the page.
        note: a line below it: the catalogue and the request.
        sections: one for each query.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mediafm_core", "report"),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clock": clock, "data_uri": _data_uri}
    template = environment.get_template("clip_page.html")
    return template.render(title=title, note=note, sections=sections)


def clock(seconds: float) -> str:
    """Format a moment for people: `1:02:03.4`, or `2:03.4` in the first hour."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clocked = f"{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{clocked}" if hours else clocked


def _data_uri(jpeg: bytes) -> str:
    """Return a picture as a data URI, no wider than it is shown on a dense display."""
    from PIL import Image

    picture = Image.open(io.BytesIO(jpeg))
    if picture.width > PICTURE_WIDTH:
        height = max(1, round(picture.height * PICTURE_WIDTH / picture.width))
        smaller = picture.convert("RGB").resize((PICTURE_WIDTH, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=_QUALITY)
        jpeg = buffer.getvalue()
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
