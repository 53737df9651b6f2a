"""Timed text of a title: which source is used, and the text of each shot."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.intervals import Indices, Seconds, overlapping_pairs
from mediafm_core.media.subtitles import (
    Cue,
    TimedText,
    TimedTextSource,
    read_embedded,
    read_side_file,
    stream_name,
)
from mediafm_core.titles.folder import SideFile
from mediafm_core.titles.language import primary_language
from mediafm_core.titles.own_file import OwnFile

if TYPE_CHECKING:
    from mediafm_core.media.probe import MediaProbe, SubtitleStream

SHOT_TEXT_SCHEMA = pa.schema(
    [
        pa.field("title_id", pa.string(), nullable=False),
        pa.field("shot_index", pa.int32(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("cues", pa.int32(), nullable=False),
    ]
)
# A subtitle lingers over a cut by a few frames without being about the next shot.
_ENOUGH_SECONDS = 0.5
_ENOUGH_SHARE = 0.5
_ROUNDING_S = 1e-6


class ShotTextSummary(NamedTuple):
    """What became of the cues.

    Attributes:
        cues_read: cues of the source.
        cues_used: cues that at least one shot has.
        cues_past_end: cues that start at or after the end of the media, and are left out.
        shots_with_text: number of shots that have a cue.
        first_captioned_shot: `shot_index` of the first of them.
    """

    cues_read: int
    cues_used: int
    cues_past_end: int
    shots_with_text: int
    first_captioned_shot: int | None


def read_timed_text(
    open_file: Callable[[str], AbstractContextManager[OwnFile]],
    media: str,
    probe: "MediaProbe",
    side_files: Sequence[SideFile],
    language: str,
    progress: Callable[[float], None] = lambda _share: None,
) -> TimedText:
    """The timed text of a title: one of its side files, or else one of the tracks in the media.

    Args:
        open_file: opens a file of the title folder by its name; only the chosen one is opened.
        media: the media file's name.
        probe: its streams. Tracks of pictures (DVD, Blu-ray, DVB) hold no text: passed over.
        side_files: subtitle files beside it.
        language: the title's.
        progress: called with the share of an embedded track that is read.

    Returns:
        No cues and a source of kind `none` where there is neither.

    Raises:
        TitleError: the chosen file or track is broken.
    """
    names = [side_file.name for side_file in side_files]
    names += [stream_name(stream) for stream in probe.subtitles]
    chosen = choose(
        language, side_files, [stream for stream in probe.subtitles if _holds_text(stream)]
    )
    if chosen is None:
        return TimedText(TimedTextSource("none", passed_over=tuple(names)), ())
    if isinstance(chosen, SideFile):
        with open_file(chosen.name) as file:
            source, cues = read_side_file(file, chosen.language)
    else:
        length_s = probe.duration_s
        with open_file(media) as file:
            source, cues = read_embedded(
                file,
                chosen,
                probe.start_s,
                lambda seconds: progress(seconds / length_s if length_s else 0.0),
            )
    names.remove(source.name)
    return TimedText(replace(source, passed_over=tuple(names)), cues)


def choose(
    language: str, side_files: Sequence[SideFile], streams: Sequence["SubtitleStream"]
) -> "SideFile | SubtitleStream | None":
    """The source to use: any side file before any track; then the title's language, an
    undetermined one, any other; then the first.
    """
    wanted = primary_language(language)

    def rank(source: "SideFile | SubtitleStream") -> int:
        spoken = primary_language(source.language)
        return 0 if spoken == wanted else 1 if spoken is None else 2

    candidates: Sequence[SideFile | SubtitleStream] = side_files or streams
    return min(candidates, key=rank, default=None)


def timed_text_per_shot(cues: Sequence[Cue], shots: pa.Table) -> tuple[pa.Table, ShotTextSummary]:
    """Lay cues over the shots of a title.

    A cue belongs to every shot that it overlaps by half a second or by half its own length, and
    to the one it overlaps longest, the earlier of two equal ones. A shot's text is that of its
    cues in the order of their times, joined by a space; null without any.

    Args:
        cues: in the order of their times.
        shots: one title's shots: `title_id, shot_index, start_s, end_s`, in order.

    Returns:
        A table of `SHOT_TEXT_SCHEMA`, a row per shot, and a summary.
    """
    shot_starts = shots["start_s"].to_numpy()
    shot_ends = shots["end_s"].to_numpy()
    starts = np.array([cue.start_s for cue in cues], dtype=np.float64)  # [cues]
    ends = np.array([cue.end_s for cue in cues], dtype=np.float64)  # [cues]
    inside = np.flatnonzero(starts < shot_ends[-1])
    cue, shot, seconds = overlapping_pairs(starts[inside], ends[inside], shot_starts, shot_ends)

    lengths = (ends - starts)[inside]
    enough = np.minimum(_ENOUGH_SECONDS, _ENOUGH_SHARE * lengths) - _ROUNDING_S
    belongs = seconds >= enough[cue]
    belongs[_longest_of_each(cue, seconds)] = True
    cue, shot = inside[cue[belongs]], shot[belongs]

    texts = pa.array([cue.text for cue in cues], pa.string())
    by_shot = (
        pa.table({"shot": shot, "text": texts.take(pa.array(cue))})
        .group_by("shot", use_threads=False)  # keeps the order of the cues
        .aggregate([("text", "list"), ("text", "count")])
    )
    captioned = by_shot["shot"].to_numpy()
    row_of_shot = np.full(len(shots), -1)
    row_of_shot[captioned] = np.arange(len(captioned))
    rows = pa.array(row_of_shot, mask=row_of_shot < 0)
    joined = pc.binary_join(by_shot["text_list"].combine_chunks(), " ").take(rows)
    counts = by_shot["text_count"].combine_chunks().take(rows).fill_null(0)
    table = pa.table(
        [shots["title_id"], shots["shot_index"], joined, counts.cast(pa.int32())],
        schema=SHOT_TEXT_SCHEMA,
    )
    summary = ShotTextSummary(
        cues_read=len(cues),
        cues_used=len(np.unique(cue)),
        cues_past_end=len(cues) - len(inside),
        shots_with_text=len(captioned),
        first_captioned_shot=(
            shots["shot_index"][int(captioned.min())].as_py() if len(captioned) else None
        ),
    )
    return table, summary


def _holds_text(stream: "SubtitleStream") -> bool:
    import av

    try:
        return bool(av.Codec(stream.codec, "r").text_sub)
    except av.codec.codec.UnknownCodecError:
        return False


def _longest_of_each(group: Indices, seconds: Seconds) -> Indices:
    """Position of the first of the longest pairs of each group; groups are consecutive."""
    order = np.lexsort((np.arange(len(group)), -seconds, group))
    _, first = np.unique(group[order], return_index=True)
    return order[first]
