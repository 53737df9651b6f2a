"""The published network compared with a plain implementation, and invariances of its output."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_network import PlainNetwork

from mediafm_core.model.configuration import SPECIAL_TOKENS, MediaFMConfig, attention_slopes
from mediafm_core.model.network import MediaFM
from mediafm_core.scenes.partitions import GRAINS

FUSED, GLOBAL, HIDDEN, HEADS, LAYERS = 24, 6, 16, 4, 3
RANGES = {"video": [0, 12], "audio": [12, 20], "text": [20, 24]}
# An absolute bound; outputs are of size one. float32 against float64 stays below a tenth of it.
TOLERANCE = {"atol": 1e-5, "rtol": 0}


def make_network(**changes: object) -> MediaFM:
    values = {
        "fused_size": FUSED,
        "global_size": GLOBAL,
        "hidden_size": HIDDEN,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "intermediate_size": 40,
        "max_shots": 32,
        "attention": "bidirectional",
        "fused_ranges": RANGES,
        "initializer_range": 0.3,  # large weights, so that a fault anywhere shows in the output
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = MediaFM(MediaFMConfig(**{**values, **changes}))
        for parameter in network.parameters():  # no bias or norm stays at zero or one
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> MediaFM:
    return make_network()


def titles(*shots: int, seed: int = 3) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Make titles in which every third shot has no text."""
    generator = torch.Generator().manual_seed(seed)
    fused = [torch.randn(n, FUSED, generator=generator) for n in shots]
    for title in fused:
        title[::3, 20:] = 0
    return (
        [torch.nn.functional.normalize(x, dim=-1) for x in fused],
        torch.randn(len(shots), GLOBAL, generator=generator),
    )


def padded(sequences: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=9.0)
    lengths = torch.tensor([len(x) for x in sequences])
    return batch, torch.arange(batch.shape[1]) < lengths[:, None]


