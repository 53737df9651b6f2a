"""Data sets of an evaluation: units (shots, or clips of several shots) of whole titles.

A data set reads one title at a time, so that memory does not grow with a catalogue.
`mediafm_core.evaluation.table_units` and `.catalogue_units` read shots and labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from mediafm_core.clips.pooling import pool
from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.identity import digest_of
from mediafm_core.overlaps import OverlappingPairs
from mediafm_core.vectors import unit_length


class NotMeasurableError(MediaFMError):
    """A representation is undefined for this data set; the message gives the reason."""


@dataclass(frozen=True, eq=False)
class TitleUnits:
    """A title: its shots in order, and the units in it.

    Attributes:
        title_id: Identifier of the title.
        fused: `[s, d]` float32, the fused vector of every shot, of unit length.
        metadata: `[g]` float32 metadata embedding; None for a title without one.
        spans: `[k, 2]` int64, first shot of each unit and the shot after its last.
        weights: Shots of each unit with their seconds; None where every shot is a unit.
    """

    title_id: str
    fused: np.ndarray
    metadata: np.ndarray | None
    spans: np.ndarray
    weights: OverlappingPairs | None = None

    def pool(self, shots: np.ndarray) -> np.ndarray:
        """Pool the vectors of the shots, `[s, w]`, to those of the units, `[k, w]`."""
        return shots if self.weights is None else pool(shots, self.weights)


@dataclass(frozen=True, eq=False)
class Units:
    """A data set. Titles are sorted by name, the units of a title are consecutive.

    Attributes:
        source: Description of the data set for reports.
        digest: Digest of all inputs of the units' vectors.
        titles: Names of the titles.
        title_of: `[n]` int64, index in `titles` of every unit's title.
        names: `[n]`, name of every unit within its title: a shot index, a clip, or a span.
        ranges: Columns `[start, stop)` of each modality in the fused vectors.
        longest: Number of shots of the longest title.
        labels: Labels of the units.
        read: Function that reads the title at an index of `titles`.
        encoders: Identity of each modality's encoder where it is known.
        parts: `[n]` text, `train`, `validation` or `test`, of a fixed split; None without one.
    """

    source: str
    digest: str
    titles: list[str]
    title_of: np.ndarray
    names: np.ndarray
    ranges: dict[str, tuple[int, int]]
    longest: int
    labels: TaskLabels
    read: Callable[[int], TitleUnits]
    encoders: dict[str, str] = field(default_factory=dict)
    parts: np.ndarray | None = None

    def rows(self, index: int) -> slice:
        """Return the rows of the units of the title at an index."""
        first, stop = np.searchsorted(self.title_of, [index, index + 1])
        return slice(int(first), int(stop))

    def each_title(self) -> Iterator[tuple[slice, TitleUnits]]:
        """Read the titles one after the other, each with the rows of its units."""
        for index in range(len(self.titles)):
            yield self.rows(index), self.read(index)

    def describe(self, by: Callable[[TitleUnits], np.ndarray]) -> np.ndarray:
        """Compute the vectors of all units, float32 `[n, w]`.

        Args:
            by: Function that computes the vectors of a title's units, `[k, w]`.
        """
        vectors: np.ndarray | None = None
        for rows, title in self.each_title():
            described = by(title)
            if vectors is None:
                vectors = np.empty((len(self.title_of), described.shape[1]), dtype=np.float32)
            vectors[rows] = described
        assert vectors is not None, "a data set has titles"  # noqa: S101
        return vectors


def with_zeros_for(units: Units, modality: str) -> Units:
    """Set a modality to zero in every shot and scale the rest to unit length again.

    Reading a title raises NotMeasurableError where a shot has no vector of another modality.
    """
    columns = slice(*units.ranges[modality])

    def zeroed(fused: np.ndarray) -> np.ndarray:
        kept = fused.copy()
        kept[:, columns] = 0
        return kept

    return _changed(units, f"zeros for {modality}", modality, zeroed, units.ranges)


def without(units: Units, modality: str) -> Units:
    """Remove the columns of a modality from every shot and scale the rest to unit length again.

    Reading a title raises NotMeasurableError where a shot has no vector of another modality.
    """
    start, stop = units.ranges[modality]
    ranges = {
        name: (first - (stop - start), last - (stop - start)) if first >= stop else (first, last)
        for name, (first, last) in units.ranges.items()
        if name != modality
    }
    return _changed(
        units,
        f"without {modality}",
        modality,
        lambda fused: np.delete(fused, slice(start, stop), axis=1),
        ranges,
    )


def _changed(
    units: Units,
    change: str,
    modality: str,
    of_fused: Callable[[np.ndarray], np.ndarray],
    ranges: dict[str, tuple[int, int]],
) -> Units:
    def read(index: int) -> TitleUnits:
        title = units.read(index)
        fused = of_fused(title.fused)
        empty = np.flatnonzero(~fused.any(axis=1))
        if len(empty):
            raise NotMeasurableError(
                f"{title.title_id} has {len(empty)} shots with no vector but {modality}, the first "
                f"of them shot {empty[0]} in its order: they have no other vector."
            )
        return replace(title, fused=unit_length(fused))

    return replace(units, digest=digest_of(units.digest, change), ranges=ranges, read=read)
