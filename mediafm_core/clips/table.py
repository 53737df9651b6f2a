"""The clips of a title: those of `clips.csv`, or proposed ones."""

import csv
import io
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mediafm_core.errors import TitleError
from mediafm_core.intervals import Indices
from mediafm_core.titles.own_file import OwnFile
from mediafm_core.titles.text_file import read_text

CLIP_SCHEMA = pa.schema(
    [
        pa.field("title_id", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("proposed", pa.bool_(), nullable=False),
        pa.field("labels", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)
_REQUIRED = ("clip_id", "start_s", "end_s")
_MAX_BYTES = 64 << 20
# A time written with two decimals, or one frame late, still means the end of the title.
END_TOLERANCE_S = 0.05


def read_clips(file: OwnFile, title_id: str, duration_s: float) -> pa.Table:
    """Read `clips.csv`: `clip_id,start_s,end_s`, then any label columns.

    An end at most 50 ms past the end of the title is set to it. A label's empty cells are absent
    from the map `labels`.

    Args:
        file: comma-separated values with a header line, in UTF-8, UTF-16 or Latin-1.
        title_id: the title's.
        duration_s: where the title ends, seconds.

    Returns:
        A table of `CLIP_SCHEMA` in the file's order.

    Raises:
        TitleError: a missing column, an empty or repeated id, a time that is no number, an end
            not after its start, a clip outside the title, a line of the wrong length, or no clip.
    """
    reader = csv.reader(io.StringIO(read_text(file, _MAX_BYTES).text), strict=True)
    clips: dict[str, tuple[float, float, list[tuple[str, str]]]] = {}
    try:
        header = _header(next(reader, []), file)
        for row in reader:
            if not any(row):  # an empty line
                continue
            place = f"{file}, line {reader.line_num}"
            if len(row) != len(header):
                raise TitleError(
                    f"{place}: {len(row)} values for {len(header)} columns: mend the line."
                )
            cells = dict(zip(header, map(str.strip, row), strict=True))
            clip_id = cells.pop("clip_id")
            if not clip_id:
                raise TitleError(f"{place}: the clip_id is empty: give the clip a name.")
            if clip_id in clips:
                raise TitleError(f"{place}: clip_id {clip_id!r} is there twice: rename one.")
            start_s = _seconds(cells.pop("start_s"), "start_s", place)
            end_s = _seconds(cells.pop("end_s"), "end_s", place)
            if end_s <= start_s:
                raise TitleError(
                    f"{place}: clip {clip_id!r} ends at {end_s:g} s, not after its start at "
                    f"{start_s:g} s: mend its times."
                )
            if start_s < 0 or start_s >= duration_s or end_s > duration_s + END_TOLERANCE_S:
                raise TitleError(
                    f"{place}: clip {clip_id!r} from {start_s:g} to {end_s:g} s is outside the "
                    f"title, which lasts {duration_s:.3f} s: mend its times."
                )
            labels = [(name, value) for name, value in cells.items() if value]
            clips[clip_id] = (start_s, min(end_s, duration_s), labels)
    except csv.Error as error:
        raise TitleError(
            f"{file}, line {reader.line_num}: no comma-separated values ({error}): mend the file."
        ) from None
    if not clips:
        raise TitleError(
            f"{file} lists no clip: add one, or remove the file to have some proposed."
        )
    starts, ends, labels_of_all = zip(*clips.values(), strict=True)
    return _table(title_id, list(clips), starts, ends, proposed=False, labels=labels_of_all)


def propose_clips(shots: pa.Table, target_s: float = 30.0) -> pa.Table:
    """Group consecutive shots to clips of about `target_s` seconds; together they are the title.

    Of all groupings the one with the least sum of `length / target + target / length - 2`, found
    by dynamic programming in O(shots^2). The first terms sum to the same for every grouping, so
    a clip costs `target / length - 2`: one shorter than half the target costs more than joining
    it to its neighbour, and none is left unless the whole title is that short.

    Args:
        shots: one title's shots, in order.
        target_s: wished length, seconds.

    Returns:
        A table of `CLIP_SCHEMA` with ids `proposed-0000`, `proposed-0001`, ...
    """
    edges = np.append(shots["start_s"].to_numpy(), shots["end_s"].to_numpy()[-1])  # [shots + 1]
    chosen = edges[_best_edges(edges, target_s)]  # [clips + 1]
    names = [f"proposed-{number:04d}" for number in range(len(chosen) - 1)]
    title_id = shots["title_id"][0].as_py()
    return _table(title_id, names, chosen[:-1], chosen[1:], proposed=True, labels=[[]] * len(names))


def _best_edges(edges: np.ndarray, target_s: float) -> Indices:
    """Which shot boundaries are clip boundaries, first and last included."""
    count = len(edges)
    cost = np.zeros(count)  # of the best grouping of all shots before an edge
    previous = np.zeros(count, dtype=np.int64)  # the edge before it in that grouping
    for edge in range(1, count):
        candidates = cost[:edge] + target_s / (edges[edge] - edges[:edge]) - 2.0
        previous[edge] = np.argmin(candidates)
        cost[edge] = candidates[previous[edge]]
    chosen = [count - 1]
    while chosen[-1]:
        chosen.append(int(previous[chosen[-1]]))
    return np.array(chosen[::-1])


def _header(row: list[str], file: OwnFile) -> list[str]:
    names = [name.strip() for name in row]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise TitleError(
            f"{file}, line 1: column {missing[0]!r} is missing from {','.join(names)!r}: the "
            f"header begins with {','.join(_REQUIRED)}."
        )
    for number, name in enumerate(names):
        if not name or name in names[:number]:
            raise TitleError(
                f"{file}, line 1: column {number + 1}, {name!r}, has no name of its own: rename it."
            )
    return names


def _seconds(text: str, column: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TitleError(f"{place}: {column} {text!r} is no number of seconds: mend it.")
    return value


def _table(
    title_id: str,
    clip_ids: Sequence[str],
    starts: Sequence[float] | np.ndarray,
    ends: Sequence[float] | np.ndarray,
    *,
    proposed: bool,
    labels: Sequence[list[tuple[str, str]]],
) -> pa.Table:
    count = len(clip_ids)
    columns = [
        pa.repeat(title_id, count),
        clip_ids,
        starts,
        ends,
        pa.repeat(proposed, count),
        pa.array(labels, CLIP_SCHEMA.field("labels").type),
    ]
    return pa.table(columns, schema=CLIP_SCHEMA)
