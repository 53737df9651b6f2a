"""Causal inference: vectors do not depend on later shots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_network import make_network, make_title

from mediafm_core.errors import MediaFMError, TitleError
from mediafm_core.inference.streaming import LiveReader, embed_span_up_to, embed_up_to
from mediafm_core.inference.whole_title import embed_alone
from mediafm_core.model.network import MediaFM

NETWORKS = {
    attention: make_network(max_shots=16, attention=attention)
    for attention in ("bidirectional", "two_directions")
}
both = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


@pytest.fixture(scope="module")
def network() -> MediaFM:
    return NETWORKS["two_directions"]


@both
@pytest.mark.parametrize("look_back", [1, 5, 16, None])
def test_a_vector_equals_the_last_of_its_window_alone(
    network: MediaFM, look_back: int | None
) -> None:
    fused, metadata = make_title(40)
    vectors = embed_up_to(network, fused, global_vector=metadata, look_back=look_back)
    assert vectors.shape == (40, network.config.context_size)
    assert vectors.dtype == np.float32
    for end in range(1, 41):
        window = fused[max(0, end - (look_back or 16)) : end]
        alone = embed_alone(network, window, metadata).shots[-1]
        np.testing.assert_allclose(vectors[end - 1], alone, atol=1e-5)
    chosen = embed_up_to(network, fused, [40, 3, 3], metadata, look_back=look_back)
    np.testing.assert_allclose(chosen, vectors[[39, 2, 2]], atol=1e-5)


def test_a_span_equals_the_end_of_its_window_alone(network: MediaFM) -> None:
    fused, metadata = make_title(40)
    for start, stop, look_back in ((20, 25, 10), (20, 25, 5), (0, 3, 10), (0, 16, None)):
        vectors = embed_span_up_to(network, fused, start, stop, metadata, look_back=look_back)
        window = fused[max(0, stop - (look_back or 16)) : stop]
        alone = embed_alone(network, window, metadata).shots[-(stop - start) :]
        np.testing.assert_allclose(vectors, alone, atol=1e-5)


@given(
    known=st.integers(1, 40),
    look_back=st.integers(1, 16),
    seed=st.integers(1, 1000),
)
@settings(max_examples=20)
def test_later_shots_do_not_change_vectors(
    network: MediaFM, known: int, look_back: int, seed: int
) -> None:
    fused, metadata = make_title(40)
    other = np.concatenate([fused[:known], make_title(17, seed)[0]])
    before, after = (
        embed_up_to(network, title, range(1, known + 1), metadata, look_back=look_back)
        for title in (fused, other)
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_only_shots_within_the_look_back_change_vectors(network: MediaFM) -> None:
    fused, metadata = make_title(40)
    other = fused.copy()
    other[:30] = make_title(30, seed=5)[0]
    for look_back, changed in ((10, False), (11, True)):
        before, after = (
            embed_up_to(network, title, [40], metadata, look_back=look_back)
            for title in (fused, other)
        )
        assert (np.abs(after - before).max() > 1e-4) == changed


@given(
    arrivals=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    look_back=st.integers(1, 16),
)
@settings(max_examples=25)
def test_the_grouping_of_arriving_shots_does_not_change_vectors(
    network: MediaFM, arrivals: list[int], look_back: int
) -> None:
    count = sum(arrivals)
    fused, metadata = make_title(count)
    reader = LiveReader(network, metadata, look_back=look_back)
    parts = np.split(fused, np.cumsum(arrivals)[:-1])
    vectors = np.concatenate([reader.read(part) for part in parts])
    expected = embed_up_to(network, fused, global_vector=metadata, look_back=look_back)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert reader.shots_read == count


def test_a_live_reader_keeps_its_look_back_only(network: MediaFM) -> None:
    reader = LiveReader(network, make_title(1)[1], look_back=5)
    for part in np.split(make_title(300)[0], 30):
        reader.read(part)
    held = [value for value in vars(reader).values() if isinstance(value, np.ndarray)]
    assert sum(array.base is None for array in held) == len(held)  # no view of something larger
    assert sum(array.nbytes for array in held) <= (5 * 20 + 5) * 4


def test_a_live_reader_continues_after_refused_shots(network: MediaFM) -> None:
    fused, metadata = make_title(20)
    reader = LiveReader(network, metadata, title_id="the stream")
    first = reader.read(fused[:10])
    for faulty in (fused[10:] * np.nan, fused[10:] * 0, fused[10:, :19], fused[:0]):
        with pytest.raises(TitleError, match="the stream has"):
            reader.read(faulty)
    vectors = np.concatenate([first, reader.read(fused[10:])])
    np.testing.assert_allclose(
        vectors, embed_up_to(network, fused, global_vector=metadata), atol=1e-5
    )


def test_unusable_look_backs_and_ends_are_refused(network: MediaFM) -> None:
    fused, metadata = make_title(40)
    for look_back in (0, -1, 17):
        with pytest.raises(MediaFMError, match=rf"look-back is {look_back} shots: .* 1 to 16"):
            embed_up_to(network, fused, look_back=look_back)
        with pytest.raises(MediaFMError, match="look-back is"):
            LiveReader(network, look_back=look_back)
    for end in (0, 41):
        with pytest.raises(MediaFMError, match=f"big_film has no shots before end {end}"):
            embed_up_to(network, fused, [3, end], metadata, title_id="big_film")
    with pytest.raises(MediaFMError, match="span has 6 shots, more than the look-back of 5"):
        embed_span_up_to(network, fused, 4, 10, look_back=5)
    for start, stop in ((-1, 3), (5, 5), (38, 41)):
        with pytest.raises(MediaFMError, match=f"no shots from {start} up to {stop}: .* and 40"):
            embed_span_up_to(network, fused, start, stop)
    with pytest.raises(TitleError, match="metadata embedding"):
        LiveReader(network, metadata[:3])
