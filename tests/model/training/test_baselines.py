"""Predictions without a network."""

import pytest
import torch

from mediafm_core.model.training.baselines import baseline_predictions


def test_baselines() -> None:
    fused = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])[:, None]
    masked = torch.tensor([True, False, True, True, False, True])

    predicted = {
        name: prediction[masked, 0].tolist()
        for name, prediction in baseline_predictions(fused, masked).items()
    }

    assert predicted["title_mean"] == [8.5] * 4
    assert predicted["nearest_shot"] == [1, 1, 16, 16]
    assert predicted["interpolation"] == pytest.approx([1, 6, 11, 16])


def test_of_two_equally_near_shots_the_earlier_is_copied() -> None:
    predicted = baseline_predictions(torch.eye(3), torch.tensor([False, True, False]))
    assert predicted["nearest_shot"][1].tolist() == [1, 0, 0]
