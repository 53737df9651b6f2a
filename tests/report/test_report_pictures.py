"""Contact sheets: their pictures, labels and maximum size."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from mediafm_core.report.pictures import (
    COLUMNS,
    MOST_BYTES,
    THUMBNAIL_WIDTH,
    Cell,
    clip_sheet,
    contact_sheet,
    keyframe_sheet,
    scene_picture,
    sheet,
)
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA

SHOTS, PER_SHOT = 10, 3


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (320, 180)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def noise(seed: int) -> bytes:
    """Return a picture that hardly compresses."""
    pixels = np.random.default_rng(seed).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def keyframes() -> list[pa.RecordBatch]:
    """Return three pictures of each of ten shots, in batches that divide a shot; shot 4 is red."""
    rows = [
        {
            "title_id": "film",
            "shot_index": shot,
            "position": position,
            "time_s": shot * 2.0 + position * 0.5,
            "frame": shot * 50 + position,
            "width": 320,
            "height": 180,
            "jpeg": jpeg((220, 20, 20) if shot == 4 else (20, 20, 220)),
        }
        for shot in range(SHOTS)
        for position in range(PER_SHOT)
    ]
    return pa.Table.from_pylist(rows, KEYFRAME_SCHEMA).to_batches(max_chunksize=7)


def shots() -> pa.Table:
    return pa.table({"start_s": np.arange(SHOTS) * 2.0})


def clips(names: list[str], first_shots: list[int]) -> pa.Table:
    starts = [shot * 2.0 for shot in first_shots]
    return pa.table({"clip_id": names, "start_s": starts, "first_shot": first_shots})


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def pictures_on(image: Image.Image) -> list[str]:
    """Return the colour in the middle of each cell of a sheet, row by row, without empty cells."""
    width = THUMBNAIL_WIDTH + 4
    height = 180 * THUMBNAIL_WIDTH // 320 + 24
    found = []
    for top in range(0, image.height - height // 2, height):
        for left in range(0, image.width - width // 2, width):
            red, _, blue = image.getpixel((left + width // 2, top + 20 + (height - 24) // 2))  # type: ignore[misc]
            if max(red, blue) > 100:
                found.append("red" if red > blue else "blue")
    return found


def test_a_contact_sheet_shows_each_shot():
    seen = pictures_on(opened(contact_sheet(keyframes(), shots())))
    assert seen == ["red" if shot == 4 else "blue" for shot in range(SHOTS)]


def marks_on(image: Image.Image) -> list[bool]:
    """Return for the cells of a sheet, row by row, if the label is on a coloured bar."""
    width = THUMBNAIL_WIDTH + 4
    height = 180 * THUMBNAIL_WIDTH // 320 + 24
    found = []
    for top in range(0, image.height - height // 2, height):
        for left in range(0, image.width - width // 2, width):
            red, _, blue = image.getpixel((left + width // 2, top + 10))  # type: ignore[misc]
            found.append(red > blue + 100)
    return found


def test_a_contact_sheet_marks_the_first_shot_of_each_scene():
    scenes = np.array([0, 0, 0, 1, 2, 2, 2, 2, 3, 3])
    image = opened(contact_sheet(keyframes(), shots(), scene_index=scenes))
    assert pictures_on(image) == ["red" if shot == 4 else "blue" for shot in range(SHOTS)]
    assert marks_on(image)[:SHOTS] == [shot in (0, 3, 4, 8) for shot in range(SHOTS)]
    assert not any(marks_on(opened(contact_sheet(keyframes(), shots()))))


@pytest.mark.parametrize(
    ("most", "marked", "plain"), [(3, 3, 0), (4, 4, 0), (6, 4, 2), (10, 4, 6), (64, 4, 6)]
)
def test_a_contact_sheet_of_a_long_title_prefers_scene_starts(most: int, marked: int, plain: int):
    scenes = np.array([0, 0, 0, 1, 2, 2, 2, 2, 3, 3])
    image = opened(contact_sheet(keyframes(), shots(), most, scenes))
    assert len(pictures_on(image)) == marked + plain
    assert sum(marks_on(image)) == marked


def test_a_keyframe_sheet_shows_every_picture_once():
    seen = pictures_on(opened(keyframe_sheet(keyframes(), SHOTS * PER_SHOT)))
    assert seen == ["red" if place // PER_SHOT == 4 else "blue" for place in range(30)]


@pytest.mark.parametrize("most", [1, 5, 29])
def test_a_keyframe_sheet_shows_the_requested_number(most: int):
    assert len(pictures_on(opened(keyframe_sheet(keyframes(), 30, most)))) == most


def test_a_clip_sheet_shows_where_each_clip_begins():
    names = ["opening", "a_name_that_is_longer_than_the_picture_is_wide", "twice", "last"]
    seen = pictures_on(opened(clip_sheet(keyframes(), clips(names, [0, 4, 4, 9]))))
    assert seen == ["blue", "red", "red", "blue"]


def test_a_sheet_of_any_content_stays_below_its_maximum_size():
    data = sheet(Cell(f"{seed}", seed, noise(seed)) for seed in range(64))
    assert len(data) <= MOST_BYTES
    image = opened(data)
    assert image.width <= COLUMNS * (THUMBNAIL_WIDTH + 4) + 4
    assert image.width > 400


def test_a_label_of_any_text_is_drawn():
    data = sheet([Cell("日本語 \n <b>ü</b> " * 20, 3723.04, jpeg((1, 2, 3)))])
    assert opened(data).width == THUMBNAIL_WIDTH + 8


def plotted(starts: tuple[int, ...], shots_of_title: int = 300) -> np.ndarray:
    """Return the pixels of a plot in which these shots have probability 0.4, others 0.02."""
    times = np.arange(shots_of_title + 1) * 6.0
    probabilities = np.full((shots_of_title, 5), 0.02, np.float32)
    probabilities[0] = 1.0
    probabilities[list(starts)] = 0.4
    table = pa.table({"start_s": times[:-1], "end_s": times[1:]})
    return np.asarray(opened(scene_picture(probabilities, (4, 6, 9, 14, 22), table)), np.int64)


def test_scene_starts_are_plotted_at_their_time():
    without = plotted((299,))
    centres = [
        np.flatnonzero((plotted((shot, 299)) != without).any(axis=(0, 2))).mean()
        for shot in (75, 150, 225)
    ]
    apart = np.diff(centres)
    assert apart.min() > 50
    assert abs(apart[0] - apart[1]) < 3


def test_scene_starts_of_a_title_of_one_shot_are_plotted():
    assert plotted((), shots_of_title=1).shape == plotted(()).shape
