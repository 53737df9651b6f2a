"""Losses, and that the parts of a step add up to its loss."""

import math

import pytest
import torch
from torch.nn import functional

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.masking import sample_masks
from mediafm_core.model.training.novelty_statistics import fit_novelty
from mediafm_core.model.training.objective import Batch, Counts, Losses, Objective, drop_modalities

RANGES = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
EVERYTHING = ObjectiveSettings(
    span_shots=2,
    single_modality_ratio=0.5,
    modality_dropout=0.5,
    contrastive_weight=0.3,
    boundary_weight=0.7,
)


def make_objective(settings: ObjectiveSettings, **model: object) -> Objective:
    shape = ModelSettings(
        attention="bidirectional", hidden=16, layers=2, heads=4, feed_forward=32, **model
    )
    config = MediaFMConfig.from_settings(
        shape, 24, 6, FusedSpace(ranges=RANGES), boundary_head=True
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MediaFM(config)
        assert network.structure is not None
        fit_novelty(network.structure, [torch.randn(40, 24)])
        return Objective(network, settings).eval()


def make_batch(lengths: list[int], settings: ObjectiveSettings, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths)
    present = torch.arange(max(lengths)) < counts[:, None]
    fused = torch.randn(len(lengths), max(lengths), 24, generator=generator)
    fused[:, ::3, 20:] = 0  # no text
    fused = functional.normalize(fused, dim=-1) * present[..., None]
    has = torch.stack([fused[..., a:b].any(dim=-1) for a, b in RANGES.values()], dim=-1)
    masks = sample_masks(counts, has, settings, 3, generator)
    return Batch(
        fused=fused,
        global_=torch.randn(len(lengths), 6, generator=generator),
        present=present,
        masked=masks.masked,
        rows=masks.rows,
        row_weights=masks.row_weights,
        dropped=masks.dropped,
        first_position=torch.zeros(len(lengths), dtype=torch.int64),
        first_shot=torch.arange(len(lengths)) * 1000,
    )


def counts_of(batch: Batch) -> Counts:
    pairs = int((batch.present.sum(dim=1) - 3).clamp(min=0).sum())
    return Counts(int(batch.row_weights.sum()), int(batch.present.sum()), pairs)


def part(batch: Batch, chosen: slice) -> Batch:
    return Batch(*(None if tensor is None else tensor[chosen] for tensor in batch))


def test_the_default_is_masked_shot_modeling_as_published() -> None:
    settings = ObjectiveSettings(boundary_weight=0)
    objective, batch = make_objective(settings), make_batch([20, 9, 14], settings)
    losses = objective(batch, counts_of(batch))

    hidden = batch.masked.any(dim=-1)
    assert torch.equal(hidden, batch.masked.all(dim=-1))
    network = objective.network
    prediction = network(batch.fused, batch.global_, batch.present, masked=hidden).reconstruction[
        hidden
    ]
    cosine = functional.cosine_similarity(prediction, batch.fused[hidden])
    torch.testing.assert_close(losses.total, (1 - cosine).mean())
    torch.testing.assert_close(losses.main, losses.total.detach())
    assert losses.terms == {}


@pytest.mark.parametrize("settings", [ObjectiveSettings(), EVERYTHING])
def test_parts_of_a_step_add_up_to_it(settings: ObjectiveSettings) -> None:
    objective, batch = make_objective(settings), make_batch([30, 26, 9, 14, 30], settings)
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
    for name, value in whole.terms.items():
        assert float(value) == pytest.approx(sum(float(h.terms[name]) for h in halves), rel=1e-4)
    for name, gradient in of_whole.items():
        torch.testing.assert_close(of_halves[name], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["concatenation", "gate", "tokens"])
def test_every_weight_has_a_gradient(fusion: str) -> None:
    objective = make_objective(
        EVERYTHING, fusion=fusion, prediction="both", missing_modality="learnt"
    )
    batch = make_batch([30, 14], EVERYTHING)
    objective(batch, counts_of(batch)).total.backward()
    without = [name for name, p in objective.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("prediction", ["copy", "linear", "both"])
def test_gradients_stay_bounded_where_nothing_is_visible(prediction: str) -> None:
    """Titles without metadata, one with a single shot: inputs and a prediction start at zero."""
    settings = ObjectiveSettings()
    objective = make_objective(settings, prediction=prediction)
    batch = make_batch([20, 1], settings)._replace(global_=torch.zeros(2, 6))
    objective(batch, counts_of(batch)).total.backward()
    lengths = [p.grad.norm() for p in objective.parameters() if p.grad is not None]
    assert max(lengths) < 1e4


def test_the_loss_of_a_masked_modality_uses_its_own_columns_only() -> None:
    settings = ObjectiveSettings(single_modality_ratio=1.0, boundary_weight=0)
    objective, batch = make_objective(settings), make_batch([20, 20], settings)
    before = objective(batch, counts_of(batch)).total
    targets = batch.fused.clone()
    shot = int(batch.rows[0, 0])
    hidden = batch.masked[0, shot]
    seen = next(i for i in range(3) if not hidden[i])
    # The same prediction, with other targets where nothing was masked.
    reconstruction = objective.network(
        batch.fused, batch.global_, batch.present, batch.masked, rows=batch.rows
    ).reconstruction
    targets[0, shot, slice(*list(RANGES.values())[seen])] += 1.0
    target_rows = targets.gather(1, batch.rows[..., None].expand(-1, -1, 24))
    columns = batch.masked.gather(1, batch.rows[..., None].expand(-1, -1, 3))
    wide = columns.repeat_interleave(torch.tensor([12, 8, 4]), dim=-1)
    distance = 1 - functional.cosine_similarity(reconstruction * wide, target_rows * wide, dim=-1)
    expected = (distance * batch.row_weights).sum() / batch.row_weights.sum()
    torch.testing.assert_close(before, expected)


def test_the_contrastive_loss_is_least_for_the_right_prediction() -> None:
    settings = ObjectiveSettings(contrastive_weight=1.0)
    objective = make_objective(settings)
    targets = torch.eye(6)[None]
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]])
    right = float(objective._contrastive(targets, targets, weights))
    wrong = float(objective._contrastive(targets.roll(1, dims=1), targets, weights))
    even = float(objective._contrastive(torch.ones(1, 6, 6), targets, weights))
    assert right < 0.01 < even < wrong
    assert even == pytest.approx(4 * math.log(4), rel=1e-4)  # four shots, four candidates


def test_a_dropped_modality_is_zero_and_lengths_stay_one() -> None:
    fused = make_batch([12, 12], ObjectiveSettings()).fused
    fused[1, 4, :20] = 0  # nothing but text
    fused[1, 4, 20:] = torch.tensor([0.6, 0.8, 0, 0])
    dropped = torch.tensor([[False, True, False], [False, False, True]])
    left = drop_modalities(fused, dropped, list(RANGES.values()))
    assert not left[0, :, 12:20].any()
    assert torch.equal(left[1, 4], fused[1, 4])
    text = left[1, :, 20:].any(dim=-1)
    assert text.nonzero().flatten().tolist() == [4]
    torch.testing.assert_close(left.norm(dim=-1), torch.ones(2, 12))
    kept = functional.cosine_similarity(left[0, :, :12], fused[0, :, :12], dim=-1)
    torch.testing.assert_close(kept, torch.ones(12))
