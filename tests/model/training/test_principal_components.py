"""Principal components: the same from either product, complete, and padded."""

import pytest
import torch

from mediafm_core.model.training.principal_components import principal_components


def centred(count: int, width: int) -> torch.Tensor:
    rows = torch.randn(count, width, dtype=torch.float64, generator=torch.manual_seed(count))
    return rows - rows.mean(dim=0)


@pytest.mark.parametrize(("count", "width"), [(9, 30), (30, 9), (12, 12)])
def test_components_are_those_of_the_covariance(count: int, width: int) -> None:
    rows = centred(count, width)
    variances, components = principal_components(rows, 5)
    covariance = rows.T @ rows / count
    assert torch.allclose(covariance @ components, components * variances, atol=1e-10)
    assert torch.allclose(components.T @ components, torch.eye(5, dtype=torch.float64))
    assert torch.allclose(variances, torch.linalg.eigvalsh(covariance).flip(0)[:5])


def test_few_vectors_leave_components_empty_and_finite() -> None:
    rows = centred(3, 20)
    variances, components = principal_components(rows, 8)
    assert components.shape == (20, 8)
    assert torch.isfinite(components).all()
    assert (variances[2:] < 1e-12).all()
    explained = rows @ components[:, :2] @ components[:, :2].T
    assert torch.allclose(explained, rows)
    assert not components[:, 3:].any()
