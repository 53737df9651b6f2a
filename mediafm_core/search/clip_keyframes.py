"""Keyframes of clips, at even distances."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.errors import StoreError
from mediafm_core.shots.keyframes import KEYFRAME_SCHEMA
from mediafm_core.store.store import Store

_COLUMNS = ["title_id", "time_s", "width", "height", "jpeg"]
SCHEMA = pa.schema([("clip", pa.int64()), *(KEYFRAME_SCHEMA.field(name) for name in _COLUMNS)])


def keyframes_of(store: Store, clips: pa.Table, most: int = 4) -> pa.Table:
    """Read a few keyframes of each clip, within its times.

    Args:
        store: Store with the titles' keyframes.
        clips: `title_id, start_s, end_s`, in any order; a clip may occur twice.
        most: Maximum number of keyframes of a clip; of more, this many at even distances are read.

    Returns:
        `clip` (row of `clips`), `title_id`, `time_s`, `width`, `height`, `jpeg`; by clip and time.
        A clip without a keyframe within its times has the one before it, or the first.

    Raises:
        StoreError: A title's keyframes are missing or damaged.
    """
    titles = clips["title_id"].to_pylist()
    starts, ends = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
    parts = [SCHEMA.empty_table()]
    for title_id in dict.fromkeys(titles):
        rows = [row for row, own in enumerate(titles) if own == title_id]
        if not store.has("keyframes", title_id):
            raise StoreError(
                f"{title_id} has no keyframes in {store.location}: `mediafm run` computes them."
            )
        with store.opened("keyframes", title_id) as file:
            times = file.read(["time_s"])["time_s"].to_numpy()
            chosen = [_within(times, starts[row], ends[row], most) for row in rows]
            pictures = _pictures(file, np.unique(np.concatenate(chosen)))
        wanted = np.concatenate(chosen)
        places = np.searchsorted(np.unique(wanted), wanted)
        clip = np.repeat(rows, [len(each) for each in chosen])
        parts.append(pictures.take(places).add_column(0, "clip", pa.array(clip)).cast(SCHEMA))
    return pa.concat_tables(parts).sort_by([("clip", "ascending"), ("time_s", "ascending")])


def _within(times: np.ndarray, start_s: float, end_s: float, most: int) -> np.ndarray:
    """Return 1 to `most` rows of keyframes in a span; `times` must ascend."""
    first, last = np.searchsorted(times, [start_s, end_s])
    if first == last:
        return np.array([max(0, first - 1)])
    count = min(most, last - first)
    return first + ((np.arange(count) + 0.5) * (last - first) / count).astype(np.int64)


def _pictures(file: pq.ParquetFile, rows: np.ndarray) -> pa.Table:
    """Read some rows of a title's keyframes, ascending, from their row groups only."""
    parts, first = [], 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        own = rows[(rows >= first) & (rows < first + count)] - first
        if len(own):
            parts.append(file.read_row_group(group, columns=_COLUMNS).take(own))
        first += count
    return pa.concat_tables(parts)
