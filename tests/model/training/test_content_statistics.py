"""The content head: what it learns, how it is calibrated, and when there is none."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from mediafm_core.model.content_head import MEMBERS, ContentHead, content_logits
from mediafm_core.model.slow_features import SlowFeatures
from mediafm_core.model.training.content_statistics import calibration, fit_content
from mediafm_core.model.training.slow_feature_statistics import fit_slow_features
from mediafm_core.scenes.partitions import GRAINS

WIDTH = 16


def titles(count: int, marked: bool, shots: int = 72, seed: int = 0) -> list[torch.Tensor]:
    """Make titles of scenes of 9 shots; where `marked`, first shots share a direction."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        places = torch.randn(-(-shots // 9), WIDTH, generator=generator)
        title = places.repeat_interleave(9, dim=0)[:shots]
        title = title + torch.randn(shots, WIDTH, generator=generator)
        title[:, 0] = 3.0 * (torch.arange(shots) % 9 == 0) * marked
        made.append(functional.normalize(title, dim=-1))
    return made


def fitted(sample: list[torch.Tensor]) -> ContentHead:
    slow, head = SlowFeatures(WIDTH), ContentHead(WIDTH)
    fit_slow_features(slow, sample)
    fit_content(head, slow, sample)
    return head


@pytest.fixture(scope="module")
def marked_head() -> ContentHead:
    return fitted(titles(16, marked=True))


def test_shots_that_tend_to_be_first_are_learnt_from_similarity(marked_head) -> None:
    for unseen in titles(3, marked=True, seed=5):
        evidence = marked_head(unseen)
        assert evidence.shape == (72, len(GRAINS))
        first = torch.arange(72) % 9 == 0
        higher = (evidence[first][:, None] > evidence[~first]).float().mean(dim=(0, 1))
        assert (higher > 0.98).all()


def test_evidence_depends_on_the_shot_alone_up_to_a_constant(marked_head) -> None:
    [title] = titles(1, marked=True, seed=6)
    order = torch.randperm(len(title), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(marked_head(title[order]), marked_head(title)[order])
    part = marked_head(title[:20]) - marked_head(title)[:20]
    torch.testing.assert_close(part, part[:1].expand_as(part), atol=1e-5, rtol=0)
    torch.testing.assert_close(marked_head(5 * title), marked_head(title), atol=1e-5, rtol=0)


def test_content_that_says_nothing_has_little_weight(marked_head) -> None:
    head = fitted(titles(16, marked=False))
    [title] = titles(1, marked=False, seed=7)
    assert head(title).abs().mean() < 0.2 * marked_head(titles(1, True, seed=7)[0]).abs().mean()


@pytest.mark.parametrize("sample", [titles(3, True), [title[:1] for title in titles(6, True)]])
def test_there_is_no_content_head_without_enough_titles(sample: list[torch.Tensor]) -> None:
    assert not fitted(sample)(titles(1, True)[0]).any()


def test_the_fit_repeats_and_leaves_random_numbers_alone() -> None:
    sample = titles(5, marked=True)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = fitted(sample), fitted(sample)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_calibration_is_a_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * [1.0, 3.0, 1.0]
    odds = np.exp(logits * [0.6, 0.2, -0.5] - 2)
    targets = np.clip(odds / (1 + odds) + 0.02 * rng.normal(size=odds.shape), 0, 1)
    found = calibration(torch.tensor(logits), torch.tensor(targets))
    for column in (0, 1):
        x, y = logits[:, [column]], targets[:, column]
        model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(
            np.concatenate([x, x]),
            np.repeat([1, 0], len(x)),
            sample_weight=np.concatenate([y, 1 - y]),
        )
        assert float(found[column]) == pytest.approx(float(model.coef_[0, 0]), abs=1e-3)
    assert float(found[2]) == 0  # a head that says the opposite says nothing
    flat = calibration(torch.zeros(50, 2).double(), torch.full((50, 2), 0.1).double())
    assert flat.tolist() == [0.0, 0.0]


def test_logits_are_those_of_small_networks_which_differ(marked_head) -> None:
    [title] = titles(1, marked=True, seed=8)
    found = content_logits(title, marked_head.parts())
    assert found.shape == (MEMBERS, len(title), len(GRAINS))
    for member, logits in enumerate(found):
        states = 6 * functional.normalize(title, dim=-1)
        for number, (weight, bias) in enumerate(marked_head.parts()):
            states = functional.gelu(states) if number else states
            states = states @ weight[member].T + bias[member]
        torch.testing.assert_close(logits, states)
        assert member == 0 or (logits - found[member - 1]).abs().max() > 0.1


def test_evidence_is_the_calibrated_mean_of_the_members(marked_head) -> None:
    [title] = titles(1, marked=True, seed=8)
    mean = content_logits(title, marked_head.parts()).mean(dim=0)
    expected = (mean - mean.mean(dim=0)) * marked_head.calibration
    torch.testing.assert_close(marked_head(title), expected)
