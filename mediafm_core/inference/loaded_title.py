"""Vectors of any number of clips from one inference over a title, without a store.

    title = TitleInContext.read(network, fused, metadata, times_s=times)
    title.spans([(61.0, 74.5), (0.0, 30.0)])     # [2, h], by seconds
    title.shot_ranges([(3, 9)])                  # [1, h], by shots

A clip's vector is a slice of the title's inference, pooled as the catalogue's clips are, so that
the network runs once for thousands of clips.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from mediafm_core.clips.pooling import as_pairs, pool, span_weights
from mediafm_core.clips.vector_choice import VectorChoice, chosen_vectors
from mediafm_core.errors import TitleError
from mediafm_core.runtime.precision import Precision

if TYPE_CHECKING:
    from mediafm_core.model.network import MediaFM


@dataclass(frozen=True, eq=False)
class TitleInContext:
    """Contextual vectors of a title and the times of its shots.

    Attributes:
        title_id: named in errors.
        shots: `[n, h]` float32, the contextual vector of each shot.
        title: `[h]` float32, the title's own vector.
        times_s: `[n + 1]` seconds, ascending: each shot's start, and the last one's end.
        fused: `[n, d]` float32, the fused vector of each shot, which the network has read.
    """

    title_id: str
    shots: np.ndarray
    title: np.ndarray
    times_s: np.ndarray
    fused: np.ndarray

    @classmethod
    def read(
        cls,
        network: "MediaFM",
        fused: np.ndarray,
        global_vector: np.ndarray | None = None,
        *,
        times_s: ArrayLike | None = None,
        title_id: str = "the title",
        precision: Precision = "float32",
    ) -> "TitleInContext":
        """Run the network once over the whole title.

        Args:
            network: a trained network; runs on its own device, in evaluation mode.
            fused: `[n, d]` fused vectors of all shots in order.
            global_vector: `[g]` metadata embedding, None for a title without metadata.
            times_s: `[n + 1]` seconds, each shot's start and the last one's end. Without them every
                shot lasts one second.
            title_id: named in errors.
            precision: of the network; the vectors are float32.

        Raises:
            TitleError: unusable vectors, or times that do not ascend or whose number is not one
                more than that of the shots.
        """
        from mediafm_core.inference.whole_title import contextualise

        count = len(fused)
        times = np.asarray(np.arange(count + 1) if times_s is None else times_s, dtype=np.float64)
        if times.shape != (count + 1,) or not (np.diff(times) > 0).all():
            raise TitleError(
                f"{title_id} has {count} shots and times of shape {times.shape}: give {count + 1} "
                "ascending ones, the start of each shot and the end of the last."
            )
        result = contextualise(
            network, fused, global_vector, title_id=title_id, precision=precision
        )
        return cls(title_id, result.shots, result.title, times, fused)

    def spans(self, spans_s: ArrayLike, vectors: VectorChoice = "context") -> np.ndarray:
        """Pool the vectors of spans of time, weighting shots by their seconds of overlap.

        Args:
            spans_s: `[k, 2]`, start and end (exclusive) of each in seconds, in any order.
            vectors: `context`, `fused`, or `both` side by side, the contextual one first.

        Returns:
            float32 `[k, h]`, `[k, d]` or `[k, h + d]`.

        Raises:
            TitleError: a span ends before it starts or reaches outside the title.
            MediaFMError: these are no spans, or there are no such vectors.
        """
        weights = span_weights(self._table(), spans_s)
        return chosen_vectors(
            vectors, lambda: pool(self.shots, weights), lambda: pool(self.fused, weights)
        )

    def shot_ranges(self, ranges: ArrayLike, vectors: VectorChoice = "context") -> np.ndarray:
        """Pool the vectors of ranges of whole shots, weighting shots by their seconds.

        Args:
            ranges: `[k, 2]` whole numbers, first shot and the one after the last of each.
            vectors: as of `spans`.

        Returns:
            float32 `[k, h]`, `[k, d]` or `[k, h + d]`.

        Raises:
            TitleError: a range without shots or outside the title.
            MediaFMError: these are no ranges.
        """
        bounds = as_pairs(ranges)
        first, stop = bounds.T
        usable = (first >= 0) & (first < stop) & (stop <= len(self.shots))
        usable &= (bounds % 1 == 0).all(axis=1)
        if not usable.all():
            first, stop = bounds[~usable][0]
            raise TitleError(
                f"{self.title_id} has no shots from {first:g} up to {stop:g}: take a first shot "
                f"and a later end between 0 and {len(self.shots)}, in whole numbers."
            )
        return self.spans(self.times_s[bounds.astype(np.int64)], vectors)

    def _table(self) -> pa.Table:
        return pa.table(
            {
                "title_id": pa.repeat(self.title_id, len(self.shots)),
                "start_s": self.times_s[:-1],
                "end_s": self.times_s[1:],
            }
        )
