"""Vectors of units from a network: in their title's context, alone, as a prefix, of the title.

A network computes all requested vectors while it is loaded, and writes them to files that are
mapped into memory. So each network is loaded once, and never two at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mediafm_core.clips.pooling import ClipSlice, pool
from mediafm_core.disk.atomic import atomic_file
from mediafm_core.evaluation.cpu_clock import CpuClock
from mediafm_core.evaluation.networks import Networks
from mediafm_core.evaluation.units import NotMeasurableError, TitleUnits, Units, with_zeros_for
from mediafm_core.identity import digest_of
from mediafm_core.runtime.precision import Precision

if TYPE_CHECKING:
    from mediafm_core.model.network import MediaFM


IN_CONTEXT = "in_context"

_LEAST_PROBABILITY = 1e-4  # of a scene start; a title's first shot has probability 0


class VectorRequest(NamedTuple):
    """Kind of vectors to compute with a network.

    Attributes:
        mode: Input of the network. `in_context`: the whole title, of which the unit is a slice;
            `alone`: the unit's shots only; `prefix`: the unit's shots and all shots before them;
            `title`: the whole title, for the title's own vector, the same for all of its units;
            `scenes`: the whole title, for the log-odds of a scene that starts with the unit.
        zeroed: Modality that is set to zero in the input.
    """

    mode: Literal["in_context", "alone", "prefix", "title", "scenes"]
    zeroed: str | None = None


@dataclass
class NetworkVectors:
    """Vectors of units from the networks of folds, kept in files.

    Attributes:
        networks: Networks of the folds.
        requests: All kinds of vectors that will be requested, each with the name of the first
            representation that needs it.
        folder: Folder of the files.
        clock: Clock of the CPU time of trainings and vectors.
        precision: Precision of the networks' computation.
    """

    networks: Networks
    requests: dict[VectorRequest, str]
    folder: Path
    clock: CpuClock
    precision: Precision = "float32"

    def vectors(self, fold: int, request: VectorRequest) -> np.ndarray:
        """Return the vectors of all units from a fold's network, computing missing ones.

        Returns:
            float32 `[n, h]`, mapped from a file. In the modes `alone` and `prefix`, units without a
            label are skipped and have zeros.

        Raises:
            NotMeasurableError: A shot has no vector of another modality than the zeroed one.
        """
        with self.clock.working("training", self._name):
            path = self._path(fold, request)
        if not path.exists():
            network = self.networks.network(fold)
            for each in dict.fromkeys([request, *self.requests]):
                wanted = self._path(fold, each)
                if wanted.exists():
                    continue
                try:
                    with self.clock.working("vectors", self.requests[each]):
                        computed = compute_vectors(
                            network, self.networks.units, each, self.precision
                        )
                except NotMeasurableError:
                    if each == request:
                        raise
                    continue  # raised by the call that requests these vectors
                wanted.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(wanted) as prepared:
                    np.save(prepared, computed)
        vectors: np.ndarray = np.load(path, mmap_mode="r")
        return vectors

    @property
    def _name(self) -> str:
        """Representation that names the networks: `in_context` where it is one of theirs."""
        names = list(self.requests.values())
        return IN_CONTEXT if IN_CONTEXT in names else names[0]

    def _path(self, fold: int, request: VectorRequest) -> Path:
        key = digest_of(self.networks.units.digest, *map(str, request), self.precision)
        return self.folder / self.networks.identity(fold) / f"{request.mode}-{key}.npy"


def compute_vectors(
    network: "MediaFM", units: Units, request: VectorRequest, precision: Precision
) -> np.ndarray:
    """Compute the vectors of all units with a network.

    Returns:
        float32 `[n, h]`.

    Raises:
        NotMeasurableError: A shot has no vector of another modality than the zeroed one.
    """
    if request.zeroed is not None:
        units = with_zeros_for(units, request.zeroed)
    if request.mode == "scenes":
        return units.describe(partial(_scenes, network))
    if request.mode in ("in_context", "title"):
        return _whole_titles(network, units, request.mode == "title", precision)
    return _spans(network, units, request.mode == "prefix", precision)


def _scenes(network: "MediaFM", title: TitleUnits) -> np.ndarray:
    """Compute log-odds `[k, 1]`, which a linear probe of one column leaves in their order."""
    from mediafm_core.inference.scenes import title_scenes

    found = title_scenes(network, title.fused, title.metadata, title_id=title.title_id)
    odds = found.probability.clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(odds / (1 - odds))[title.spans[:, :1]]


def _whole_titles(
    network: "MediaFM", units: Units, title_vector: bool, precision: Precision
) -> np.ndarray:
    from mediafm_core.inference.batching import TitleInput
    from mediafm_core.inference.whole_title import contextualise_titles

    vectors = np.empty((len(units.title_of), network.config.context_size), dtype=np.float32)
    pending: list[tuple[slice, TitleUnits]] = []

    def inputs() -> Iterator[TitleInput]:
        for rows, title in units.each_title():
            pending.append((rows, title))
            yield TitleInput(title.fused, title.metadata, title.title_id)

    for output in contextualise_titles(network, inputs(), precision=precision):
        rows, title = pending.pop(0)
        vectors[rows] = output.title if title_vector else title.pool(output.shots)
    return vectors


def _spans(network: "MediaFM", units: Units, prefix: bool, precision: Precision) -> np.ndarray:
    known = units.labels.known
    vectors = np.zeros((len(known), network.config.context_size), dtype=np.float32)
    for rows, title in units.each_title():
        labelled = np.flatnonzero(known[rows])
        if len(labelled):
            embed = _embed_shots if title.weights is None else _embed_clips
            vectors[rows.start + labelled] = embed(network, title, labelled, prefix, precision)
    return vectors


def _embed_shots(
    network: "MediaFM", title: TitleUnits, units: np.ndarray, prefix: bool, precision: Precision
) -> np.ndarray:
    """Embed single shots. `alone` is a window of one shot that ends with the shot."""
    from mediafm_core.inference.streaming import embed_up_to

    return embed_up_to(
        network,
        title.fused,
        units + 1,
        title.metadata,
        look_back=None if prefix else 1,
        title_id=title.title_id,
        precision=precision,
    )


def _embed_clips(
    network: "MediaFM", title: TitleUnits, units: np.ndarray, prefix: bool, precision: Precision
) -> np.ndarray:
    """Embed clips, each with a pass of its own over shots that end where the clip ends."""
    from mediafm_core.inference.batching import TitleInput
    from mediafm_core.inference.whole_title import contextualise_titles

    assert title.weights is not None  # noqa: S101
    spans = title.spans[units]
    starts = spans[:, 0]
    if prefix:  # as many shots as the network reads at once, but at least the clip's own
        starts = np.minimum(starts, np.maximum(0, spans[:, 1] - network.config.max_shots))
    seconds = np.split(title.weights.seconds, title.weights.offsets()[1:])
    outputs = contextualise_titles(
        network,
        (
            TitleInput(title.fused[start:stop], title.metadata, title.title_id)
            for start, stop in zip(starts, spans[:, 1], strict=True)
        ),
        precision=precision,
    )
    vectors = np.empty((len(units), network.config.context_size), dtype=np.float32)
    for row, (output, unit, start, (first, stop)) in enumerate(
        zip(outputs, units, starts, spans, strict=True)
    ):
        clip = ClipSlice(int(first - start), int(stop - start) - 1, seconds[unit])
        vectors[row] = pool(output.shots, clip.weights)[0]
    return vectors
