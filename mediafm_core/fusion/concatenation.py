"""Fusion of three vectors per shot into one: unit_norm(concat(video, audio, text)).

Each modality has unit length before the concatenation, so that all have the same weight; a missing
modality is zero. Source: MediaFM, Netflix technology blog, 23 February 2026.
"""

import numpy as np
import pyarrow as pa

from mediafm_core.errors import TitleError
from mediafm_core.vectors import to_arrow, to_numpy, unit_length

CODE_VERSION = "1"
"""Incremented when the same embeddings would give other fused vectors."""

MODALITIES = ("video", "audio", "text")
_KEYS = ("title_id", "shot_index")


def modality_ranges(video: pa.Table, audio: pa.Table, text: pa.Table) -> dict[str, tuple[int, int]]:
    """Return the columns `[start, stop)` of each modality in the fused vector."""
    widths = [table.schema.field("embedding").type.list_size for table in (video, audio, text)]
    stops = np.cumsum(widths).tolist()
    return {
        name: (stop - width, stop)
        for name, width, stop in zip(MODALITIES, widths, stops, strict=True)
    }


def fuse(video: pa.Table, audio: pa.Table, text: pa.Table) -> pa.Table:
    """Fuse the three embeddings of a title.

    Args:
        video: `title_id, shot_index, present, embedding`, one row per shot.
        audio: likewise, the same shots in the same order.
        text: likewise.

    Returns:
        `title_id, shot_index, has_video, has_audio, has_text`, and `embedding`
        `FixedSizeList<float32>[sum of the widths]` of unit length.

    Raises:
        TitleError: the tables have different shots, a vector is zero or not finite though it is
            marked as present, or a shot has no modality.
    """
    tables = dict(zip(MODALITIES, (video, audio, text), strict=True))
    ranges = modality_ranges(video, audio, text)
    _require_same_shots(tables)
    fused = np.zeros((video.num_rows, ranges["text"][1]), dtype=np.float32)  # [shots, sum]
    columns: dict[str, pa.ChunkedArray | pa.Array] = {key: video[key] for key in _KEYS}
    weights = np.zeros(video.num_rows, dtype=np.int64)
    for name, table in tables.items():
        present = table["present"].to_numpy()
        vectors = unit_length(np.where(present[:, None], to_numpy(table["embedding"]), 0))
        _require_direction(name, table, vectors, present)
        fused[:, slice(*ranges[name])] = vectors
        columns[f"has_{name}"] = table["present"]
        weights += present
    if not weights.all():
        shot = int(np.argmin(weights))
        raise TitleError(
            f"{_shot_name(video, shot)} has neither picture nor sound nor text: embed the title "
            "again."
        )
    # Every present part has length one, so the whole has the square root of their number.
    fused /= np.sqrt(weights, dtype=np.float32)[:, None]
    return pa.table({**columns, "embedding": to_arrow(fused)})


def _require_same_shots(tables: dict[str, pa.Table]) -> None:
    video = tables["video"]
    for name, table in tables.items():
        if table.num_rows != video.num_rows:
            raise TitleError(
                f"{_title_name(video)} has {video.num_rows} shots with video and "
                f"{table.num_rows} with {name} embeddings: embed it again."
            )
        if not all(table[key].equals(video[key]) for key in _KEYS):
            raise TitleError(
                f"{_title_name(video)}: video and {name} embeddings are of other titles or shots: "
                "embed it again."
            )


def _require_direction(
    name: str, table: pa.Table, vectors: np.ndarray, present: np.ndarray
) -> None:
    wrong = ~np.isfinite(vectors).all(axis=1) | (present & ~vectors.any(axis=1))
    if wrong.any():
        shot = int(np.argmax(wrong))
        raise TitleError(
            f"{_shot_name(table, shot)} has a {name} vector that is not finite or all zero though "
            "marked as present: embed it again."
        )


def _title_name(table: pa.Table) -> str:
    return f"Title {table['title_id'][0]}" if table.num_rows else "A title without video shots"


def _shot_name(table: pa.Table, row: int) -> str:
    return f"Title {table['title_id'][row]}: shot {table['shot_index'][row]}"
