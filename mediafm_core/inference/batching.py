"""Batched inference over sequences of shots of any number of titles, with little padding.

`mediafm_core.inference.whole_title` and `mediafm_core.inference.streaming` choose the sequences;
batching them changes no result beyond rounding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from mediafm_core.model.configuration import SPECIAL_TOKENS
from mediafm_core.model.inputs import check_fused, check_global
from mediafm_core.model.network import MediaFM
from mediafm_core.runtime.precision import Precision, autocast

# Sequences of `max_shots` in one batch, by device: a GPU is idle with few.
WINDOWS_PER_BATCH = {"cpu": 8, "cuda": 64}

# Attention scores of one layer of a batch. Kernels for padded sequences keep all of them in memory:
# 1 GB in float32, so batches of long windows have fewer windows.
_SCORES_PER_BATCH = 1 << 28

# Least share of shots in a batch: another batch of shorter sequences costs less than padding.
_LEAST_FILLED = 0.9


class TitleInput(NamedTuple):
    """Input of the network for one title.

    Attributes:
        fused: `[n, d]` fused vectors of all shots in order.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        title_id: named in errors.
    """

    fused: np.ndarray
    global_vector: np.ndarray | None = None
    title_id: str = "the title"


class CheckedTitle(NamedTuple):
    """Checked input of the network for one title."""

    fused: np.ndarray  # [n, d] float32, finite and not zero
    global_vector: np.ndarray  # [g] float32


class ShotSequence(NamedTuple):
    """Shots `[start, stop)` of the title with index `title`, which are read together."""

    title: int
    start: int
    stop: int


class SequenceVectors(NamedTuple):
    """Contextual vectors of the sequence with index `sequence`, float32 on the network's device."""

    sequence: int
    shots: torch.Tensor  # [stop - start, c], `c` the network's `context_size`
    title: torch.Tensor  # [c]


def checked(network: MediaFM, title: TitleInput) -> CheckedTitle:
    """Return a title's vectors as float32, zeros for missing metadata.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    config = network.config
    return CheckedTitle(
        check_fused(title.fused, config.fused_size, title.title_id),
        check_global(title.global_vector, config.global_size, title.title_id),
    )


def shots_per_batch(network: MediaFM) -> int:
    """Return the number of shots, padding included, in a batch on the network's device."""
    return WINDOWS_PER_BATCH.get(network.device.type, 8) * network.config.max_shots


def read_sequences(
    network: MediaFM,
    titles: Sequence[CheckedTitle],
    sequences: Sequence[ShotSequence],
    *,
    batch_shots: int | None = None,
    precision: Precision = "float32",
) -> Iterator[SequenceVectors]:
    """Compute contextual vectors of sequences of shots, in batches of similar lengths.

    Call it inside `inference`. The vectors of a sequence do not depend on the other sequences: to
    about 1e-5 of a vector's length in float32, since other shapes are summed in another order.

    Args:
        network: a trained network; runs on its own device.
        titles: of `checked`.
        sequences: in any order.
        batch_shots: bound of a batch in shots, padding included; one sequence is always read.
            None uses `shots_per_batch`.
        precision: of the network; the results are float32.

    Yields:
        Every sequence once, the longest first. Memory is that of the titles and one batch.
    """
    if not sequences:
        return
    device = network.device
    fused = {
        # Torch refuses read-only memory such as Arrow's, which is copied.
        index: torch.from_numpy(np.require(titles[index].fused, requirements="W")).to(device)
        for index in {sequence.title for sequence in sequences}
    }  # [n, d] each
    metadata = torch.from_numpy(np.stack([title.global_vector for title in titles])).to(device)
    lengths = np.array([sequence.stop - sequence.start for sequence in sequences])
    for batch in _batches(lengths, batch_shots or shots_per_batch(network), network):
        rows = [fused[sequences[i].title][sequences[i].start : sequences[i].stop] for i in batch]
        present = _present(lengths[batch], device)
        with autocast(device, precision):
            shots, title = network.contextual(
                torch.stack(rows) if present is None else pad_sequence(rows, batch_first=True),
                metadata[[sequences[i].title for i in batch]],
                present,
            )  # [b, longest, c], [b, c]
        for index, i in enumerate(batch):
            yield SequenceVectors(int(i), shots[index, : lengths[i]].float(), title[index].float())


@contextmanager
def inference(network: MediaFM) -> Iterator[None]:
    """Set evaluation mode without gradients; the network's mode is restored afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def _batches(lengths: np.ndarray, batch_shots: int, network: MediaFM) -> Iterator[np.ndarray]:
    """Yield the indices of the sequences of each batch, the longest sequences first."""
    readings = 2 if network.config.reads_two_directions else 1  # in one batch
    heads = network.config.num_attention_heads * readings
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        longest = lengths[order[first]]
        tokens = SPECIAL_TOKENS + int(longest)
        room = max(1, min(batch_shots // longest, _SCORES_PER_BATCH // (heads * tokens**2)))
        filled = np.cumsum(lengths[order[first : first + room]])
        padded = longest * np.arange(1, len(filled) + 1)
        # Lengths fall, so a batch with too much padding does not recover.
        count = int(np.count_nonzero(filled >= _LEAST_FILLED * padded))
        yield order[first : first + count]
        first += count


def _present(lengths: np.ndarray, device: torch.device) -> torch.Tensor | None:
    """Return `[b, longest]`, False where a row is padding; None if nothing is padded."""
    if lengths.min() == lengths.max():
        return None
    return torch.from_numpy(np.arange(lengths.max()) < lengths[:, None]).to(device)
