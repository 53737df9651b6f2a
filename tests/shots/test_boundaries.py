"""Shot boundaries from probabilities, compared with the authors' implementation."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.shots.boundaries import BoundaryFinder

_title = st.lists(st.sampled_from([0.1, 0.9]), min_size=1, max_size=60)


def published_starts(probabilities: list[float]) -> list[int]:
    """Return the scene starts by TransNetV2's `predictions_to_scenes`, a loop over frames."""
    scenes, before, start, now = [], 0, 0, 0
    for index, probability in enumerate(probabilities):
        now = int(probability > 0.5)
        if before == 1 and now == 0:
            start = index
        if before == 0 and now == 1 and index != 0:
            scenes.append(start)
        before = now
    if now == 0:
        scenes.append(start)
    return scenes or [0]


def starts(probabilities: list[float], sizes: list[int]) -> list[int]:
    finder = BoundaryFinder(0.5)
    pieces = np.split(np.array(probabilities, np.float32), np.cumsum(sizes))
    return np.concatenate([finder.push(piece) for piece in pieces]).tolist()


@given(_title)
def test_inner_shots_start_where_published_scenes_start(probabilities: list[float]):
    assert starts(probabilities, []) == published_starts(probabilities)[1:]


@given(_title, st.lists(st.integers(0, 9), max_size=20))
def test_results_do_not_depend_on_the_division_into_calls(
    probabilities: list[float], sizes: list[int]
):
    assert starts(probabilities, sizes) == starts(probabilities, [])


def test_a_transition_belongs_to_the_shot_before_it():
    assert starts([0.1, 0.1, 0.9, 0.9, 0.1, 0.1], []) == [4]


def test_a_title_may_begin_and_end_in_a_transition():
    assert starts([0.9, 0.9, 0.1, 0.9, 0.1, 0.9, 0.9], []) == [4]
