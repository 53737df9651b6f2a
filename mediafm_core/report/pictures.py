"""Pictures for people: a title's contact sheet, and how alike its shots are."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMBNAIL_WIDTH = 180
THUMBNAIL_QUALITY = 60
COLUMNS = 6  # as wide as a dialog of the Dagster UI
_LABEL_HEIGHT = 20
_LABEL_SIZE = 13
_GAP = 4
_BACKGROUND = (24, 24, 27)
_LABEL_COLOUR = (212, 212, 216)
MOST_SIMILARITY_ROWS = 512


def contact_sheet(
    keyframes: Iterable[pa.RecordBatch], shots: pa.Table, most_shots: int = 64
) -> bytes:
    """One small picture per shot with its number and start, as a JPEG.

    Args:
        keyframes: the title's keyframes in shot order; the middle one of a shot is shown.
        shots: the title's shots.
        most_shots: shots shown; of a longer title, as many at even distances.
    """
    from PIL import Image, ImageDraw, ImageFont

    count = shots.num_rows
    shown = np.unique(np.linspace(0, count - 1, min(count, most_shots)).round().astype(int))
    starts = shots["start_s"].to_numpy()
    pictures = [
        (index, _thumbnail(jpeg)) for index, jpeg in _middle_pictures(keyframes, set(shown))
    ]
    width = THUMBNAIL_WIDTH + _GAP
    height = max(picture.height for _, picture in pictures) + _LABEL_HEIGHT + _GAP
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_LABEL_SIZE)
    for place, (index, picture) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * width + _GAP, row * height
        sheet.paste(picture, (left + (THUMBNAIL_WIDTH - picture.width) // 2, top + _LABEL_HEIGHT))
        label, start = f"{index}", _clock(starts[index])
        draw.text((left + 2, top + 3), label, fill=_LABEL_COLOUR, font=font)
        right = left + THUMBNAIL_WIDTH - 2
        draw.text((right, top + 3), start, fill=_LABEL_COLOUR, font=font, anchor="ra")
    return _encoded(sheet, "JPEG", quality=THUMBNAIL_QUALITY)


def similarity_picture(vectors: np.ndarray) -> bytes:
    """Cosine similarity of every shot to every other, as a PNG; bright means alike.

    Args:
        vectors: float32 `[shots, width]`; of very long titles, every n-th row is shown.
    """
    # Figure and not pyplot: no global state, and no display is needed.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    step = -(-vectors.shape[0] // MOST_SIMILARITY_ROWS)
    chosen = vectors[::step].astype(np.float32)
    unit = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T  # [n, n]
    # A shot is always like itself: the other pairs decide the scale of colours.
    others = cosine[~np.eye(len(cosine), dtype=bool)]
    low, high = np.percentile(others, [2, 98]) if others.size else (0.0, 1.0)
    figure = Figure(figsize=(5.6, 4.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    edges = (-0.5 * step, (len(cosine) - 0.5) * step)
    picture = axes.imshow(
        cosine,
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(edges[0], edges[1], edges[1], edges[0]),
        interpolation="nearest",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="shot", ylabel="shot")
    figure.colorbar(picture, ax=axes, label="cosine similarity", extend="both")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _middle_pictures(
    keyframes: Iterable[pa.RecordBatch], shown: set[int]
) -> Iterable[tuple[int, bytes]]:
    """The middle keyframe of each wanted shot; keyframes of one shot follow each other."""
    current, pictures = -1, list[bytes]()
    for batch in keyframes:
        indices = batch.column("shot_index").to_numpy()
        for row in np.flatnonzero(np.isin(indices, list(shown))):
            if indices[row] != current:
                if pictures:
                    yield current, pictures[len(pictures) // 2]
                current, pictures = int(indices[row]), []
            pictures.append(batch.column("jpeg")[int(row)].as_py())
    if pictures:
        yield current, pictures[len(pictures) // 2]


def _thumbnail(jpeg: bytes) -> "Picture":
    from PIL import Image

    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    picture.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    return picture


def _encoded(image: "Picture", kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"
