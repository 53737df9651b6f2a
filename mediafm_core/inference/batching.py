"""Runs of shots through the network: bounded batches, little padding, any number of titles.

`mediafm_core.inference.whole_title` and `mediafm_core.inference.streaming` choose the runs of
shots; this module decides how they are batched, which changes no result beyond rounding.
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

# Sequences of `max_shots` in one batch. A GPU needs more to be busy.
WINDOWS_PER_BATCH = {"cpu": 8, "cuda": 64}

# Attention scores of one layer of a batch, which kernels for padded sequences hold all at once:
# 1 GB in float32. Long windows are fewer in a batch.
_SCORES_PER_BATCH = 1 << 28

# Of a batch, at least this share is shots: a batch of shorter sequences costs less than padding.
_LEAST_FILLED = 0.9


class TitleInput(NamedTuple):
    """What the network reads of a title.

    Attributes:
        fused: `[n, d]` fused vectors of all shots in order.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        title_id: named in errors.
    """

    fused: np.ndarray
    global_vector: np.ndarray | None = None
    title_id: str = "the title"


class CheckedTitle(NamedTuple):
    """What the network takes of a title."""

    fused: np.ndarray  # [n, d] float32, finite and not zero
    global_vector: np.ndarray  # [g] float32


class Run(NamedTuple):
    """Shots `[start, stop)` of the title at place `title` are read together."""

    title: int
    start: int
    stop: int


class RunStates(NamedTuple):
    """What the network said of the run at place `run`, float32 on the network's device."""

    run: int
    shots: torch.Tensor  # [stop - start, h]
    title: torch.Tensor  # [h], the [CLS] token


def checked(network: MediaFM, title: TitleInput) -> CheckedTitle:
    """A title's vectors as float32, zeros for missing metadata.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    config = network.config
    return CheckedTitle(
        check_fused(title.fused, config.fused_size, title.title_id),
        check_global(title.global_vector, config.global_size, title.title_id),
    )


def shots_per_batch(network: MediaFM) -> int:
    """How many shots, padding included, the network reads at once on its device."""
    return WINDOWS_PER_BATCH.get(network.device.type, 8) * network.config.max_shots


def read_runs(
    network: MediaFM,
    titles: Sequence[CheckedTitle],
    runs: Sequence[Run],
    *,
    batch_shots: int | None = None,
    arithmetic: Precision = "float32",
) -> Iterator[RunStates]:
    """Read runs of shots, each on its own, in batches of runs of like length.

    Call it inside `inference`. The result does not depend on what else is read in the same call:
    to about 1e-5 of a vector's length in float32, since other shapes are summed in another order.

    Args:
        network: a trained network; runs on its own device.
        titles: of `checked`.
        runs: what to read, in any order.
        batch_shots: bound of a batch in shots, padding included, though one run is always read;
            None takes `shots_per_batch`.
        arithmetic: of the network; the results are float32.

    Yields:
        Every run once, the longest first. Memory is that of the titles and one batch.
    """
    if not runs:
        return
    device = network.device
    fused = {
        # Torch takes no read-only memory such as Arrow's: that is copied.
        place: torch.from_numpy(np.require(titles[place].fused, requirements="W")).to(device)
        for place in {run.title for run in runs}
    }  # [n, d] each
    metadata = torch.from_numpy(np.stack([title.global_vector for title in titles])).to(device)
    lengths = np.array([run.stop - run.start for run in runs])
    for batch in _batches(lengths, batch_shots or shots_per_batch(network), network):
        rows = [fused[runs[i].title][runs[i].start : runs[i].stop] for i in batch]
        present = _present(lengths[batch], device)
        with autocast(device, arithmetic):
            shots, title = network.contextual(
                torch.stack(rows) if present is None else pad_sequence(rows, batch_first=True),
                metadata[[runs[i].title for i in batch]],
                present,
            )  # [b, longest, h], [b, h]
        for place, i in enumerate(batch):
            yield RunStates(int(i), shots[place, : lengths[i]].float(), title[place].float())


@contextmanager
def inference(network: MediaFM) -> Iterator[None]:
    """Evaluation mode without gradients; the network's own mode is restored."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def _batches(lengths: np.ndarray, batch_shots: int, network: MediaFM) -> Iterator[np.ndarray]:
    """Places of the runs of each batch, the longest runs first."""
    heads, per_shot = network.config.num_attention_heads, network.shot_tokens.tokens_per_shot
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        longest = lengths[order[first]]
        tokens = SPECIAL_TOKENS + int(longest) * per_shot
        room = max(1, min(batch_shots // longest, _SCORES_PER_BATCH // (heads * tokens**2)))
        filled = np.cumsum(lengths[order[first : first + room]])
        padded = longest * np.arange(1, len(filled) + 1)
        # Lengths fall, so once a batch is too empty it stays so.
        count = int(np.count_nonzero(filled >= _LEAST_FILLED * padded))
        yield order[first : first + count]
        first += count


def _present(lengths: np.ndarray, device: torch.device) -> torch.Tensor | None:
    """`[b, longest]`, False where a row is padding; None when nothing is padded."""
    if lengths.min() == lengths.max():
        return None
    return torch.from_numpy(np.arange(lengths.max()) < lengths[:, None]).to(device)
