"""Timed text of a title: choice of its source, and assignment of cues to shots."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import TitleError
from mediafm_core.media.subtitles import (
    Cue,
    TimedText,
    TimedTextSource,
    read_embedded,
    read_side_file,
    stream_name,
)
from mediafm_core.overlaps import Indices, Seconds, overlapping_pairs
from mediafm_core.titles.caption_names import CaptionPurpose
from mediafm_core.titles.language import primary_language
from mediafm_core.titles.read_title import SideFile
from mediafm_core.titles.title_file import TitleFile

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
# Rank of captions that cover only a part of the speech, or another speech; 0 for all others.
_PARTIAL = {"forced": 1, "commentary": 2}
_PURPOSE_NOTES = {
    "forced": ("only forced captions: most speech is missing",),
    "commentary": ("captions of a commentary, not of the title",),
}
_MAX_PAIRS = 2_000_000  # pairs of a cue and a shot; cues on screen for a whole film are rare
_MAX_CHARACTERS = 100_000_000  # of all shots' texts
# A cue that overlaps the next shot by a few frames does not belong to that shot.
_ENOUGH_SECONDS = 0.5
_ENOUGH_SHARE = 0.5
_ROUNDING_S = 1e-6


class ShotTextSummary(NamedTuple):
    """Counts of the assignment of cues to shots.

    Attributes:
        cues_read: cues of the source.
        cues_used: cues that were assigned to at least one shot.
        cues_past_end: dropped cues that start at or after the end of the media.
        cues_before_start: dropped cues that end before the media starts.
        shots_with_text: number of shots that have a cue.
        first_captioned_shot: `shot_index` of the first of them.
    """

    cues_read: int
    cues_used: int
    cues_past_end: int
    cues_before_start: int
    shots_with_text: int
    first_captioned_shot: int | None


class CaptionReaders(Protocol):
    """The two functions that read a source of timed text, in this process or in a child."""

    def side_file(
        self, file: TitleFile, language: str | None = None, title_language: str | None = None
    ) -> TimedText:
        """See `read_side_file`."""
        ...

    def embedded(
        self,
        file: TitleFile,
        stream: "SubtitleStream",
        origin_s: float,
        progress: Callable[[float], None] = lambda _seconds: None,
        title_language: str | None = None,
    ) -> TimedText:
        """See `read_embedded`."""
        ...


class _InThisProcess:
    """The readers of this process."""

    side_file = staticmethod(read_side_file)
    embedded = staticmethod(read_embedded)


def read_timed_text(
    open_file: Callable[[str], AbstractContextManager[TitleFile]],
    media: str,
    probe: "MediaProbe",
    side_files: Sequence[SideFile],
    language: str,
    progress: Callable[[float], None] = lambda _share: None,
    readers: "CaptionReaders | None" = None,
) -> TimedText:
    """Read the timed text of a title, from one of its side files or from a track in the media.

    The first source in the order of `ranked` that is not empty is used.

    Args:
        open_file: opens a file of the title folder by its name; only files to be read are opened.
        media: the media file's name.
        probe: its streams. Image-based tracks (DVD, Blu-ray, DVB) hold no text and are skipped.
        side_files: subtitle files beside it.
        language: the title's.
        progress: called with the fraction of an embedded track that has been read.
        readers: functions that read the sources; those of this process by default.

    Returns:
        The source and its cues. If all sources are empty, the first one without cues; if there is
        none, a source of kind `none`.

    Raises:
        TitleError: the file or track that comes first in the order is damaged.
    """
    readers = readers or _InThisProcess()
    names = [side_file.name for side_file in side_files]
    names += [stream_name(stream) for stream in probe.subtitles]
    length_s = probe.duration_s
    empty: list[TimedTextSource] = []
    for chosen in ranked(language, side_files, list(filter(_holds_text, probe.subtitles))):
        if isinstance(chosen, SideFile):
            with open_file(chosen.name) as file:
                source, cues = readers.side_file(file, chosen.language, language)
        else:
            with open_file(media) as file:
                source, cues = readers.embedded(
                    file,
                    chosen,
                    probe.start_s,
                    lambda seconds: progress(seconds / length_s if length_s else 0.0),
                    language,
                )
        purpose = caption_purpose(chosen)
        source = replace(source, purpose=purpose)
        if cues:
            notes = (*_PURPOSE_NOTES.get(purpose, ()), *source.notes, *_empty_notes(empty))
            passed_over = tuple(name for name in names if name != source.name)
            return TimedText(replace(source, notes=notes, passed_over=passed_over), cues)
        empty.append(source)
    if not empty:
        return TimedText(TimedTextSource("none", passed_over=tuple(names)), ())
    first = empty[0]
    return TimedText(
        replace(
            first,
            notes=_empty_notes(empty),
            passed_over=tuple(name for name in names if name != first.name),
        ),
        (),
    )


def ranked(
    language: str, side_files: Sequence[SideFile], streams: Sequence["SubtitleStream"]
) -> list["SideFile | SubtitleStream"]:
    """Rank the usable sources, best first.

    Sort keys in order:

    1. Purpose: full captions, forced ones, those of a commentary, whatever their language, because
       full captions hold all speech of the title.
    2. Language: the title's (side files that name it, side files that name none, tracks), then
       others (side files, undetermined tracks, tracks).
    3. Exact tag: the title's own (`pt-BR`) before other tags of its language.
    4. Captions without descriptions for the hearing impaired before those with them.
    5. The order given.
    """
    wanted = primary_language(language)
    exactly = language.casefold()

    def rank(source: "SideFile | SubtitleStream") -> tuple[int | bool, ...]:
        purpose = caption_purpose(source)
        is_track = not isinstance(source, SideFile)
        spoken = primary_language(source.language)
        is_named = spoken is not None
        if wanted is None:
            is_of_title, rank = True, 2 * is_track + is_named
        elif spoken == wanted or not (is_named or is_track):
            is_of_title, rank = True, 2 if is_track else not is_named
        else:
            is_of_title, rank = False, is_track + (is_track and is_named)
        return (
            _PARTIAL.get(purpose, 0),
            not is_of_title,
            rank,
            (source.language or "").casefold() != exactly,
            purpose == "hearing_impaired",
        )

    sources: list[SideFile | SubtitleStream] = [*side_files, *streams]
    return sorted((each for each in sources if caption_purpose(each) != "no_captions"), key=rank)


def caption_purpose(source: "SideFile | SubtitleStream") -> CaptionPurpose:
    """Return the purpose of captions, from their name or from the flags and name of their track."""
    if isinstance(source, SideFile):
        return source.purpose
    if source.commentary:
        return "commentary"
    if source.forced:
        return "forced"
    return "hearing_impaired" if source.hearing_impaired else "full"


def timed_text_per_shot(cues: Sequence[Cue], shots: pa.Table) -> tuple[pa.Table, ShotTextSummary]:
    """Assign cues to the shots of a title.

    A cue belongs to every shot that it overlaps by half a second or by half of its own length, and
    to the shot with the longest overlap, the earlier one of two equals. A shot's text is the text
    of its cues sorted by time, joined by a space; null without cues.

    Args:
        cues: sorted by time.
        shots: one title's shots: `title_id, shot_index, start_s, end_s`, in order.

    Returns:
        A table of `SHOT_TEXT_SCHEMA`, a row per shot, and a summary.

    Raises:
        TitleError: the cues cover so many shots each that the text exceeds a limit.
    """
    shot_starts = shots["start_s"].to_numpy()
    shot_ends = shots["end_s"].to_numpy()
    starts = np.array([cue.start_s for cue in cues], dtype=np.float64)  # [cues]
    ends = np.array([cue.end_s for cue in cues], dtype=np.float64)  # [cues]
    is_past = starts >= shot_ends[-1]
    is_before = ~is_past & (ends <= shot_starts[0]) & (starts < shot_starts[0])
    inside = np.flatnonzero(~is_past & ~is_before)
    _require_plausible_size(cues, inside, starts, ends, shots)
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
        cues_past_end=int(is_past.sum()),
        cues_before_start=int(is_before.sum()),
        shots_with_text=len(captioned),
        first_captioned_shot=(
            shots["shot_index"][int(captioned.min())].as_py() if len(captioned) else None
        ),
    )
    return table, summary


def _empty_notes(empty: Sequence[TimedTextSource]) -> tuple[str, ...]:
    return tuple(
        note for source in empty for note in (source.notes or (f"{source.name} holds no cue",))
    )


def _holds_text(stream: "SubtitleStream") -> bool:
    import av

    try:
        return bool(av.Codec(stream.codec, "r").text_sub)
    except av.codec.codec.UnknownCodecError:
        return False


def _require_plausible_size(
    cues: Sequence[Cue], inside: Indices, starts: Seconds, ends: Seconds, shots: pa.Table
) -> None:
    """Refuse cues that would give more text than a title can have."""
    first = np.searchsorted(shots["end_s"].to_numpy(), starts[inside], side="right")
    last = np.searchsorted(shots["start_s"].to_numpy(), ends[inside], side="left")
    shots_of_cue = np.maximum(last - first, 1)  # [inside]
    lengths = np.array([len(cues[index].text) for index in inside], dtype=np.int64)
    pairs, characters = int(shots_of_cue.sum()), int(shots_of_cue @ lengths)
    if pairs > _MAX_PAIRS or characters > _MAX_CHARACTERS:
        raise TitleError(
            f"{shots['title_id'][0]}: {len(inside)} cues cover {pairs} shots with {characters} "
            "characters, far more than a title has: correct the ends of the cues."
        )


def _longest_of_each(group: Indices, seconds: Seconds) -> Indices:
    """Return the index of the longest pair of each group, the first of equals.

    Pairs of one group are consecutive.
    """
    order = np.lexsort((np.arange(len(group)), -seconds, group))
    _, first = np.unique(group[order], return_index=True)
    return order[first]
