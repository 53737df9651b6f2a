"""Targets of the scene boundary loss are those of whole titles, whatever part is read."""

import numpy as np
import pytest
import torch

from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.model.training import scene_targets
from mediafm_core.model.training.scene_targets import SceneTargets
from mediafm_core.model.training.slow_feature_statistics import fit_slow_features
from mediafm_core.scenes.partitions import GRAINS, boundary_marginals


@pytest.fixture
def targets(make_catalogue) -> SceneTargets:
    data = make_catalogue(60, 1, 400)
    slow = SlowFeatures(24)
    fit_slow_features(slow, [torch.tensor(data.read(2, 0, 400))])
    return SceneTargets(data, slow)


def test_a_crop_has_the_targets_of_the_whole_title(targets: SceneTargets) -> None:
    whole = targets.read(0, 0, 60)
    fused = torch.tensor(targets._data.read(0, 0, 60))
    teachers = [vectors.numpy() for vectors in targets._slow_features.teachers(fused)]
    assert [vectors.shape for vectors in teachers] == [(60, 24)] * 3
    expected = np.mean([boundary_marginals(vectors) for vectors in teachers], axis=0)
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(targets.read(0, 13, 40), whole[13:40])
    assert targets.read(1, 0, 1).shape == (1, len(GRAINS))
    # Titles of the fixture change every five shots.
    assert whole[5::5, 0].mean() > 2 * whole[:, 0].mean()


def test_pieces_of_a_long_title_fit_together(
    targets: SceneTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = targets.read(2, 0, 400).copy()
    monkeypatch.setattr(scene_targets, "PIECE", 200)
    pieces = SceneTargets(targets._data, targets._slow_features).read(2, 0, 400)
    # A piece has a boundary in so many of its own shots, so that the penalties differ a little.
    assert np.abs(pieces - whole).mean() < 0.02
    assert np.corrcoef(pieces.ravel(), whole.ravel())[0, 1] > 0.98
