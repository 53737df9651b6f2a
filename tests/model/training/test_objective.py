"""Losses, and that the parts of a step add up to its loss."""

import pytest
import torch
from torch.nn import functional

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.input_statistics import fit_statistics
from mediafm_core.model.training.masking import sample_masks
from mediafm_core.model.training.objective import Batch, Counts, Losses, Objective
from mediafm_core.model.training.past_future import past_future
from mediafm_core.scenes.partitions import GRAINS

RANGES = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
BOTH = pytest.mark.parametrize("attention", ["bidirectional", "two_directions"])


def make_objective(attention: str) -> Objective:
    shape = ModelSettings(attention=attention, hidden=16, layers=2, heads=4, feed_forward=32)
    config = MediaFMConfig.from_settings(
        shape, 24, 6, FusedSpace(ranges=RANGES), boundary_head=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MediaFM(config)
        fit_statistics(network, [functional.normalize(torch.randn(40, 24), dim=-1)])
        return Objective(network, ObjectiveSettings(boundary_weight=0.7)).eval()


def make_batch(lengths: list[int], seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths)
    present = torch.arange(max(lengths)) < counts[:, None]
    fused = torch.randn(len(lengths), max(lengths), 24, generator=generator)
    fused[:, ::3, 20:] = 0  # no text
    fused = functional.normalize(fused, dim=-1) * present[..., None]
    masks = sample_masks(counts, 0.2, generator)
    return Batch(
        fused=fused,
        global_=torch.randn(len(lengths), 6, generator=generator),
        present=present,
        masked=masks.masked,
        rows=masks.rows,
        row_weights=masks.row_weights,
        first_position=torch.zeros(len(lengths), dtype=torch.int64),
        first_shot=torch.arange(len(lengths)) * 1000,
        boundaries=torch.rand(*present.shape, len(GRAINS), generator=generator),
    )


def counts_of(batch: Batch) -> Counts:
    pairs = int((batch.present.sum(dim=1) - 3).clamp(min=0).sum())
    return Counts(int(batch.row_weights.sum()), int(batch.present.sum()), pairs)


def part(batch: Batch, chosen: slice) -> Batch:
    return Batch(*(None if tensor is None else tensor[chosen] for tensor in batch))


def test_the_published_loss_is_the_cosine_distance_of_masked_shots() -> None:
    objective, batch = make_objective("bidirectional"), make_batch([20, 9, 14])
    losses = objective(batch, counts_of(batch))
    output = objective.network(batch.fused, batch.global_, batch.present, masked=batch.masked)
    cosine = functional.cosine_similarity(
        output.reconstruction[batch.masked], batch.fused[batch.masked]
    )
    torch.testing.assert_close(losses.total, (1 - cosine).mean())
    torch.testing.assert_close(losses.main, losses.total.detach())
    assert losses.terms == {}


def test_the_loss_of_two_directions_is_that_of_pairs_and_of_boundaries() -> None:
    objective, batch = make_objective("two_directions"), make_batch([20, 9, 14])
    losses = objective(batch, counts_of(batch))
    network = objective.network
    directions = network.directions(batch.fused, batch.global_, batch.present)
    shots = batch.first_shot[:, None] + torch.arange(20)
    pairs = past_future(
        *network.two_directions.agreement(directions), batch.present, shots, 0.1
    ).loss
    logits = network.boundaries(batch.fused, batch.global_, batch.present)
    known = batch.present.clone()
    known[:, 0] = False
    boundaries = functional.binary_cross_entropy_with_logits(
        logits[known], batch.boundaries[known], reduction="sum"
    ) / len(GRAINS)
    main, boundary = pairs / (17 + 6 + 11), boundaries / (20 + 9 + 14)
    torch.testing.assert_close(losses.main, main)
    torch.testing.assert_close(losses.terms["boundary"], boundary)
    torch.testing.assert_close(losses.total, main + 0.7 * boundary)


def test_parts_of_a_step_add_up_to_it() -> None:
    objective, batch = make_objective("bidirectional"), make_batch([30, 26, 9, 14, 30])
    counts = counts_of(batch)

    def gradients(batches: list[Batch]) -> tuple[list[Losses], dict[str, torch.Tensor]]:
        objective.zero_grad()
        found = [objective(each, counts) for each in batches]
        for losses in found:
            losses.total.backward()
        grads = {
            name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None
        }
        return found, grads

    [whole], of_whole = gradients([batch])
    halves, of_halves = gradients([part(batch, slice(0, 2)), part(batch, slice(2, 5))])

    assert whole.total.item() == pytest.approx(sum(h.total.item() for h in halves), rel=1e-5)
    for name, gradient in of_whole.items():
        torch.testing.assert_close(of_halves[name], gradient, atol=1e-6, rtol=1e-4)


@BOTH
def test_every_weight_has_a_gradient(attention: str) -> None:
    objective = make_objective(attention)
    batch = make_batch([30, 14])
    objective(batch, counts_of(batch)).total.backward()
    without = [name for name, p in objective.named_parameters() if p.grad is None]
    assert without == []


@BOTH
def test_gradients_stay_bounded_where_nothing_is_visible(attention: str) -> None:
    """Titles without metadata, one with a single shot."""
    objective = make_objective(attention)
    batch = make_batch([20, 1])._replace(global_=torch.zeros(2, 6))
    objective(batch, counts_of(batch)).total.backward()
    lengths = [p.grad.norm() for p in objective.parameters() if p.grad is not None]
    assert max(lengths) < 1e4
