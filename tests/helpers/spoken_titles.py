"""Titles with text, keyframes, and the vectors of their text."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from PIL import Image
from small_catalogue import SmallCatalogue

from mediafm_core.config.settings import load_settings
from mediafm_core.encoders.embed.text import embed_text
from mediafm_core.encoders.profiles import text_encoder
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA
from mediafm_core.store.records import ArtefactRecord

TEXTS: Mapping[str, Sequence[str | None]] = {
    "kennel": [
        *("The dog barks at the mailman.", None, "He wags his tail.", None),
        *("Dinner is ready, come and eat!", "  ", "It smells of garlic.", None),
    ],
    "market": [
        *("Share prices fell sharply today.", None, "The dollar lost two per cent.", None),
        *("Investors sell whatever they can.", None, "Le café est fermé, c'est tout.", None),
    ],
    "silent": [None] * 8,
}
"""What is said in each shot; a clip is four shots of 7.5 s."""


def make_spoken_titles(root: Path) -> SmallCatalogue:
    """Make a catalogue of the titles of `TEXTS`, two clips each."""
    small = SmallCatalogue(root)
    encoder = text_encoder(load_settings())
    for title_id, texts in TEXTS.items():
        small.write(title_id, shots=len(texts))
        table = small.store.read("timed_text", title_id)
        record = small.store.record("timed_text", title_id)
        assert record is not None
        column = table.column_names.index("text")
        table = table.set_column(column, "text", pa.array(texts, pa.string()))
        small.store.write(record, table)
        own = ArtefactRecord(
            asset="text_embeddings",
            title_id=title_id,
            data_version="1",
            identity=str(encoder.identity),
        )
        small.store.write(own, embed_text(encoder, table, batch_size=32))
        _write_keyframes(small, title_id, len(texts))
    small.publish(*TEXTS)
    return small


def _write_keyframes(small: SmallCatalogue, title_id: str, shots: int) -> None:
    """Write two pictures of each shot, each of one colour."""
    rows = []
    for shot in range(shots):
        for position in range(2):
            picture = Image.new("RGB", (400, 160), (20 * shot % 256, 100 * position, 90))
            file = io.BytesIO()
            picture.save(file, "JPEG")
            time_s = 7.5 * (shot + 0.25 + 0.5 * position)
            rows.append((title_id, shot, position, time_s, 24 * shot, 400, 160, file.getvalue()))
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), KEYFRAME_SCHEMA, strict=True)
    ]
    record = ArtefactRecord(asset="keyframes", title_id=title_id, data_version="1")
    small.store.write(record, pa.table(columns, schema=KEYFRAME_SCHEMA))
