"""Linear models equal scikit-learn's for any width, strength and number of targets."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mediafm_core.evaluation.linear import LinearModels, PrincipalAxes, fit

_STRENGTHS = np.array([1e-1, 1e-3, 1e-5])


def _units(count: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features of very different scales, the first of them correlated with the classes."""
    random = np.random.default_rng(0)
    codes = random.integers(classes, size=count)
    features = random.normal(size=(count, width)) @ random.normal(size=(width, width))
    features[:, :classes] += 3 * np.sqrt(width) * (codes[:, None] == np.arange(classes))
    scales = 10 ** random.uniform(-3, 3, width)
    return (features * scales + 5 * scales).astype(np.float32), codes, random.normal(size=count)


def _standardised(features: np.ndarray) -> np.ndarray:
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    return centred / centred.std(axis=0) / np.sqrt(features.shape[1])


def _fitted(
    features: np.ndarray, targets: np.ndarray, loss: str
) -> tuple[LinearModels, np.ndarray]:
    axes = PrincipalAxes.of(features)
    coordinates = axes.coordinates(features)
    found = fit(coordinates, axes.variances, targets.astype(np.float32), _STRENGTHS, loss)
    return found, found(coordinates)


@pytest.mark.parametrize(("count", "width"), [(200, 12), (60, 150)])
def test_logistic_probes_score_as_scikit_learns(count: int, width: int) -> None:
    features, codes, _ = _units(count, width, 3)
    targets = codes[:, None] == np.arange(3)
    _, scores = _fitted(features, targets, "logistic")
    assert scores.shape == (count, 3, 3)
    for which, strength in enumerate(_STRENGTHS):
        for target in range(3):
            model = LogisticRegression(C=1 / (strength * count), tol=1e-8, max_iter=10_000)
            model.fit(_standardised(features), targets[:, target])
            expected = model.decision_function(_standardised(features))
            # Measured: 0.3 % of the largest score with the weakest penalty, 0.1 % with others.
            np.testing.assert_allclose(
                scores[:, target, which], expected, atol=0.01 * (1 + np.abs(expected).max())
            )


def test_softmax_probes_score_as_scikit_learns() -> None:
    features, codes, _ = _units(200, 12, 3)
    _, scores = _fitted(features, codes[:, None] == np.arange(3), "softmax")
    for which, strength in enumerate(_STRENGTHS):
        model = LogisticRegression(C=1 / (strength * 200), tol=1e-8, max_iter=10_000)
        expected = model.fit(_standardised(features), codes).decision_function(
            _standardised(features)
        )
        found = scores[..., which] - scores[..., which].mean(axis=1, keepdims=True)
        expected -= expected.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=0.01 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize(("count", "width"), [(200, 12), (60, 150)])
def test_squared_probes_are_ridge_regressions(count: int, width: int) -> None:
    features, _, numbers = _units(count, width, 3)
    _, scores = _fitted(features, numbers[:, None], "squared")
    for which, strength in enumerate(_STRENGTHS):
        model = Ridge(alpha=strength * count).fit(_standardised(features), numbers)
        expected = model.predict(_standardised(features))
        np.testing.assert_allclose(scores[:, 0, which], expected, atol=0.01)


def test_constant_features_and_repeated_ones_change_nothing() -> None:
    features, codes, _ = _units(200, 6, 2)
    targets = codes[:, None] == 1
    expected = PrincipalAxes.of(features)
    constant = np.full((200, 2), 1e6 / 3, np.float32)
    found = PrincipalAxes.of(np.hstack([constant, features]))
    assert found.variances.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.variances, expected.variances, rtol=1e-4)
    _, scores = _fitted(np.hstack([constant, features]), targets, "logistic")
    np.testing.assert_allclose(scores, _fitted(features, targets, "logistic")[1], atol=0.05)
    # Rounding errors of a constant, as in a difference of running sums, and tiny noise.
    noise = np.random.default_rng(0).standard_normal((200, 2)) * [2e-6, 1e-30] + [1, 0]
    _, scores = _fitted(np.hstack([noise.astype(np.float32), features]), targets, "logistic")
    np.testing.assert_allclose(scores, _fitted(features, targets, "logistic")[1], atol=0.05)
    # Two copies of all features have the same mean squared length after scaling.
    _, doubled = _fitted(np.hstack([features, features]), targets, "logistic")
    np.testing.assert_allclose(doubled, _fitted(features, targets, "logistic")[1], atol=0.05)


def test_features_that_are_all_constant_predict_the_share() -> None:
    targets = np.arange(40)[:, None] % 4 == 0
    _, scores = _fitted(np.ones((40, 5), np.float32), targets, "logistic")
    np.testing.assert_allclose(scores, np.log(1 / 3), atol=1e-3)


def test_stopping_early_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    features, codes, _ = _units(200, 12, 3)
    targets = codes[:, None] == np.arange(3)
    with caplog.at_level(logging.WARNING):
        _fitted(features, targets, "softmax")
        assert not caplog.records
        monkeypatch.setattr("mediafm_core.evaluation.linear._MOST_STEPS", 2)
        _fitted(features, targets, "softmax")
    assert "softmax loss stopped at a gradient of" in caplog.text
