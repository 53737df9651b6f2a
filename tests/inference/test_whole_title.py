"""Windows and contextual vectors of whole titles."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_network import make_network, make_title

from mediafm_core.errors import TitleError
from mediafm_core.inference.batching import TitleInput
from mediafm_core.inference.whole_title import (
    contextualise,
    contextualise_titles,
    embed_alone,
    windows,
)

both = pytest.mark.parametrize("attention", ["bidirectional", "two_directions"])


def spread(shots: int, max_shots: int) -> np.ndarray:
    """Return the weight of each window in each shot of the title, `[windows, shots]`."""
    plan = windows(shots, max_shots)
    over_title = np.zeros((len(plan.starts), shots))
    for window, start, weights in zip(over_title, plan.starts, plan.weights, strict=True):
        assert 0 <= start <= start + len(weights) <= shots
        window[start : start + len(weights)] = weights
    return over_title


@given(shots=st.integers(1, 1500), max_shots=st.integers(1, 600))
@example(shots=513, max_shots=512)
@example(shots=3000, max_shots=512)
@example(shots=7, max_shots=1)
def test_windows_read_every_shot_with_context(shots: int, max_shots: int) -> None:
    plan = windows(shots, max_shots)
    weights = spread(shots, max_shots)

    assert plan.weights.shape[1] == min(shots, max_shots)
    assert len(plan.starts) <= max(1, 2 * shots / max(1, max_shots - 1))
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    # Some window has a quarter of a window on either side, except where the title itself ends.
    index = np.arange(shots)
    before = index - plan.starts[:, None]
    after = plan.weights.shape[1] - 1 - before
    least = (max_shots - 1) // 4
    enough = (before >= np.minimum(least, index)) & (after >= np.minimum(least, index[::-1]))
    assert (enough & (weights > 0)).any(axis=0).all()


@given(shots=st.integers(2, 900), max_shots=st.integers(2, 200))
def test_windows_fade_in_and_out(shots: int, max_shots: int) -> None:
    steps = np.abs(np.diff(spread(shots, max_shots), axis=1))
    assert steps.max() <= 2.5 / max_shots


@both
def test_a_title_is_one_pass_of_the_network(attention: str) -> None:
    network = make_network(attention=attention)
    fused, metadata = make_title(40)
    result = contextualise(network, fused, metadata)
    with torch.inference_mode():
        output = network.eval()(torch.from_numpy(fused)[None], torch.from_numpy(metadata)[None])
    assert result.shots.dtype == result.title.dtype == np.float32
    np.testing.assert_allclose(result.shots, output.shots[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(result.title, output.title[0].numpy(), atol=1e-6)


def test_a_long_title_is_blended_from_windows() -> None:
    network = make_network(max_shots=16)
    fused, metadata = make_title(300)  # 37 windows: more than one batch of them
    result = contextualise(network, fused, metadata)

    plan, weights = windows(300, 16), spread(300, 16)
    alone = [contextualise(network, fused[start : start + 16], metadata) for start in plan.starts]
    shots = np.zeros((300, network.config.context_size))
    for start, weight, single in zip(plan.starts, plan.weights, alone, strict=True):
        shots[start : start + 16] += weight[:, None] * single.shots
    np.testing.assert_allclose(result.shots, shots, atol=1e-5)
    title = np.average([single.title for single in alone], axis=0, weights=weights.sum(axis=1))
    np.testing.assert_allclose(result.title, title, atol=1e-5)


def test_windows_leave_no_jump_in_a_title_of_3000_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worst case: a network whose output is the shot's place in the window."""
    network = make_network(max_shots=64)

    width = network.config.context_size

    def read_places(fused: torch.Tensor, *args: object) -> tuple[torch.Tensor, torch.Tensor]:
        places = torch.arange(fused.shape[1], dtype=torch.float32)
        return places[None, :, None].expand(*fused.shape[:2], width), torch.zeros(len(fused), width)

    monkeypatch.setattr(network, "contextual", read_places)
    places = contextualise(network, *make_title(3000)).shots[:, 0]
    assert places[0] == 0
    assert places[-1] == 63
    assert np.abs(np.diff(places)).max() < 2  # where a cut between windows would jump by 32


def test_memory_does_not_grow_with_a_title(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(max_shots=32)
    sizes: list[tuple[int, int]] = []
    read = network.contextual

    def note_size(fused: torch.Tensor, *args: object) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(tuple(fused.shape[:2]))
        return read(fused, *args)

    monkeypatch.setattr(network, "contextual", note_size)
    fused, metadata = make_title(3000)
    assert contextualise(network, fused, metadata).shots.shape == (
        3000,
        network.config.context_size,
    )
    assert {length for _, length in sizes} == {32}
    assert max(count for count, _ in sizes) == 8
    assert sum(count for count, _ in sizes) == len(windows(3000, 32).starts)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    batch_shots=st.integers(1, 200),
)
@settings(max_examples=25)
def test_titles_in_batches_equal_titles_one_by_one(lengths: list[int], batch_shots: int) -> None:
    network = make_network(max_shots=16)
    titles = [TitleInput(*make_title(n, i), f"t{i}") for i, n in enumerate(lengths)]
    together = list(contextualise_titles(network, iter(titles), batch_shots=batch_shots))
    for title, result in zip(titles, together, strict=True):
        single = contextualise(network, *title[:2])
        np.testing.assert_allclose(result.shots, single.shots, atol=1e-5)
        np.testing.assert_allclose(result.title, single.title, atol=1e-5)


