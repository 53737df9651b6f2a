"""Past against future: which future follows a past, among those of all shots of a batch.

InfoNCE (arXiv 1807.03748) of the state before a shot with the state from it on, both projected by
heads of the network and compared by their cosine. The negatives are the futures of all other shots
of the batch: of the same title, which lie in other scenes, and of other titles. With accumulated
batches, and with several processes, they are those of one process's batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# The past of the first shots of a sequence is too short to say what follows.
SKIPPED = 3
# Bounds the scores of a batch, which are its square: 64 MB in float32.
MOST_PAIRS = 4096


class PastFuture(NamedTuple):
    """Sums over the pairs of a batch, scaled to all pairs where only some were compared."""

    loss: Tensor  # cross-entropy, to be differentiated
    correct: Tensor  # pairs whose future has the highest score


def pairs_of(lengths: Tensor) -> Tensor:
    """Return how many shots of sequences of `lengths [b]` have a past that is long enough."""
    return (lengths - SKIPPED).clamp(min=0)


def past_future(
    past: Tensor, future: Tensor, present: Tensor | None, shots: Tensor, temperature: float
) -> PastFuture:
    """Compute the loss of finding each shot's future from its past.

    Args:
        past: `[b, n, a]` unit vectors.
        future: `[b, n, a]` unit vectors.
        present: `[b, n]` bool, False for padding; None when nothing is padded.
        shots: `[b, n]` int64, a number that identifies each shot: where crops of a title overlap,
            a shot is no negative of itself.
        temperature: of the scores.
    """
    batch, count, _ = past.shape
    counted = torch.arange(count, device=past.device) >= SKIPPED  # [n]
    counted = counted.expand(batch, -1) if present is None else counted & present
    places = _evenly(batch * count, past.device)  # [p]
    query, key = (each.flatten(0, 1)[places] for each in (past, future))  # [p, a] each
    there, shot = counted.flatten()[places], shots.flatten()[places]  # [p]
    scores = query @ key.T / temperature  # [p, p]
    itself = torch.eye(len(places), dtype=torch.bool, device=past.device)
    hidden = ~there[None, :] | (shot[:, None] == shot[None, :])
    scores = scores.masked_fill(hidden & ~itself, torch.finfo(scores.dtype).min)
    target = torch.arange(len(places), device=past.device)
    loss = functional.cross_entropy(scores, target, reduction="none")
    scale = counted.sum() / there.sum().clamp(min=1)
    correct = (scores.argmax(dim=1) == target) & there
    return PastFuture((loss * there).sum() * scale, correct.sum() * scale)


def _evenly(count: int, device: torch.device) -> Tensor:
    """Return at most `MOST_PAIRS` places of `count`, evenly over all."""
    step = -(-count // MOST_PAIRS)
    return torch.arange(0, count, step, device=device)
