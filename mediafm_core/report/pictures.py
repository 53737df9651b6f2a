"""Contact sheets of a title's shots, keyframes and clips, and a plot of shot similarity."""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMBNAIL_WIDTH = 180
THUMBNAIL_QUALITY = 60
COLUMNS = 6  # fits the width of a dialog in the Dagster UI
MOST_BYTES = 200_000  # of a sheet, which an event stores in base64, a third larger
_LEAST_QUALITY = 30
_LONGEST_LABEL = 60
_LABEL_HEIGHT = 20
_LABEL_SIZE = 13
_GAP = 4
_BAR_WIDTH = 5
_BACKGROUND = (24, 24, 27)
_LABEL_COLOUR = (212, 212, 216)
_MARK_COLOUR, _MARKED_LABEL_COLOUR = (245, 158, 11), (24, 24, 27)
MOST_SIMILARITY_ROWS = 512
_MINUTE_S = 60.0
_LEAST_PROBABILITY = 0.01


class Cell(NamedTuple):
    """A picture of a sheet.

    Attributes:
        label: Text above it on the left, cut off at the picture's width.
        time_s: Time above it on the right, in seconds from the start of the title.
        jpeg: The picture.
        is_marked: Draw the label on a coloured bar that goes on down the left of the picture.
    """

    label: str
    time_s: float
    jpeg: bytes
    is_marked: bool = False


def contact_sheet(
    keyframes: Iterable[pa.RecordBatch],
    shots: pa.Table,
    most_shots: int = 64,
    scene_index: np.ndarray | None = None,
) -> bytes:
    """Draw one thumbnail per shot with its number and start, as a JPEG.

    Args:
        keyframes: Keyframes of the title in shot order; the middle one of a shot is shown.
        shots: Shots of the title.
        most_shots: Maximum number of shots; of a longer title, this many at even distances.
        scene_index: `[shots]`, the scene that each shot belongs to. The first shot of each scene is
            then marked with the scene's number, and preferred in a longer title.
    """
    begins = shots["start_s"].to_numpy()
    shown = _evenly(shots.num_rows, most_shots)
    scenes: dict[int, int] = {}
    if scene_index is not None:
        firsts = np.flatnonzero(np.diff(scene_index, prepend=-1))
        scenes = {int(first): int(scene_index[first]) for first in firsts}
        shown = _with_all(firsts, shots.num_rows, most_shots)
    return sheet(
        Cell(
            f"scene {scenes[index]} · {index}" if index in scenes else f"{index}",
            begins[index],
            jpeg,
            is_marked=index in scenes,
        )
        for index, jpeg in _middle_pictures(keyframes, set(shown))
    )


def keyframe_sheet(
    keyframes: Iterable[pa.RecordBatch], rows: int, most_pictures: int = 66
) -> bytes:
    """Draw keyframes with their shot, their position in it and their time, as a JPEG.

    Args:
        keyframes: Keyframes of the title in shot order.
        rows: Number of keyframes.
        most_pictures: Maximum number of pictures; of more, this many at even distances.
    """
    shown, first = _evenly(rows, most_pictures), 0
    cells: list[Cell] = []
    for batch in keyframes:
        inside = shown[(shown >= first) & (shown < first + batch.num_rows)] - first
        cells += [
            Cell(f"{row['shot_index']}.{row['position']}", row["time_s"], row["jpeg"])
            for row in batch.take(pa.array(inside)).to_pylist()
        ]
        first += batch.num_rows
    return sheet(cells)


def clip_sheet(keyframes: Iterable[pa.RecordBatch], clips: pa.Table, most_clips: int = 64) -> bytes:
    """Draw the first shot of each clip with the clip's id and start, as a JPEG.

    Args:
        keyframes: Keyframes of the title in shot order.
        clips: Clips of the title, with `clip_id`, `start_s` and `first_shot`.
        most_clips: Maximum number of clips; of more, this many at even distances.
    """
    chosen = clips.take(pa.array(_evenly(clips.num_rows, most_clips))).select(
        ["clip_id", "start_s", "first_shot"]
    )
    rows = chosen.to_pylist()
    pictures = dict(_middle_pictures(keyframes, {row["first_shot"] for row in rows}))
    return sheet(
        Cell(row["clip_id"], row["start_s"], pictures[row["first_shot"]])
        for row in rows
        if row["first_shot"] in pictures
    )


