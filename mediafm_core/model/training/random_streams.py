"""Random numbers of a training: separate streams, each a function of the seed and a number."""

import numpy as np

CROPS, MASKS = 0, 1  # streams, so that a change of one draw leaves the others as they are


def random_stream(seed: int, stream: int, number: int) -> np.random.Generator:
    """Return a generator that depends on nothing else, so that a resumed training draws the same.

    Args:
        seed: of the training.
        stream: `CROPS` or `MASKS`.
        number: of a step, or of a pool of steps.
    """
    return np.random.default_rng([seed % 2**64, stream, number])
