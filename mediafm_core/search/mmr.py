"""Maximal marginal relevance, which ranks clips lower that are similar to clips above them.

Source: Carbonell and Goldstein 1998, doi:10.1145/290941.291025.
"""

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.search.top_k import Candidates, SearchLimits

_POOL, _POOL_PER_CLIP = 50, 5  # number of nearest clips to choose from: at least, and per k


def candidate_limits(limits: SearchLimits, diversity: float) -> SearchLimits:
    """Return the number of nearest clips that diverse clips are chosen from.

    Raises:
        MediaFMError: The diversity is not between 0 and 1.
    """
    if not 0 <= diversity <= 1:
        raise MediaFMError(f"The diversity is {diversity:g}: take one from 0 (none) to 1.")
    if diversity == 0:
        return limits
    return SearchLimits(max(_POOL, _POOL_PER_CLIP * limits.k), limits.per_title)


def choose_diverse(
    candidates: Candidates, vectors: np.ndarray, k: int, diversity: float
) -> np.ndarray:
    """Choose clips one after the other, near to the query and unlike the clips chosen before.

    The nearest clip comes first. The next one has the largest
    `(1 - diversity) * similarity - diversity * alike`, where `alike` is its largest cosine with a
    clip chosen before.

    Args:
        candidates: Candidates of all queries by query and rank.
        vectors: float32 `[candidates, h]` of unit length, the vectors of the candidates.
        k: Number of clips to choose for a query.
        diversity: Weight of `alike`, from 0 to 1.

    Returns:
        Indices of the chosen candidates, by query and in the order in which they were chosen.
    """
    chosen = [np.empty(0, np.int64)]
    for query in np.unique(candidates.query):
        members = np.flatnonzero(candidates.query == query)
        similarity, own = candidates.similarity[members], vectors[members]
        order = np.zeros(min(k, len(members)), dtype=np.int64)
        alike = np.full(len(members), -1.0, dtype=np.float32)
        left = np.ones(len(members), dtype=bool)
        for place in range(1, len(order)):
            left[order[place - 1]] = False
            alike = np.maximum(alike, own @ own[order[place - 1]])  # [members]
            value = (1 - diversity) * similarity - diversity * alike
            order[place] = np.argmax(np.where(left, value, -np.inf))
        chosen.append(members[order])
    return np.concatenate(chosen)
