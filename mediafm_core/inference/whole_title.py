"""Contextual vectors of whole titles.

A title's contextual vectors are computed once and every clip is a slice of them. Titles longer than
the network's `max_shots` are read in overlapping windows that are cross-faded.

Imports torch: import this module only where vectors are computed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.errors import TitleError
from mediafm_core.inference.batching import (
    CheckedTitle,
    ShotSequence,
    TitleInput,
    checked,
    inference,
    read_sequences,
    shots_per_batch,
)
from mediafm_core.model.network import MediaFM
from mediafm_core.runtime.precision import Precision
from mediafm_core.runtime.prefetch import prefetch

# Titles are grouped until they fill so many batches: enough to find similar lengths.
_BATCHES_AHEAD = 4


class Contextual(NamedTuple):
    """Contextual vectors of a title."""

    shots: np.ndarray  # [n, c] float32, `c` the network's `context_size`
    title: np.ndarray  # [c] float32


class Windows(NamedTuple):
    """Equally long windows over a title, and their weights.

    Attributes:
        starts: `[windows]` int64, first shot of each.
        weights: `[windows, length]` float32, share of the window in each shot's vector.
    """

    starts: np.ndarray
    weights: np.ndarray


def windows(shots: int, max_shots: int) -> Windows:
    """Return cross-faded windows over a title.

    Neighbours overlap by half or more, evenly over the title. A window's weight falls linearly to
    zero towards its inner edges, where it lacks context on one side; the weights of a shot sum to
    one, so that vectors do not jump where a window starts or stops. The title's own start and end
    are no inner edges.

    Args:
        shots: of the title, at least 1.
        max_shots: of one window, at least 1.
    """
    length = min(shots, max_shots)
    stride = max(1, length // 2)
    count = 1 + -(-(shots - length) // stride)
    starts = np.linspace(0, shots - length, count).astype(np.int64)
    middle = np.arange(length) + 0.5
    from_start, to_end = np.tile(middle, (count, 1)), np.tile(length - middle, (count, 1))
    from_start[0] = to_end[-1] = length
    weights = np.minimum(from_start, to_end)  # [windows, length]
    rows = starts[:, None] + np.arange(length)
    total = np.bincount(rows.ravel(), weights.ravel(), shots)  # [shots]
    return Windows(starts, (weights / total[rows]).astype(np.float32))


def contextualise(
    network: MediaFM,
    fused: np.ndarray,
    global_vector: np.ndarray | None = None,
    *,
    title_id: str = "the title",
    max_shots: int | None = None,
    precision: Precision = "float32",
    progress: Callable[[float], None] = lambda _share: None,
) -> Contextual:
    """Compute the contextual vectors of a whole title.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        fused: `[n, d]` fused vectors of all shots in order.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        title_id: named in errors.
        max_shots: of one window; None uses the network's.
        precision: of the network; the vectors are float32.
        progress: called after each window with the completed fraction.

    Returns:
        float32 vectors from the network's context layer. The title's vector is the mean over
        windows, each weighted by its share in the shots' vectors.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    title = checked(network, TitleInput(fused, global_vector, title_id))
    (result,) = _read_together(
        network, [title], max_shots or network.config.max_shots, None, precision, progress
    )
    return result


def contextualise_titles(
    network: MediaFM,
    titles: Iterable[TitleInput],
    *,
    batch_shots: int | None = None,
    precision: Precision = "float32",
) -> Iterator[Contextual]:
    """Compute the contextual vectors of many titles, equal to those of `contextualise` to 1e-5.

    Windows of several titles share a batch, which keeps a GPU busy on short titles. Memory is that
    of a few batches' titles, or of two titles if that is more.

    Args:
        network: as in `contextualise`.
        titles: consumed lazily, some prefetched in a thread while the network reads others.
        batch_shots: bound of a batch in shots; None uses the default of the network's device.
        precision: as in `contextualise`.

    Yields:
        The titles in their order.

    Raises:
        TitleError: as `contextualise`, after the titles before the faulty one were yielded.
    """
    enough = _BATCHES_AHEAD * (batch_shots or shots_per_batch(network))
    with closing(prefetch(_groups(network, titles, enough))) as groups:
        for group in groups:
            yield from _read_together(
                network, group, network.config.max_shots, batch_shots, precision
            )


def embed_alone(
    network: MediaFM,
    fused_clip: np.ndarray,
    global_vector: np.ndarray | None = None,
    *,
    title_id: str = "the title",
    precision: Precision = "float32",
) -> Contextual:
    """Compute a clip's vectors without its title's other shots, to compare with those in context.

    Args:
        network: as in `contextualise`.
        fused_clip: `[n, d]` fused vectors of the clip's own shots.
        global_vector: as in `contextualise`: the metadata apply to the clip as well.
        title_id: named in errors.
        precision: as in `contextualise`.

    Raises:
        TitleError: as `contextualise`.
    """
    return contextualise(network, fused_clip, global_vector, title_id=title_id, precision=precision)


def _groups(
    network: MediaFM, titles: Iterable[TitleInput], enough: int
) -> Iterator[list[CheckedTitle]]:
    """Yield groups of checked titles with enough shots, also those before a faulty title."""
    group: list[CheckedTitle] = []
    shots = 0
    for title in titles:
        try:
            group.append(checked(network, title))
        except TitleError:
            yield group
            raise
        shots += len(title.fused)
        if shots >= enough:
            yield group
            group, shots = [], 0
    yield group


def _read_together(
    network: MediaFM,
    titles: Sequence[CheckedTitle],
    max_shots: int,
    batch_shots: int | None,
    precision: Precision,
    progress: Callable[[float], None] = lambda _share: None,
) -> list[Contextual]:
    """Compute the vectors of checked titles, whose windows are batched together."""
    device, width = network.device, network.config.context_size
    sequences: list[ShotSequence] = []
    weights: list[torch.Tensor] = []  # [length] each, one per sequence
    for index, title in enumerate(titles):
        plan = windows(len(title.fused), max_shots)
        length = plan.weights.shape[1]
        sequences += [ShotSequence(index, start, start + length) for start in plan.starts.tolist()]
        weights += torch.from_numpy(plan.weights).to(device)
    with inference(network):
        shots = [torch.zeros(len(title.fused), width, device=device) for title in titles]
        whole = [torch.zeros(width, device=device) for _ in titles]
        reading = read_sequences(
            network, titles, sequences, batch_shots=batch_shots, precision=precision
        )
        for count, read in enumerate(reading, start=1):
            progress(count / len(sequences))
            sequence, weight = sequences[read.sequence], weights[read.sequence]
            shots[sequence.title][sequence.start : sequence.stop].addcmul_(
                weight[:, None], read.shots
            )
            whole[sequence.title].add_(read.title * (weight.sum() / len(shots[sequence.title])))
    return [
        Contextual(vectors.cpu().numpy(), vector.cpu().numpy())
        for vectors, vector in zip(shots, whole, strict=True)
    ]
