"""Windows, and whole titles in context."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mediafm_core.context import contextualise, embed_alone, windows
from mediafm_core.errors import TitleError
from mediafm_core.model.network import MediaFM, MediaFMConfig
from mediafm_core.vectors import unit_length


def make_network(max_shots: int = 64, context_layer: int = 2) -> MediaFM:
    config = MediaFMConfig(
        fused_size=20,
        global_size=5,
        hidden_size=16,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=32,
        max_shots=max_shots,
        context_layer=context_layer,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return MediaFM(config)


def make_title(shots: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    fused = unit_length(rng.standard_normal((shots, 20)))
    return fused, rng.standard_normal(5).astype(np.float32)


@given(shots=st.integers(1, 3000), max_shots=st.integers(1, 600))
@example(shots=513, max_shots=512)
@example(shots=3000, max_shots=512)
@example(shots=7, max_shots=1)
def test_windows_keep_every_shot_once_with_context(shots: int, max_shots: int) -> None:
    plan = windows(shots, max_shots)

    kept = np.concatenate([np.arange(w.keep_start, w.keep_stop) for w in plan])
    assert kept.tolist() == list(range(shots))
    for window in plan:
        assert window.stop - window.start == min(shots, max_shots)
        assert 0 <= window.start <= window.keep_start < window.keep_stop <= window.stop <= shots
        # A quarter of a window on either side, except where the title itself ends.
        least = (max_shots - 1) // 4
        assert window.keep_start - window.start >= min(least, window.keep_start)
        assert window.stop - window.keep_stop >= min(least, shots - window.keep_stop)


@given(shots=st.integers(2, 400), max_shots=st.integers(2, 90))
def test_no_other_window_would_give_a_shot_more_context(shots: int, max_shots: int) -> None:
    plan = windows(shots, max_shots)
    index = np.arange(shots)
    context = np.array([np.minimum(index - w.start, w.stop - 1 - index) for w in plan])
    chosen = np.concatenate(
        [np.full(w.keep_stop - w.keep_start, place) for place, w in enumerate(plan)]
    )
    assert (context[chosen, index] == context.max(axis=0)).all()


def test_a_title_is_one_pass_of_the_network() -> None:
    network = make_network()
    fused, metadata = make_title(40)
    result = contextualise(network, fused, metadata)
    with torch.inference_mode():
        output = network.eval()(torch.from_numpy(fused)[None], torch.from_numpy(metadata)[None])
    assert result.shots.dtype == result.title.dtype == np.float32
    np.testing.assert_allclose(result.shots, output.shots[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(result.title, output.title[0].numpy(), atol=1e-6)


def test_a_long_title_is_read_in_windows() -> None:
    network = make_network(max_shots=16).eval()
    fused, metadata = make_title(300)  # 37 windows: more than one batch of them
    result = contextualise(network, fused, metadata)

    plan = windows(300, 16)
    alone = [contextualise(network, fused[w.start : w.stop], metadata) for w in plan]
    shots = [
        single.shots[w.keep_start - w.start : w.keep_stop - w.start]
        for w, single in zip(plan, alone, strict=True)
    ]
    weights = [w.keep_stop - w.keep_start for w in plan]
    np.testing.assert_allclose(result.shots, np.concatenate(shots), atol=1e-5)
    np.testing.assert_allclose(
        result.title, np.average([x.title for x in alone], axis=0, weights=weights), atol=1e-5
    )


def test_a_clip_alone_differs_from_its_slice_in_context() -> None:
    network = make_network()
    fused, metadata = make_title(30)
    in_context = contextualise(network, fused, metadata).shots[10:14]
    alone = embed_alone(network, fused[10:14], metadata).shots
    assert alone.shape == in_context.shape
    assert np.abs(alone - in_context).max(axis=1).min() > 1e-3
    np.testing.assert_array_equal(alone, contextualise(network, fused[10:14], metadata).shots)


def test_an_earlier_context_layer_is_read() -> None:
    fused, metadata = make_title(6)
    last, first = (
        contextualise(make_network(context_layer=layer), fused, metadata) for layer in (2, 1)
    )
    assert np.abs(last.shots - first.shots).max() > 1e-3


def test_no_metadata_is_the_zero_vector_and_one_shot_is_a_title() -> None:
    network = make_network()
    fused, _ = make_title(1)
    without = contextualise(network, fused)
    zero = contextualise(network, fused, np.zeros(5, dtype=np.float32))
    np.testing.assert_array_equal(without.shots, zero.shots)
    assert without.shots.shape == (1, 16)


def test_inference_leaves_the_network_and_random_state_as_they_were() -> None:
    network = make_network().train()
    fused, metadata = make_title(6)
    state = torch.get_rng_state()
    first, second = (contextualise(network, fused, metadata) for _ in range(2))
    np.testing.assert_array_equal(first.shots, second.shots)  # no dropout
    assert network.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_read_only_and_half_precision_input_is_taken() -> None:
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
