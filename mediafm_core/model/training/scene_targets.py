"""Targets of the scene boundary loss of a network that reads in two directions.

They are marginals of all partitions of a whole title into scenes (`mediafm_core.scenes.partitions`)
in the network's metric of slow features: what similarity says. The network sees no similarity, so
it has to find out what the content of a shot says about a boundary.

A title's targets are computed when a crop of it is read for the first time, and kept. Long titles
are computed in pieces, each with the shots around it.
"""

from copy import deepcopy
from functools import lru_cache

import numpy as np
import torch

from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.model.training.content_statistics import taught_boundaries
from mediafm_core.model.training.training_data import TrainingData
from mediafm_core.scenes.partitions import LONGEST_SCENE

PIECE = 2048  # shots whose targets are computed together
_MARGIN = 2 * LONGEST_SCENE  # shots around a piece
_KEPT_PIECES = 6000  # 40 KB each


class SceneTargets:
    """Scene boundaries of the titles of a training. Threads may read at the same time.

    Args:
        data: fused vectors of the titles.
        slow_features: the network's metric, which is copied.
    """

    def __init__(self, data: TrainingData, slow_features: SlowFeatures) -> None:
        self._data = data
        self._slow_features = deepcopy(slow_features).cpu()
        self._piece = lru_cache(maxsize=_KEPT_PIECES)(self._compute)

    def read(self, title: int, start: int, stop: int) -> np.ndarray:
        """Return probabilities `[stop - start, grains]` float32 that a scene starts at each shot.

        Raises:
            TitleError: the title's vectors are unusable.
        """
        first, last = start // PIECE, (stop - 1) // PIECE
        rows = np.concatenate([self._piece(title, piece) for piece in range(first, last + 1)])
        found: np.ndarray = rows[start - first * PIECE : stop - first * PIECE]
        return found

    @torch.inference_mode()
    def _compute(self, title: int, piece: int) -> np.ndarray:
        start = piece * PIECE
        stop = min(start + PIECE, int(self._data.shots[title]))
        first = max(0, start - _MARGIN)
        last = min(stop + _MARGIN, int(self._data.shots[title]))
        fused = torch.tensor(self._data.read(title, first, last))
        return taught_boundaries(self._slow_features, fused)[start - first : stop - first]
