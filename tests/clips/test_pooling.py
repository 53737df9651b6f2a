from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_core.clips import pooling
from mediafm_core.clips.pooling import clip_slice, overlap_weights, pool
from mediafm_core.errors import TitleError

EDGES = [0.0, 2.0, 5.0, 5.5, 9.0]


def shots_of(edges: list[float]) -> pa.Table:
    return pa.table(
        {
            "title_id": ["film"] * (len(edges) - 1),
            "start_s": pa.array(edges[:-1], pa.float64()),
            "end_s": pa.array(edges[1:], pa.float64()),
        }
    )


def clips_of(times: list[tuple[float, float]]) -> pa.Table:
    starts, ends = zip(*times, strict=True)
    return pa.table(
        {
            "clip_id": [f"clip-{number}" for number in range(len(times))],
            "start_s": pa.array(starts, pa.float64()),
            "end_s": pa.array(ends, pa.float64()),
        }
    )


@st.composite
def titles_with_clips(draw: st.DrawFn) -> tuple[list[float], list[tuple[float, float]]]:
    lengths = draw(st.lists(st.floats(0.04, 30.0), min_size=1, max_size=40))
    edges = [0.0, *np.cumsum(lengths).tolist()]
    share = st.floats(0.0, 1.0)
    clips = []
    for first, second in draw(st.lists(st.tuples(share, share), min_size=1, max_size=20)):
        start, end = sorted((first * edges[-1], second * edges[-1]))
        clips.append((start, end) if end - start > 1e-3 else (0.0, edges[-1]))
    return edges, clips


def vectors_for(edges: list[float], dimension: int = 5) -> np.ndarray:
    shape = (len(edges) - 1, dimension)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_weights_equal_a_calculation_by_hand() -> None:
    weights = overlap_weights(clips_of([(1.0, 5.25), (5.0, 5.5), (8.0, 9.0)]), shots_of(EDGES))
    assert weights.interval.tolist() == [0, 0, 0, 1, 2]
    assert weights.shot.tolist() == [0, 1, 2, 2, 3]
    assert weights.seconds.tolist() == [1.0, 3.0, 0.25, 0.5, 1.0]
    first, last = weights.shot_ranges()
    assert (first.tolist(), last.tolist()) == ([0, 2, 3], [2, 2, 3])


@given(titles_with_clips())
def test_weights_sum_to_the_clip(case: tuple[list[float], list[tuple[float, float]]]) -> None:
    edges, times = case
    weights = overlap_weights(clips_of(times), shots_of(edges))
    sums = np.bincount(weights.interval, weights.seconds)
    np.testing.assert_allclose(sums, [end - start for start, end in times], atol=1e-9)


@given(titles_with_clips())
def test_the_mean_of_equal_vectors_is_the_vector_in_any_order(
    case: tuple[list[float], list[tuple[float, float]]],
) -> None:
    edges, times = case
    shots = shots_of(edges)
    constant = np.full((len(edges) - 1, 3), 0.3, np.float32)
    pooled = pool(constant, overlap_weights(clips_of(times), shots))
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, 0.3, rtol=1e-6)
    vectors = vectors_for(edges)
    forwards = pool(vectors, overlap_weights(clips_of(times), shots))
    backwards = pool(vectors, overlap_weights(clips_of(times[::-1]), shots))
    np.testing.assert_array_equal(forwards, backwards[::-1])


@given(titles_with_clips())
def test_means_of_parts_combine_to_the_mean_of_the_whole(
    case: tuple[list[float], list[tuple[float, float]]],
) -> None:
    edges, times = case
    cuts = sorted({0.0, edges[-1], *(end for _, end in times)})
    parts = [(a, b) for a, b in pairwise(cuts) if b - a > 1e-6]
    shots, vectors = shots_of(edges), vectors_for(edges)
    seconds = np.array([b - a for a, b in parts])
    pooled = pool(vectors, overlap_weights(clips_of(parts), shots))
    (whole,) = pool(vectors, overlap_weights(clips_of([(0.0, edges[-1])]), shots))
    np.testing.assert_allclose(seconds @ pooled / seconds.sum(), whole, atol=1e-4)


def test_the_mean_of_one_shot_is_its_vector_for_any_block_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = vectors_for(EDGES, 37)
    weights = overlap_weights(clips_of([(2.5, 4.0), (0.0, 9.0), (1.0, 8.0)]), shots_of(EDGES))
    pooled = pool(vectors, weights)
    np.testing.assert_array_equal(pooled[0], vectors[1])
    expected = np.diff(EDGES) @ vectors.astype(np.float64) / 9.0
    np.testing.assert_allclose(pooled[1], expected, atol=1e-7)
    monkeypatch.setattr(pooling, "_GATHERED_VALUES", 1)
    np.testing.assert_array_equal(pool(vectors, weights), pooled)


@given(titles_with_clips())
def test_a_slice_is_the_same_as_a_row_of_the_table(
    case: tuple[list[float], list[tuple[float, float]]],
) -> None:
    edges, times = case
    shots, vectors = shots_of(edges), vectors_for(edges)
    table = pool(vectors, overlap_weights(clips_of(times), shots))
    for row, (start, end) in zip(table, times, strict=True):
        part = clip_slice(shots, start, end)
        np.testing.assert_array_equal(pool(vectors, part.weights)[0], row)
        mean = np.average(vectors[part.rows], axis=0, weights=part.seconds)
        np.testing.assert_allclose(mean, row, atol=1e-5)


def test_times_outside_the_title() -> None:
    shots = shots_of(EDGES)
    assert clip_slice(shots, -0.01, 9.04)[:2] == (0, 3)
    for start, end in [(-1.0, 4.0), (3.0, 3.0), (4.0, 3.0), (8.0, 9.1), (9.0, 9.04), (50.0, 60.0)]:
        with pytest.raises(TitleError, match=r"film: no clip goes .* between 0\.000 and 9\.000 s"):
            clip_slice(shots, start, end)
    with pytest.raises(TitleError, match="film: clip 'clip-1' from 9 to 10 s overlaps no shot"):
        overlap_weights(clips_of([(0.0, 1.0), (9.0, 10.0)]), shots)


def test_nan_times_are_refused() -> None:
    with pytest.raises(TitleError, match="no clip goes from nan"):
        clip_slice(shots_of(EDGES), float("nan"), 2.0)