@torch.inference_mode()
def test_equals_a_plain_implementation(network: MediaFM) -> None:
    plain = PlainNetwork(network.state_dict(), network.config)
    sequences, global_ = titles(9, 5, 2)
    fused, present = padded(sequences)
    masked = torch.zeros(present.shape, dtype=torch.bool)
    masked[0, [2, 3, 8]] = masked[1, 0] = True
    first = torch.tensor([0, 4, 20])

    output = network(fused, global_, present, masked, first)

    for i, sequence in enumerate(sequences):
        n = len(sequence)
        expected = plain.read(sequence, global_[i], masked[i, :n], int(first[i]))
        torch.testing.assert_close(output.shots[i, :n].double(), expected.shots, **TOLERANCE)
        torch.testing.assert_close(output.title[i].double(), expected.title, **TOLERANCE)
        reconstruction = output.reconstruction[i, :n].double()
        torch.testing.assert_close(reconstruction, expected.reconstruction, atol=2e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("reading", ["bidirectional", "two_directions"])
def test_attention_kernels_agree(reading: str) -> None:
    sequences, global_ = titles(9, 5)
    fused, present = padded(sequences)
    readings = []
    for attention in ("sdpa", "eager"):
        network = make_network(attention=reading)
        network.set_attn_implementation(attention)
        shots, title = network.contextual(fused, global_, present)
        readings.append(torch.cat([shots[present], title]))
    torch.testing.assert_close(*readings, **TOLERANCE)


@torch.inference_mode()
def test_padding_and_batch_order_do_not_change_a_title(network: MediaFM) -> None:
    sequences, global_ = titles(11, 4, 7)
    order = [2, 0, 1]
    fused, present = padded([sequences[i] for i in order])

    together = network(fused, global_[order], present)

    for place, i in enumerate(order):
        alone = network(sequences[i][None], global_[[i]])
        for of_batch, of_one in (
            (together.shots[place, : len(sequences[i])], alone.shots[0]),
            (together.title[place], alone.title[0]),
            (together.reconstruction[place, : len(sequences[i])], alone.reconstruction[0]),
        ):
            torch.testing.assert_close(of_batch, of_one, **TOLERANCE)


@torch.inference_mode()
def test_inference_and_training_compute_the_same(network: MediaFM) -> None:
    (fused,), global_ = titles(6)
    output = network(fused[None], global_)
    shots, title = network.contextual(fused[None], global_)
    assert torch.equal(shots, output.shots)
    assert torch.equal(title, output.title)


@torch.inference_mode()
def test_metadata_and_every_other_shot_change_a_vector(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    before = network(fused[None], global_).shots[0]

    other_metadata = network(fused[None], -global_).shots[0]
    other_shot = fused.clone()
    other_shot[6] = -other_shot[6]
    with_other_shot = network(other_shot[None], global_).shots[0]

    for after in (other_metadata, with_other_shot):
        assert (after - before).abs().amax(dim=-1).min() > 1e-4  # every shot has changed


@torch.inference_mode()
def test_vectors_depend_on_the_first_position(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    first = torch.tensor([5])
    shots = [network(fused[None], global_, first_position=at).shots for at in (None, first)]
    assert not torch.equal(*shots)


def test_learnt_positions_start_out_random_as_those_of_bert() -> None:
    config = MediaFMConfig(
        attention="bidirectional", hidden_size=64, max_shots=512, num_hidden_layers=1
    )
    weights = MediaFM(config).positions.embedding.weight.detach()
    assert abs(float(weights.std()) / config.initializer_range - 1) < 0.05
    cosines = torch.nn.functional.cosine_similarity(weights[1:], weights[:-1], dim=-1)
    assert abs(float(cosines.mean())) < 0.05, "neighbouring positions are unrelated"


@torch.inference_mode()
def test_two_directions_read_any_length_and_learnt_positions_refuse_it() -> None:
    (fused,), global_ = titles(80)
    network = make_network(attention="two_directions")
    shape = (1, 80, network.config.context_size)
    assert network.contextual(fused[None], global_)[0].shape == shape
    with pytest.raises(ValueError, match="80 shots in one pass, and there are 32 learnt"):
        make_network().contextual(fused[None], global_)


def test_threads_may_share_a_network() -> None:
    positions = make_network(attention="two_directions").positions
    short, long = torch.zeros(1, 5, HIDDEN), torch.zeros(1, 9, HIDDEN)

    class Interrupted(tuple):
        """Cached bias that another thread replaces while this one reads it."""

        def __getitem__(self, place: int) -> object:
            positions._cached = None
            positions(long)
            return super().__getitem__(place)

    expected = positions(short)
    positions._cached = Interrupted(positions._cached)
    assert torch.equal(positions(short), expected)


@torch.inference_mode()
def test_the_order_of_shots_changes_vectors(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    there = network(fused[None], global_).shots[0]
    back = network(fused.flip(0)[None], global_).shots[0].flip(0)
    assert (there - back).abs().max() > 1e-3


@torch.inference_mode()
def test_masked_shots_do_not_leak(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    masked = torch.zeros(1, 8, dtype=torch.bool)
    masked[0, [1, 5]] = True
    other = fused.clone()
    other[1] = 100.0
    other[5] = torch.nan

    before, after = (network(x[None], global_, masked=masked) for x in (fused, other))

    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)


@torch.inference_mode()
def test_predicted_rows_equal_those_of_the_whole_prediction(network: MediaFM) -> None:
    sequences, global_ = titles(7, 7)
    fused = torch.stack(sequences)
    masked = torch.zeros(2, 7, dtype=torch.bool)
    masked[:, 2] = True
    rows = torch.tensor([[2, 6], [0, 2]])
    every = network(fused, global_, masked=masked).reconstruction
    predicted = network(fused, global_, masked=masked, rows=rows).reconstruction
    expected = torch.stack([every[i, rows[i]] for i in range(2)])
    torch.testing.assert_close(predicted, expected, **TOLERANCE)


@torch.inference_mode()
def test_context_is_read_from_the_last_layer_but_one(network: MediaFM) -> None:
    (fused,), global_ = titles(6)
    states = network.hidden_states(fused[None], global_)
    found = network(fused[None], global_)
    assert len(states) == LAYERS + 1
    assert torch.equal(found.shots, states[LAYERS - 1][:, SPECIAL_TOKENS:])
    assert torch.equal(found.title, states[LAYERS - 1][:, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "sideways"}, "attention is 'sideways'"),
        ({"fused_ranges": {"video": [0, 10], "audio": [12, 24]}}, "do not partition"),
    ],
)
def test_unknown_shapes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_network(**changes)


def test_boundaries_need_two_directions_and_a_head() -> None:
    (fused,), global_ = titles(5)
    two = {"attention": "two_directions"}
    found = make_network(**two, boundary_head=True).boundaries(fused[None], global_)
    assert found.shape == (1, 5, len(GRAINS))
    with pytest.raises(ValueError, match=r"objective\.boundary_weight"):
        make_network(**two).boundaries(fused[None], global_)
    with pytest.raises(ValueError, match="not in two directions"):
        make_network().boundaries(fused[None], global_)


@given(heads=st.integers(1, 32))
def test_heads_attend_everywhere_and_near(heads: int) -> None:
    slopes = attention_slopes(heads)
    assert len(slopes) == heads
    assert all(slope >= 0 for slope in slopes)
    if heads > 1:
        assert slopes[0] == 0
        assert slopes[1:] == sorted(slopes[1:], key=lambda slope: (slope > 0, -slope))
        assert max(slopes) == 1
