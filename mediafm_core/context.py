"""Shots in context: one pass of MediaFM over a whole title.

A title's contextual vectors are computed once and every clip is a slice of them. Titles longer than
the network's `max_shots` are read in overlapping windows.

Imports torch: import this module only where vectors are really computed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from mediafm_core.model.data import check_fused, check_global
from mediafm_core.model.network import SPECIAL_TOKENS, MediaFM

WINDOWS_PER_BATCH = 8  # bounds memory; windows of one title are equally long, so nothing is padded


class Contextual(NamedTuple):
    """A title read in context."""

    shots: np.ndarray  # [n, h] float32
    title: np.ndarray  # [h] float32, the [CLS] token


class Window(NamedTuple):
    """Shots `[start, stop)` are read together, vectors of `[keep_start, keep_stop)` are kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def windows(shots: int, max_shots: int) -> list[Window]:
    """Windows that together keep every shot of a title exactly once.

    Neighbouring windows overlap by half or more and all are equally long. A shot is kept from the
    window whose centre is nearest, where the smaller of its two sides of context is largest: away
    from the title's ends that is about a quarter of a window on both sides.

    Args:
        shots: of the title, at least 1.
        max_shots: of one window.
    """
    if shots <= max_shots:
        return [Window(0, shots, 0, shots)]
    stride = max(1, max_shots // 2)
    starts = [*range(0, shots - max_shots, stride), shots - max_shots]
    # Halfway between the centres of neighbours.
    bounds = [
        0,
        *((a + b + max_shots) // 2 for a, b in pairwise(starts)),
        shots,
    ]
    return [
        Window(start, start + max_shots, bounds[i], bounds[i + 1]) for i, start in enumerate(starts)
    ]


def contextualise(
    network: MediaFM,
    fused: np.ndarray,
    global_vector: np.ndarray | None = None,
    *,
    title_id: str = "the title",
) -> Contextual:
    """Contextual vectors of a whole title.

    Args:
        network: a trained network; runs on its own device, in evaluation mode.
        fused: `[n, d]` fused vectors of all shots in order.
        global_vector: `[g]` metadata embedding, None for a title without metadata.
        title_id: named in errors.

    Returns:
        float32 vectors from the network's context layer. The title's vector is the mean over
        windows, each weighted by the shots kept from it.

    Raises:
        TitleError: vectors of the wrong width, not finite or zero, or no shots.
    """
    config = network.config
    fused = check_fused(fused, config.fused_size, title_id)
    metadata = torch.from_numpy(check_global(global_vector, config.global_size, title_id).copy())
    plan = windows(len(fused), config.max_shots)
    shots = np.empty((len(fused), config.hidden_size), dtype=np.float32)
    title = np.zeros(config.hidden_size, dtype=np.float64)
    with _inference(network):
        for first in range(0, len(plan), WINDOWS_PER_BATCH):
            batch = plan[first : first + WINDOWS_PER_BATCH]
            vectors = np.stack([fused[window.start : window.stop] for window in batch])
            states = network.hidden_states(
                torch.from_numpy(vectors).to(network.device),
                metadata.expand(len(batch), -1).to(network.device),
                layers=config.context_layer,
            )
            read = states[-1].float().cpu().numpy()  # [windows, 2 + n, h]
            for window, tokens in zip(batch, read, strict=True):
                kept = slice(window.keep_start, window.keep_stop)
                offset = SPECIAL_TOKENS - window.start
                shots[kept] = tokens[kept.start + offset : kept.stop + offset]
                title += tokens[0] * (kept.stop - kept.start)
    return Contextual(shots, (title / len(fused)).astype(np.float32))


def embed_alone(
    network: MediaFM,
    fused_clip: np.ndarray,
    global_vector: np.ndarray | None = None,
    *,
    title_id: str = "the title",
) -> Contextual:
    """A clip read without its title's other shots, to compare with its slice in context.

    Args:
        network: as in `contextualise`.
        fused_clip: `[n, d]` fused vectors of the clip's own shots.
        global_vector: as in `contextualise`: the metadata belong to the clip as well.
        title_id: named in errors.

    Raises:
        TitleError: as `contextualise`.
    """
    return contextualise(network, fused_clip, global_vector, title_id=title_id)


@contextmanager
def _inference(network: MediaFM) -> Iterator[None]:
    """Evaluation mode without gradients; the network's own mode is restored."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)
