"""The network against a plain implementation, and what may and may not change its output."""

import math

import pytest
import torch

from mediafm_core.model.network import SPECIAL_TOKENS, MediaFM, MediaFMConfig

FUSED, GLOBAL, HIDDEN, HEADS, LAYERS = 24, 6, 16, 4, 3


def make_network(**changes: object) -> MediaFM:
    config = MediaFMConfig(
        fused_size=FUSED,
        global_size=GLOBAL,
        hidden_size=HIDDEN,
        num_attention_heads=HEADS,
        num_hidden_layers=LAYERS,
        intermediate_size=40,
        max_shots=32,
        context_layer=LAYERS,
        initializer_range=0.3,  # large weights, so that a fault anywhere shows in the output
    )
    for name, value in changes.items():
        setattr(config, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = MediaFM(config)
        for parameter in network.parameters():  # no bias or norm stays at zero or one
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> MediaFM:
    return make_network()


def titles(*shots: int, seed: int = 3) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    fused = [torch.randn(n, FUSED, generator=generator) for n in shots]
    return (
        [torch.nn.functional.normalize(x, dim=-1) for x in fused],
        torch.randn(len(shots), GLOBAL, generator=generator),
    )


def padded(sequences: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=9.0)
    lengths = torch.tensor([len(x) for x in sequences])
    return batch, torch.arange(batch.shape[1]) < lengths[:, None]


def plain_forward(
    weights: dict[str, torch.Tensor],
    fused: torch.Tensor,
    global_: torch.Tensor,
    masked: torch.Tensor,
    first: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One title, one head and one query at a time, in float64."""
    w = {name: tensor.double() for name, tensor in weights.items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]

    shots = fused.double().clone()
    shots[masked] = w["mask_token"]
    tokens = torch.stack(
        [
            w["cls_token"],
            linear(global_.double(), "global_projection"),
            *linear(shots, "input_projection"),
        ]
    )
    positions = [0, 1, *range(2 + first, 2 + first + len(shots))]
    x = norm(tokens + w["positions.weight"][positions], "norm")
    width = HIDDEN // HEADS
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        query, key, value = (
            linear(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value")
        )
        attended = torch.zeros_like(x)
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            for i in range(len(x)):
                scores = key[:, part] @ query[i, part] / math.sqrt(width)
                weight = (scores - scores.max()).exp()
                attended[i, part] = (weight / weight.sum()) @ value[:, part]
        x = norm(
            x + linear(attended, f"{at}.attention.output.dense"),
            f"{at}.attention.output.LayerNorm",
        )
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x[2:], x[0], linear(x[2:], "output_projection")


@torch.inference_mode()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_equals_a_plain_implementation(attention: str) -> None:
    network = make_network()
    network.set_attn_implementation(attention)
    sequences, global_ = titles(9, 5, 1)
    fused, present = padded(sequences)
    masked = torch.zeros_like(present)
    masked[0, [2, 3, 8]] = masked[1, 0] = True
    first = torch.tensor([0, 4, 20])

    output = network(fused, global_, present, masked, first)

    for i, sequence in enumerate(sequences):
        n = len(sequence)
        shots, title, reconstruction = plain_forward(
            network.state_dict(), sequence, global_[i], masked[i, :n], int(first[i])
        )
        torch.testing.assert_close(output.shots[i, :n].double(), shots, atol=1e-5, rtol=0)
        torch.testing.assert_close(output.title[i].double(), title, atol=1e-5, rtol=0)
        torch.testing.assert_close(
            output.reconstruction[i, :n].double(), reconstruction, atol=2e-5, rtol=0
        )


@torch.inference_mode()
def test_a_title_is_read_alike_alone_padded_and_in_any_order(network: MediaFM) -> None:
    sequences, global_ = titles(11, 4, 7)
    order = [2, 0, 1]
    fused, present = padded([sequences[i] for i in order])

    together = network(fused, global_[order], present)

    for place, i in enumerate(order):
        alone = network(sequences[i][None], global_[[i]])
        shots = together.shots[place, : len(sequences[i])]
        torch.testing.assert_close(shots, alone.shots[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.title[place], alone.title[0], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_metadata_position_and_every_other_shot_matter(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    before = network(fused[None], global_).shots[0]

    other_metadata = network(fused[None], -global_).shots[0]
    shifted = network(fused[None], global_, first_position=torch.tensor([5])).shots[0]
    other_shot = fused.clone()
    other_shot[6] = -other_shot[6]
    with_other_shot = network(other_shot[None], global_).shots[0]

    for after in (other_metadata, shifted, with_other_shot):
        assert (after - before).abs().amax(dim=-1).min() > 1e-3  # every shot has changed


@torch.inference_mode()
def test_order_of_shots_matters(network: MediaFM) -> None:
    (fused,), global_ = titles(8)
    there = network(fused[None], global_).shots[0]
    back = network(fused.flip(0)[None], global_).shots[0].flip(0)
    assert (there - back).abs().max() > 1e-3


@torch.inference_mode()
def test_nothing_of_a_masked_shot_shows_through(network: MediaFM) -> None:
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
def test_context_is_read_from_the_configured_layer(network: MediaFM) -> None:
    (fused,), global_ = titles(6)
    states = network.hidden_states(fused[None], global_)
    middle = make_network(context_layer=1)(fused[None], global_)
    last = network(fused[None], global_)

    assert torch.equal(middle.shots, states[1][:, SPECIAL_TOKENS:])
    assert torch.equal(last.shots, states[LAYERS][:, SPECIAL_TOKENS:])
    assert torch.equal(middle.reconstruction, last.reconstruction)
