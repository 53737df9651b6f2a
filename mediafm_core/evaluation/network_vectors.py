"""What a network says of units: in their title's context, alone, up to now, and of the title.

A network is asked everything at once while it is there, and what it says is kept in files that are
mapped into memory: each network is loaded once and never two at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.evaluation.networks import Networks
from mediafm_core.evaluation.units import NotMeasurableError, TitleUnits, Units, with_zeros_for
from mediafm_core.identity import digest_of
from mediafm_core.runtime.precision import Precision

if TYPE_CHECKING:
    from mediafm_core.model.network import MediaFM


class Reading(NamedTuple):
    """One way to ask a network.

    Attributes:
        mode: `in_context`: the whole title is read and the unit is a slice of it; `alone`: nothing
            but the unit's shots; `prefix`: these and what came before; `title`: the title's own
            vector, the same for all of its units.
        zeroed: modality that is set to zero first.
    """

    mode: Literal["in_context", "alone", "prefix", "title"]
    zeroed: str | None = None


@dataclass
class Readings:
    """What networks say of units.

    Attributes:
        networks: of the folds.
        asked: everything that will be asked of them.
        folder: of the files.
        arithmetic: of the networks.
    """

    networks: Networks
    asked: list[Reading]
    folder: Path
    arithmetic: Precision = "float32"

    def vectors(self, fold: int, reading: Reading) -> np.ndarray:
        """The vectors of all units as a fold's network reads them.

        Returns:
            float32 `[n, h]`, mapped from a file. Alone and as a prefix, units without a label are
            not read and zero.

        Raises:
            NotMeasurableError: without a modality nothing is left of a shot.
        """
        path = self._path(fold, reading)
        if not path.exists():
            network = self.networks.network(fold)
            for each in dict.fromkeys([reading, *self.asked]):
                wanted = self._path(fold, each)
                if wanted.exists():
                    continue
                try:
                    said = read_units(network, self.networks.units, each, self.arithmetic)
                except NotMeasurableError:
                    if each == reading:
                        raise
                    continue  # it is raised when this one is asked for
                wanted.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(wanted) as prepared:
                    np.save(prepared, said)
        vectors: np.ndarray = np.load(path, mmap_mode="r")
        return vectors

    def _path(self, fold: int, reading: Reading) -> Path:
        key = digest_of(self.networks.units.digest, *map(str, reading), self.arithmetic)
        return self.folder / self.networks.identity(fold) / f"{reading.mode}-{key}.npy"


def read_units(
    network: "MediaFM", units: Units, reading: Reading, arithmetic: Precision
) -> np.ndarray:
    """Ask a network of all units.

    Returns:
        float32 `[n, h]`.

    Raises:
        NotMeasurableError: without a modality nothing is left of a shot.
    """
    if reading.zeroed is not None:
        units = with_zeros_for(units, reading.zeroed)
    if reading.mode in ("in_context", "title"):
        return _whole_titles(network, units, reading.mode == "title", arithmetic)
    return _spans(network, units, reading.mode == "prefix", arithmetic)


def _whole_titles(
    network: "MediaFM", units: Units, title_vector: bool, arithmetic: Precision
) -> np.ndarray:
    from mediafm_core.inference.batching import TitleInput
    from mediafm_core.inference.whole_title import contextualise_titles

    vectors = np.empty((len(units.title_of), network.config.hidden_size), dtype=np.float32)
    read_ahead: list[tuple[slice, TitleUnits]] = []

    def inputs() -> Iterator[TitleInput]:
        for rows, title in units.each_title():
            read_ahead.append((rows, title))
            yield TitleInput(title.fused, title.metadata, title.title_id)

    for found in contextualise_titles(network, inputs(), arithmetic=arithmetic):
        rows, title = read_ahead.pop(0)
        vectors[rows] = found.title if title_vector else title.pool(found.shots)
    return vectors


def _spans(network: "MediaFM", units: Units, prefix: bool, arithmetic: Precision) -> np.ndarray:
    known = units.labels.known
    vectors = np.zeros((len(known), network.config.hidden_size), dtype=np.float32)
    for rows, title in units.each_title():
        asked = np.flatnonzero(known[rows])
        if len(asked):
            read = _shots_of if title.weights is None else _clips_of
            vectors[rows.start + asked] = read(network, title, asked, prefix, arithmetic)
    return vectors


def _shots_of(
    network: "MediaFM", title: TitleUnits, asked: np.ndarray, prefix: bool, arithmetic: Precision
) -> np.ndarray:
    """Vectors of single shots; one that is alone is the end of a window of one."""
    from mediafm_core.inference.streaming import embed_up_to

    return embed_up_to(
        network,
        title.fused,
        asked + 1,
        title.metadata,
        look_back=None if prefix else 1,
        title_id=title.title_id,
        arithmetic=arithmetic,
    )


def _clips_of(
    network: "MediaFM", title: TitleUnits, asked: np.ndarray, prefix: bool, arithmetic: Precision
) -> np.ndarray:
    """Vectors of clips, each from a reading of its own that ends where the clip ends."""
    from mediafm_core.inference.batching import TitleInput
    from mediafm_core.inference.whole_title import contextualise_titles

    assert title.weights is not None  # noqa: S101
    spans = title.spans[asked]
    starts = spans[:, 0]
    if prefix:  # all that the network reads at once, and the clip's own shots in any case
        starts = np.minimum(starts, np.maximum(0, spans[:, 1] - network.config.max_shots))
    seconds = np.split(title.weights.seconds, title.weights.offsets()[1:])
    found = contextualise_titles(
        network,
        (
            TitleInput(title.fused[start:stop], title.metadata, title.title_id)
            for start, stop in zip(starts, spans[:, 1], strict=True)
        ),
        arithmetic=arithmetic,
    )
    return np.stack(
        [
            np.average(read.shots[first - start :], axis=0, weights=seconds[unit])
            for read, unit, start, first in zip(found, asked, starts, spans[:, 0], strict=True)
        ]
    ).astype(np.float32)
