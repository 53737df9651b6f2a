"""Muon against PyTorch's, whose iteration is in bfloat16."""

import pytest
import torch

from mediafm_core.model.training.muon import Muon, orthogonalised

SHAPES = (32, 32), (32, 96), (96, 32)
# bfloat16 rounds to one part in 256, and five iterations add up.
ROUNDING = 0.03


def test_updates_are_those_of_pytorch_but_for_its_rounding() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(each.detach().clone()) for each in ours]
    muon = Muon(ours, lr=0.01, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    first = [each.detach().clone() for each in ours]
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        muon.step()
        reference.step()
    for one, other, start in zip(ours, theirs, first, strict=True):
        assert (one - other).norm() < ROUNDING * (one - start).norm()


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    found = orthogonalised(torch.randn(2, *shape))
    assert found.shape == (2, *shape)
    values = torch.linalg.svdvals(found)
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_a_zero_gradient_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 4))
    parameter.grad = torch.zeros(4, 4)
    Muon([parameter], lr=0.01, weight_decay=0.0).step()
    assert torch.equal(parameter, torch.ones(4, 4))
