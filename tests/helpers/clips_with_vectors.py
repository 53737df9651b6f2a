"""A small catalogue whose clips have given vectors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from small_catalogue import MODEL, SmallCatalogue

from mediafm_core.vectors import to_arrow


def with_vectors(root: Path, titles: dict[str, np.ndarray]) -> SmallCatalogue:
    """Write a catalogue in which the clips `c0000`, `c0001`, ... of a title have these vectors."""
    small = SmallCatalogue(root)
    for title_id, vectors in titles.items():
        small.write(title_id, shots=4 * len(vectors))
        table = small.store.read("clip_features", title_id, MODEL)
        record = small.store.record("clip_features", title_id, MODEL)
        assert record is not None
        assert table.num_rows >= len(vectors)
        table = table.slice(0, len(vectors)).drop_columns(["embedding", "clip_id"])
        table = table.append_column("embedding", to_arrow(vectors.astype(np.float32)))
        ids = pa.array([f"c{number:04d}" for number in range(len(vectors))])
        small.store.write(record, table.append_column("clip_id", ids), MODEL)
    small.publish(*titles)
    return small


def names(table: pa.Table) -> list[tuple[str, str]]:
    """Return title and clip id of each row."""
    return list(zip(table["title_id"].to_pylist(), table["clip_id"].to_pylist(), strict=True))
