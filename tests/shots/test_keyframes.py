"""Choice of the keyframes of a shot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.shots.keyframes import CANDIDATES_PER_KEYFRAME, KeyframeCandidate, OpenShot


def chosen(times: np.ndarray, end_s: float, per_shot: int) -> np.ndarray:
    shot = OpenShot(per_shot)
    for number, time_s in enumerate(times):
        shot.add(KeyframeCandidate(number, float(time_s), None))
    return np.array([candidate.frame for candidate in shot.keyframes(end_s)])


def test_short_shots_give_the_frames_at_the_centres_of_equal_parts():
    assert chosen(np.arange(9), 9.0, 3).tolist() == [1, 4, 7]
    assert chosen(np.arange(3), 3.0, 3).tolist() == [0, 1, 2]
    assert chosen(np.arange(1), 1.0, 1).tolist() == [0]


def test_a_shot_of_fewer_frames_gives_all_of_them():
    assert chosen(np.arange(2), 2.0, 3).tolist() == [0, 1]
    assert chosen(np.arange(1), 1.0, 5).tolist() == [0]


def test_keyframes_are_chosen_by_time_not_by_frame_number():
    times = np.concatenate([np.arange(20) * 0.01, 1.0 + np.arange(20) * 0.1])
    assert chosen(times, 3.0, 1).tolist() == [24]  # the frame of 1.4 s, whose centre is 1.46


@given(st.integers(1, 3000), st.integers(1, 6))
def test_long_shots_stay_within_the_stated_distance(frames: int, per_shot: int):
    found = chosen(np.arange(frames) / 25, frames / 25, per_shot)
    if frames < per_shot:
        assert found.tolist() == list(range(frames))
        return
    ideal = (np.arange(per_shot) + 0.5) * frames / per_shot - 0.5
    spacing = frames / per_shot
    tolerance = max(0.5, spacing / CANDIDATES_PER_KEYFRAME) + 1e-6
    assert len(found) == per_shot
    assert np.abs(found - ideal).max() <= tolerance


@pytest.mark.parametrize("per_shot", [1, 3])
def test_memory_of_a_shot_is_bounded(per_shot: int):
    shot = OpenShot(per_shot)
    for number in range(20_000):
        shot.add(KeyframeCandidate(number, number / 25, None))
        assert len(shot._candidates) <= per_shot * CANDIDATES_PER_KEYFRAME
