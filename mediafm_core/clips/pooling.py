"""Clip pooling: the shots that a clip overlaps, and the weighted mean of their vectors.

A change of the result needs a new code version of `clip_features` in `mediafm_core.pipeline.graph`,
and of `mediafm_core.pipeline.releases.stored_evaluation`.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from mediafm_core.clips.title_clips import END_TOLERANCE_S
from mediafm_core.errors import MediaFMError, TitleError
from mediafm_core.overlaps import OverlappingPairs, Seconds, overlapping_pairs

# Largest number of values gathered at once, 64 MiB in float64.
_GATHERED_VALUES = 1 << 23


class ClipSlice(NamedTuple):
    """The shots of one clip.

    Attributes:
        first: row of the first shot.
        last: row of the last shot, inclusive.
        seconds: of overlap with each shot, `[last - first + 1]`.
    """

    first: int
    last: int
    seconds: Seconds

    @property
    def rows(self) -> slice:
        """Slice of the clip's rows in tables and matrices with a row per shot."""
        return slice(self.first, self.last + 1)

    @property
    def weights(self) -> OverlappingPairs:
        """Weights of this one clip for `pool`."""
        count = len(self.seconds)
        shots = np.arange(self.first, self.last + 1)
        return OverlappingPairs(np.zeros(count, np.int64), shots, self.seconds)


def overlap_weights(clips: pa.Table, shots: pa.Table) -> OverlappingPairs:
    """Return the shots that each clip overlaps, with the seconds of overlap as weights.

    Args:
        clips: `clip_id, start_s, end_s`, in any order.
        shots: one title's shots, in order.

    Raises:
        TitleError: a clip overlaps no shot.
    """
    shot_starts, shot_ends = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    starts, ends = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
    pairs = overlapping_pairs(starts, ends, shot_starts, shot_ends)
    outside = pairs.interval[pairs.seconds <= 0]
    if len(outside):
        clip = int(outside[0])
        raise TitleError(
            f"{shots['title_id'][0]}: clip {clips['clip_id'][clip].as_py()!r} from "
            f"{starts[clip]:g} to {ends[clip]:g} s overlaps no shot: keep it between "
            f"{shot_starts[0]:.3f} and {shot_ends[-1]:.3f} s."
        )
    return pairs


def clip_slice(shots: pa.Table, start_s: float, end_s: float) -> ClipSlice:
    """Return the shots of the clip between two times.

    Times at most 50 ms outside the title are clamped to its start and end.

    Raises:
        TitleError: the end is not after the start, or the clip reaches outside the title.
    """
    _, shot, seconds = span_weights(shots, [(start_s, end_s)])
    return ClipSlice(int(shot[0]), int(shot[-1]), seconds)


def span_weights(shots: pa.Table, spans_s: ArrayLike) -> OverlappingPairs:
    """Return the weights of many spans of a title at once; see `clip_slice`.

    Args:
        shots: one title's shots, in order.
        spans_s: `[k, 2]`, start and end of each in seconds, in any order.

    Raises:
        TitleError: the end of a span is not after its start, or the span reaches outside the
            title; the message names the first such span.
        MediaFMError: the array has another shape.
    """
    spans = as_pairs(spans_s)
    shot_starts, shot_ends = shots["start_s"].to_numpy(), shots["end_s"].to_numpy()
    title_start, title_end = shot_starts[0], shot_ends[-1]
    starts = np.maximum(spans[:, 0], title_start)
    ends = np.minimum(spans[:, 1], title_end)
    outside = np.maximum(starts - spans[:, 0], spans[:, 1] - ends) > END_TOLERANCE_S
    unusable = np.flatnonzero(~(starts < ends) | outside)
    if len(unusable):
        start_s, end_s = spans[unusable[0]]
        raise TitleError(
            f"{shots['title_id'][0]}: no clip goes from {start_s:g} to {end_s:g} s: take a start "
            f"and a later end between {title_start:.3f} and {title_end:.3f} s."
        )
    return overlapping_pairs(starts, ends, shot_starts, shot_ends)


def as_pairs(spans: ArrayLike) -> NDArray[np.float64]:
    """Convert starts and ends to `[k, 2]`; an empty list gives `[0, 2]`.

    Raises:
        MediaFMError: the array has another shape.
    """
    pairs = np.asarray(spans, dtype=np.float64)
    if not pairs.size:
        return pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise MediaFMError(f"Spans have the shape {pairs.shape}: give [k, 2], starts and ends.")
    return pairs


def pool(shot_vectors: NDArray[np.floating], weights: OverlappingPairs) -> NDArray[np.float32]:
    """Compute the mean of each clip's shot vectors, weighted by seconds of overlap.

    The mean is not scaled to unit length, so that a clip's vector can be compared with, and
    combined from, the vectors of its parts.

    Args:
        shot_vectors: `[shots, dimension]`.
        weights: from `overlap_weights`.

    Returns:
        `[clips, dimension]` float32, accumulated in float64.
    """
    dimension = shot_vectors.shape[1]
    if not len(weights.seconds):
        return np.empty((0, dimension), np.float32)
    offsets = weights.offsets()
    share = weights.seconds / np.repeat(
        np.add.reduceat(weights.seconds, offsets), np.diff(offsets, append=len(weights.seconds))
    )  # [pairs]; the shares of a clip sum to one
    pooled = np.empty((len(offsets), dimension), np.float32)
    # In blocks of columns to bound memory: overlapping clips give far more pairs than shots.
    width = max(1, _GATHERED_VALUES // len(share))
    for start in range(0, dimension, width):
        block = slice(start, start + width)
        weighted = shot_vectors[:, block][weights.shot] * share[:, None]  # [pairs, width]
        pooled[:, block] = np.add.reduceat(weighted, offsets, axis=0)
    return pooled
