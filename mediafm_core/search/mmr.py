"""Diversity: a clip that resembles those above it makes way for one that shows something else.

Maximal marginal relevance (Carbonell and Goldstein 1998, doi:10.1145/290941.291025).
"""

import numpy as np

from mediafm_core.errors import MediaFMError
from mediafm_core.search.top_k import Candidates, Limits

_POOL, _POOL_PER_CLIP = 50, 5  # the nearest clips that diverse ones are chosen from


def pool(limits: Limits, diversity: float) -> Limits:
    """How many of the nearest clips are needed to choose diverse ones from.

    Raises:
        MediaFMError: the diversity is not between 0 and 1.
    """
    if not 0 <= diversity <= 1:
        raise MediaFMError(f"The diversity is {diversity:g}: take one from 0 (none) to 1.")
    if diversity == 0:
        return limits
    return Limits(max(_POOL, _POOL_PER_CLIP * limits.k), limits.per_title)


def diverse(found: Candidates, vectors: np.ndarray, k: int, diversity: float) -> np.ndarray:
    """Choose, one after the other, what is near to the query and unlike what was chosen before.

    The nearest comes first. The next is that of the largest
    `(1 - diversity) * similarity - diversity * alike`, where `alike` is its cosine with the chosen
    clip that it resembles most.

    Args:
        found: candidates of all queries by query and rank.
        vectors: float32 `[candidates, h]` of unit length: theirs.
        k: how many to choose for a query.
        diversity: 0 to 1.

    Returns:
        Indices of the chosen candidates, by query and in the order in which they were chosen.
    """
    chosen = [np.empty(0, np.int64)]
    for query in np.unique(found.query):
        members = np.flatnonzero(found.query == query)
        similarity, own = found.similarity[members], vectors[members]
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