def test_little_of_a_batch_is_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(max_shots=64)
    read, positions = network.contextual, []

    def note_size(fused: torch.Tensor, *args: object) -> tuple[torch.Tensor, torch.Tensor]:
        positions.append(fused.shape[0] * fused.shape[1])
        return read(fused, *args)

    monkeypatch.setattr(network, "contextual", note_size)
    lengths = np.random.default_rng(0).integers(1, 65, 200)
    titles = [TitleInput(make_title(int(n))[0]) for n in lengths]
    assert len(list(contextualise_titles(network, titles))) == 200
    assert sum(positions) < sum(lengths) / 0.9
    assert max(positions) <= 8 * 64
    assert len(positions) < 50


def test_titles_before_an_unusable_one_are_yielded() -> None:
    titles = [make_title(4), make_title(5), (make_title(4)[0] * np.nan, None), make_title(6)]
    named = [TitleInput(*title, f"film {place}") for place, title in enumerate(titles)]
    results = contextualise_titles(make_network(), named)
    assert [len(next(results).shots) for _ in range(2)] == [4, 5]
    with pytest.raises(TitleError, match=r"film 2 .* not finite"):
        next(results)
    assert list(contextualise_titles(make_network(), [])) == []


def test_lower_precision_is_close_and_gives_float32() -> None:
    network = make_network(max_shots=16)
    fused, metadata = make_title(40)
    exact = contextualise(network, fused, metadata).shots
    rounded = contextualise(network, fused, metadata, precision="bfloat16").shots
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.1


def test_a_clip_alone_differs_from_its_slice_in_context() -> None:
    network = make_network()
    fused, metadata = make_title(30)
    in_context = contextualise(network, fused, metadata).shots[10:14]
    alone = embed_alone(network, fused[10:14], metadata).shots
    assert alone.shape == in_context.shape
    assert np.abs(alone - in_context).max(axis=1).min() > 1e-3
    np.testing.assert_array_equal(alone, contextualise(network, fused[10:14], metadata).shots)


def test_missing_metadata_is_the_zero_vector_and_one_shot_is_a_title() -> None:
    network = make_network()
    fused, _ = make_title(1)
    without = contextualise(network, fused)
    zero = contextualise(network, fused, np.zeros(5, dtype=np.float32))
    np.testing.assert_array_equal(without.shots, zero.shots)
    assert without.shots.shape == (1, network.config.context_size)


def test_inference_restores_the_network_and_random_state() -> None:
    network = make_network().train()
    fused, metadata = make_title(6)
    state = torch.get_rng_state()
    first, second = (contextualise(network, fused, metadata) for _ in range(2))
    np.testing.assert_array_equal(first.shots, second.shots)  # no dropout
    assert network.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_read_only_and_half_precision_input_is_accepted() -> None:
    network = make_network()
    fused, metadata = make_title(6)
    fused.setflags(write=False)
    expected = contextualise(network, fused, metadata).shots
    half = contextualise(network, fused.astype(np.float16), metadata).shots
    np.testing.assert_allclose(half, expected, atol=2e-2)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda fused: fused[:, :19], r"big_film .*\(6, 19\).*\[shots, 20\]"),
        (lambda fused: fused[:0], "big_film has no shots"),
        (lambda fused: fused * np.array([[1], [1], [0], [1], [1], [0]]), "zero at shot 2 .2 such"),
        (lambda fused: fused + np.eye(6, 20) * [np.nan], "not finite at shot 0"),
        (lambda fused: np.where(np.arange(6)[:, None] == 4, np.inf, fused), "not finite at shot 4"),
    ],
)
def test_unusable_vectors_are_refused_by_name(fault, message: str) -> None:
    fused, metadata = make_title(6)
    with pytest.raises(TitleError, match=message):
        contextualise(make_network(), fault(fused), metadata, title_id="big_film")


@pytest.mark.parametrize("metadata", [np.zeros(4), np.full(5, np.nan)])
def test_unusable_metadata_is_refused_by_name(metadata: np.ndarray) -> None:
    with pytest.raises(TitleError, match="big_film has a metadata embedding"):
        contextualise(make_network(), make_title(6)[0], metadata, title_id="big_film")


def test_progress_counts_windows() -> None:
    network = make_network(max_shots=16)
    fused, metadata = make_title(40)
    shares: list[float] = []
    contextualise(network, fused, metadata, progress=shares.append)
    count = len(windows(40, 16).starts)
    assert shares == [place / count for place in range(1, count + 1)]
