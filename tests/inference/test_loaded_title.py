"""Clips of a title in memory equal slices of one inference, as in a catalogue."""

import numpy as np
import pyarrow as pa
import pytest
from small_network import make_network, make_title

from mediafm_core.clips.pooling import overlap_weights, pool
from mediafm_core.errors import MediaFMError, TitleError
from mediafm_core.inference.loaded_title import TitleInContext
from mediafm_core.inference.whole_title import contextualise
from mediafm_core.model.network import MediaFM

TIMES = np.cumsum([0.5, 1.0, 2.5, 0.5, 4.0, 2.0])  # of five shots


@pytest.fixture(scope="module")
def network() -> MediaFM:
    return make_network()


@pytest.fixture(scope="module")
def fused() -> np.ndarray:
    return make_title(5)[0]


@pytest.fixture
def title(network: MediaFM, fused: np.ndarray) -> TitleInContext:
    return TitleInContext.read(network, fused, times_s=TIMES, title_id="short_film")


def test_clips_are_slices_of_one_inference(
    network: MediaFM, fused: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contextualise(network, fused)
    title = TitleInContext.read(network, fused, times_s=TIMES)
    np.testing.assert_array_equal(title.shots, expected.shots)
    np.testing.assert_array_equal(title.title, expected.title)

    monkeypatch.setattr(network, "contextual", None)  # reading once more would fail
    spans = np.sort(np.random.default_rng(1).uniform(TIMES[0], TIMES[-1], (200, 2)), axis=1)
    shots = pa.table({"title_id": ["t"] * 5, "start_s": TIMES[:-1], "end_s": TIMES[1:]})
    ids = [str(place) for place in range(200)]
    clips = pa.table({"clip_id": ids, "start_s": spans[:, 0], "end_s": spans[:, 1]})
    pooled = pool(title.shots, overlap_weights(clips, shots))
    np.testing.assert_allclose(title.spans(spans), pooled, atol=1e-6)


def test_ranges_of_shots_are_spans_between_their_times(title: TitleInContext) -> None:
    ranges = np.array([(0, 5), (1, 3), (4, 5)])
    np.testing.assert_array_equal(title.shot_ranges(ranges), title.spans(TIMES[ranges]))
    np.testing.assert_allclose(title.shot_ranges([(4, 5)])[0], title.shots[4], atol=1e-6)


def test_without_times_all_shots_have_the_same_weight(network: MediaFM, fused: np.ndarray) -> None:
    title = TitleInContext.read(network, fused)
    np.testing.assert_allclose(title.shot_ranges([(1, 4)])[0], title.shots[1:4].mean(0), atol=1e-6)


def test_no_clips_give_no_vectors(title: TitleInContext) -> None:
    assert title.spans([]).shape == title.shot_ranges([]).shape == (0, 135)


def test_unusable_clips_are_refused(title: TitleInContext) -> None:
    for shots in ([(3, 3)], [(-1, 2)], [(0, 6)], [(0.5, 2)], [(0, float("nan"))]):
        with pytest.raises(TitleError, match=r"short_film has no shots from .* between 0 and 5"):
            title.shot_ranges(shots)
    with pytest.raises(TitleError, match="short_film: no clip goes from 9 to 11 s"):
        title.spans([(1, 2), (9, 11)])
    for shape in (3, (2, 3), (1, 2, 2)):
        with pytest.raises(MediaFMError, match="Spans have the shape"):
            title.spans(np.ones(shape))


@pytest.mark.parametrize("times", [TIMES[:-1], TIMES[::-1], [0, 1, 1, 2, 3, 4], [0, 1, np.nan] * 2])
def test_unusable_times_are_refused(network: MediaFM, fused: np.ndarray, times) -> None:
    with pytest.raises(TitleError, match=r"short_film has 5 shots .* give 6 ascending"):
        TitleInContext.read(network, fused, times_s=times, title_id="short_film")
