"""The clips of a title: read from `clips.csv`, or proposed from its shots.

A change of proposed clips needs a new code version of `clip_features` in
`mediafm_core.pipeline.graph`.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mediafm_core.clips.spreadsheet import read_rows, read_seconds
from mediafm_core.errors import TitleError
from mediafm_core.overlaps import Indices
from mediafm_core.readable import UNSAFE, quoted
from mediafm_core.titles.language import primary_language
from mediafm_core.titles.text_file import read_text
from mediafm_core.titles.title_file import TitleFile

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
_MAX_BYTES = 8 << 20
_MAX_ID_CHARACTERS = 500
_NO_EVIDENCE_LOG_ODDS = -2.0  # a probability of 0.12, of which scene starts have more than others
# Tolerance for times that are rounded to two decimals, or one frame late.
END_TOLERANCE_S = 0.05


def read_clips(
    file: TitleFile, title_id: str, duration_s: float, language: str | None = None
) -> pa.Table:
    """Read `clips.csv`: `clip_id,start_s,end_s`, then any label columns.

    An end at most 50 ms past the end of the title is set to it. Empty cells of label columns are
    absent from the map `labels`.

    Args:
        file: a table as spreadsheet programs write it (`spreadsheet`), in any text encoding.
        title_id: the title's.
        duration_s: end of the title, seconds.
        language: the title's, a hint for detecting the encoding.

    Returns:
        A table of `CLIP_SCHEMA` in the file's order.

    Raises:
        TitleError: a column is missing, an id is empty or duplicate, a time is not a number, an end
            is not after its start, a clip lies outside the title, a line has the wrong number of
            values, or there is no clip.
    """
    languages = [tag for tag in (primary_language(language),) if tag]
    text = read_text(file, _MAX_BYTES, languages).text
    clips: dict[str, tuple[float, float, list[tuple[str, str]]]] = {}
    for where, cells in read_rows(text, str(file), _REQUIRED):
        clip_id = cells.pop("clip_id")
        if not clip_id:
            raise TitleError(f"{where}: the clip_id is empty: give the clip a name.")
        if UNSAFE.search(clip_id):
            raise TitleError(
                f"{where}: clip_id {quoted(clip_id)} has invisible characters: rename it."
            )
        if len(clip_id) > _MAX_ID_CHARACTERS:
            raise TitleError(
                f"{where}: clip_id {quoted(clip_id)} has more than {_MAX_ID_CHARACTERS} "
                "characters: shorten it."
            )
        if clip_id in clips:
            raise TitleError(f"{where}: clip_id {quoted(clip_id)} occurs twice: rename one.")
        start_s = read_seconds(cells.pop("start_s"), "start_s", where)
        end_s = read_seconds(cells.pop("end_s"), "end_s", where)
        if end_s <= start_s:
            raise TitleError(
                f"{where}: clip {quoted(clip_id)} ends at {end_s:g} s, not after its start at "
                f"{start_s:g} s: correct its times."
            )
        if start_s < 0 or start_s >= duration_s or end_s > duration_s + END_TOLERANCE_S:
            raise TitleError(
                f"{where}: clip {quoted(clip_id)} from {start_s:g} to {end_s:g} s is outside the "
                f"title, which lasts {duration_s:.3f} s: correct its times."
            )
        labels = [(name, value) for name, value in cells.items() if value]
        clips[clip_id] = (start_s, min(end_s, duration_s), labels)
    if not clips:
        raise TitleError(
            f"{file} lists no clip: add one, or remove the file to have some proposed."
        )
    starts, ends, labels_of_all = zip(*clips.values(), strict=True)
    return _table(title_id, list(clips), starts, ends, proposed=False, labels=labels_of_all)


def propose_clips(
    shots: pa.Table, target_s: float, start_probability: np.ndarray | None = None
) -> pa.Table:
    """Group consecutive shots into clips of about `target_s` seconds that cover the whole title.

    Chooses the grouping with the smallest sum over clips of `length / target + target / length - 2`
    less `evidence` of the clip's first shot, by dynamic programming in O(shots^2). The first terms
    have the same sum for every grouping, so that a clip costs `target / length - 2 - evidence`.
    The evidence is `logit(probability)` scaled from -2..0 to 0..1, and clipped: a clip that starts
    at a likely scene start may be shorter or longer than the target, and of the edges within a long
    scene the most likely one is chosen.

    Joining a clip to its neighbour costs at most its evidence of 1, and splitting one near its
    middle at most nothing. So no clip is shorter than a third of the target (half of it without
    probabilities), unless the whole title is, and none is longer than 1.5 times the target and the
    longest shot together.

    Args:
        shots: one title's shots, in order.
        target_s: target length of a clip, seconds; the setting `clips.proposed_s`.
        start_probability: `[shots]`, probability that a scene starts with a shot, from 0 to 1; the
            first one is not read. None groups by length alone.

    Returns:
        A table of `CLIP_SCHEMA` with ids `proposed-0000`, `proposed-0001`, ...
    """
    edges = np.append(shots["start_s"].to_numpy(), shots["end_s"].to_numpy()[-1])  # [shots + 1]
    if start_probability is None:
        evidence = np.zeros(shots.num_rows)
    else:
        evidence = _evidence(start_probability)
    chosen = edges[_best_edges(edges, target_s, evidence)]  # [clips + 1]
    names = [f"proposed-{number:04d}" for number in range(len(chosen) - 1)]
    title_id = shots["title_id"][0].as_py()
    return _table(title_id, names, chosen[:-1], chosen[1:], proposed=True, labels=[[]] * len(names))


def _evidence(probability: np.ndarray) -> np.ndarray:
    """Scale log odds of scene starts to 0..1, float64 `[shots]`."""
    lowest = 1.0 / (1.0 + np.exp(-_NO_EVIDENCE_LOG_ODDS))
    bounded = np.clip(probability.astype(np.float64), lowest, 0.5)
    return 1.0 - np.log(bounded / (1.0 - bounded)) / _NO_EVIDENCE_LOG_ODDS


def _best_edges(edges: np.ndarray, target_s: float, evidence: np.ndarray) -> Indices:
    """Return the indices of the shot boundaries that become clip boundaries, with both ends."""
    count = len(edges)
    cost = np.zeros(count)  # of the best grouping of all shots before an edge
    previous = np.zeros(count, dtype=np.int64)  # the edge before it in that grouping
    for edge in range(1, count):
        lengths = edges[edge] - edges[:edge]
        candidates = cost[:edge] + target_s / lengths - 2.0 - evidence[:edge]
        previous[edge] = np.argmin(candidates)
        cost[edge] = candidates[previous[edge]]
    chosen = [count - 1]
    while chosen[-1]:
        chosen.append(int(previous[chosen[-1]]))
    return np.array(chosen[::-1])


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
