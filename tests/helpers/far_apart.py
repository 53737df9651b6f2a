"""Titles whose label needs two shots that are far apart: no input made by hand carries it.

A title is a row of chapters. A chapter opens with a marker, one of a few codes, and closes with the
echo of that code, which does not resemble it. Between both are shots of noise. The label of those
in the middle, more than eight shots from marker and echo, is the code.
"""

import numpy as np

from mediafm_core.vectors import unit_length

CODES, WIDTH, CHAPTERS = 6, 24, 4
NO_LABEL = -1
_MARGIN = 9  # shots at either end of a chapter without a label


def made_titles(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return fused vectors `[n, 24]` float32 and labels `[n]` int64 of titles."""
    rng = np.random.default_rng(seed)
    markers, echoes = rng.standard_normal((2, CODES, WIDTH))
    special = rng.standard_normal(WIDTH)  # common to all of them
    titles = []
    for _ in range(count):
        shots, labels = [], []
        for code in rng.integers(CODES, size=CHAPTERS):
            length = int(rng.integers(20, 31))
            chapter = rng.standard_normal((length, WIDTH))
            for place, vectors in ((0, markers), (-1, echoes)):
                chapter[place] = special + vectors[code] + 0.2 * chapter[place]
            label = np.full(length, NO_LABEL)
            label[_MARGIN:-_MARGIN] = code
            shots.append(chapter)
            labels.append(label)
        fused = unit_length(np.concatenate(shots)).astype(np.float32)
        titles.append((fused, np.concatenate(labels)))
    return titles


def with_neighbour_means(fused: np.ndarray) -> np.ndarray:
    """Return shots `[n, d]` beside the means of 1, 2, 4 and 8 neighbours on each side."""
    parts = [fused]
    for reach in (1, 2, 4, 8):
        padded = np.pad(fused, ((reach, reach), (0, 0)))
        sums = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=0).mean(axis=-1)
        parts += [sums[: len(fused)], sums[reach + 1 :]]
    return np.concatenate(parts, axis=1)