def sheet(cells: Iterable[Cell]) -> bytes:
    """Draw thumbnails in rows, as a JPEG of at most `MOST_BYTES`.

    Args:
        cells: Cells of the sheet, at least one; all are held in memory.
    """
    from PIL import Image, ImageDraw, ImageFont

    pictures = [(cell, _thumbnail(cell.jpeg)) for cell in cells]
    width = THUMBNAIL_WIDTH + _GAP
    height = max(picture.height for _, picture in pictures) + _LABEL_HEIGHT + _GAP
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    drawn = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(_LABEL_SIZE)
    for place, (cell, picture) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * width + _GAP, row * height
        drawn.paste(picture, (left + (THUMBNAIL_WIDTH - picture.width) // 2, top + _LABEL_HEIGHT))
        if cell.is_marked:
            end = top + _LABEL_HEIGHT + picture.height
            draw.rectangle(
                (left, top + 2, left + THUMBNAIL_WIDTH - 1, top + _LABEL_HEIGHT - 1), _MARK_COLOUR
            )
            draw.rectangle((left, top + 2, left + _BAR_WIDTH - 1, end - 1), _MARK_COLOUR)
        colour = _MARKED_LABEL_COLOUR if cell.is_marked else _LABEL_COLOUR
        time = _clock(cell.time_s)
        room = THUMBNAIL_WIDTH - draw.textlength(time, font=font) - 10
        label = _shortened(cell.label, room, partial(draw.textlength, font=font))
        draw.text((left + 2, top + 3), label, fill=colour, font=font)
        right = left + THUMBNAIL_WIDTH - 2
        draw.text((right, top + 3), time, fill=colour, font=font, anchor="ra")
    return _bounded(drawn)


def similarity_picture(vectors: np.ndarray) -> bytes:
    """Plot the cosine similarity of every shot to every other as a PNG; bright means similar.

    Args:
        vectors: float32 `[shots, width]`; of very long titles, every n-th row is plotted.
    """
    # Figure instead of pyplot, because it has no global state and needs no display.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    step = -(-vectors.shape[0] // MOST_SIMILARITY_ROWS)
    chosen = vectors[::step].astype(np.float32)
    unit = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T  # [n, n]
    # A shot's similarity to itself is always 1, so the other pairs decide the scale of colours.
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


def scene_picture(probabilities: np.ndarray, grains: Sequence[int], shots: pa.Table) -> bytes:
    """Plot the probability of a scene start over time at each grain, as a PNG.

    The scale of colours ends at the highest probability after the first shot, whose own is 1.

    Args:
        probabilities: float32 `[shots, grains]`.
        grains: mean shots of a scene, one per column.
        shots: Shots of the title, with `start_s` and `end_s`.
    """
    from matplotlib.figure import Figure

    starts = shots["start_s"].to_numpy()
    edges = np.append(starts, shots["end_s"].to_numpy()[-1]) / _MINUTE_S
    highest = max(float(probabilities[1:].max(initial=0.0)), _LEAST_PROBABILITY)
    figure = Figure(figsize=(7.2, 2.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.pcolormesh(
        edges, np.arange(len(grains) + 1), probabilities.T, cmap="magma", vmin=0.0, vmax=highest
    )
    axes.set_yticks(np.arange(len(grains)) + 0.5, [f"{grain:g}" for grain in grains])
    axes.set(xlabel="minutes", ylabel="mean shots of a scene")
    figure.colorbar(drawn, ax=axes, label="probability of a start")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _middle_pictures(
    keyframes: Iterable[pa.RecordBatch], shown: set[int]
) -> Iterable[tuple[int, bytes]]:
    """Yield the middle keyframe of each shot in `shown`; keyframes must be in shot order."""
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


def _evenly(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the indices below `count`, at even distances, int64."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64))


def _with_all(wanted: np.ndarray, count: int, most: int) -> np.ndarray:
    """Return at most `most` of the indices below `count`: those wanted, then others, evenly."""
    if len(wanted) >= most:
        return wanted[_evenly(len(wanted), most)]
    others = np.setdiff1d(np.arange(count), wanted)
    return np.union1d(wanted, others[_evenly(len(others), most - len(wanted))])


def _shortened(text: str, room: float, length: Callable[[str], float]) -> str:
    """Cut a text off where it is longer than `room`, in the unit of `length`."""
    text = " ".join(text.split())[:_LONGEST_LABEL]
    if length(text) <= room:
        return text
    while text and length(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"


def _bounded(image: "Picture") -> bytes:
    """Encode a picture as a JPEG of at most `MOST_BYTES`, reducing first quality, then size."""
    quality = THUMBNAIL_QUALITY
    while len(data := _encoded(image, "JPEG", quality=quality)) > MOST_BYTES:
        if quality > _LEAST_QUALITY:
            quality -= 15
        else:
            image = image.resize((image.width * 3 // 4, image.height * 3 // 4))
    return data


def _encoded(image: "Picture", kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:04.1f}"
