"""Pictures for people: a title's contact sheet, and how alike its shots are."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMBNAIL_WIDTH = 160
THUMBNAIL_QUALITY = 60
COLUMNS = 8
_LABEL_HEIGHT = 14
_BACKGROUND = (24, 24, 27)
_LABEL_COLOUR = (212, 212, 216)


def contact_sheet(
    keyframes: Iterable[pa.RecordBatch], shots: pa.Table, most_shots: int = 64
) -> bytes:
    """One small picture per shot with its number and start, as a JPEG.

    Args:
        keyframes: the title's keyframes in shot order; the middle one of a shot is shown.
        shots: the title's shots.
        most_shots: shots shown; of a longer title, as many at even distances.
    """
    from PIL import Image, ImageDraw

    count = shots.num_rows
    shown = np.unique(np.linspace(0, count - 1, min(count, most_shots)).round().astype(int))
    starts = shots["start_s"].to_numpy()
    pictures = [
        (index, _thumbnail(jpeg)) for index, jpeg in _middle_pictures(keyframes, set(shown))
    ]
    height = max(picture.height for _, picture in pictures) + _LABEL_HEIGHT
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * THUMBNAIL_WIDTH, rows * height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (index, picture) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * THUMBNAIL_WIDTH, row * height
        sheet.paste(picture, (left + (THUMBNAIL_WIDTH - picture.width) // 2, top + _LABEL_HEIGHT))
        draw.text((left + 3, top + 1), f"{index}  {_clock(starts[index])}", fill=_LABEL_COLOUR)
    return _encoded(sheet, "JPEG", quality=THUMBNAIL_QUALITY)


def similarity_picture(vectors: np.ndarray, side: int = 360) -> bytes:
    """Cosine similarity of every shot to every other, as a PNG; bright means alike.

    Args:
        vectors: float32 `[shots, width]`; of very long titles, as many rows as pixels are used.
        side: pixels of the longer side at least.
    """
    from matplotlib import colormaps
    from PIL import Image

    step = -(-vectors.shape[0] // 1024)
    chosen = vectors[::step].astype(np.float32)
    unit = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T  # [n, n]
    low, high = np.percentile(cosine, [2, 98])
    shares = np.clip((cosine - low) / max(high - low, 1e-6), 0.0, 1.0)
    pixels = (colormaps["magma"](shares)[..., :3] * 255).astype(np.uint8)
    scale = max(1, -(-side // pixels.shape[0]))
    return _encoded(Image.fromarray(np.kron(pixels, np.ones((scale, scale, 1), np.uint8))), "PNG")


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
