"""Probes on a few labelled titles, drawn alike for all representations, give a curve."""

import numpy as np
import pytest
from labelled_units import Vectors, labels_of, titles_of

from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.label_budgets import (
    budget_scores,
    draw_titles,
    most_titles,
    parse_budgets,
    too_large,
)
from mediafm_core.evaluation.metrics import value
from mediafm_core.evaluation.probe_splits import divide

TITLES = titles_of(18, 12)
COUNT = len(TITLES)
POSITIVES = np.random.default_rng(7).random(COUNT) < 0.3
LABELS = labels_of(POSITIVES)
SPLITS = divide(TITLES, LABELS, 3, seed=0).splits


def vectors(width: int, shift: float) -> Vectors:
    random = np.random.default_rng(1)
    return Vectors("x", random.normal(size=(COUNT, width)) + shift * POSITIVES[:, None])


class TestParsing:
    def test_of_numbers_and_all(self) -> None:
        assert parse_budgets(" 2, 10 ,all,2") == (2, 10, "all")

    @pytest.mark.parametrize("text", ["0", "two", "-1", "2.5", ",", ""])
    def test_refuses_others(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="2,5,10,all"):
            parse_budgets(text)


class TestDraws:
    def test_take_that_many_training_titles_of_each_split(self) -> None:
        for draw in draw_titles(LABELS, TITLES, SPLITS, [2, 5], draws=3, seed=0):
            for split, drawn in zip(SPLITS, draw.of_splits, strict=True):
                assert len(np.unique(TITLES[drawn])) == draw.budget
                assert not (drawn & ~split.training).any()

    def test_of_a_larger_budget_have_the_titles_of_a_smaller_one(self) -> None:
        draws = draw_titles(LABELS, TITLES, SPLITS, [2, 5], draws=3, seed=0)
        assert [draw.budget for draw in draws] == [2, 2, 2, 5, 5, 5]
        for small, large in zip(draws[:3], draws[3:], strict=True):
            assert not (small.of_splits[0] & ~large.of_splits[0]).any()
        assert len({draw.of_splits[0].tobytes() for draw in draws}) == 6

    def test_avoid_titles_whose_units_are_all_the_same(self) -> None:
        rare = labels_of(np.isin(TITLES, np.unique(TITLES)[::3]) & (np.arange(COUNT) % 3 == 0))
        splits = divide(TITLES, rare, 3, seed=0).splits
        for draw in draw_titles(rare, TITLES, splits, [2], draws=10, seed=0):
            assert all(rare.values[drawn].any() for drawn in draw.of_splits)

    def test_are_repeated_by_the_seed(self) -> None:
        found = [
            draw_titles(LABELS, TITLES, SPLITS, [3], 2, seed)[0].of_splits[0] for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(found[0], found[1])
        assert (found[0] != found[2]).any()

    def test_of_too_large_a_budget_have_a_reason_instead(self) -> None:
        known = np.isin(TITLES, np.unique(TITLES)[:9])
        labels = labels_of(POSITIVES, known=known)
        most = most_titles(labels, TITLES, SPLITS)
        assert most < 9
        assert too_large(most, labels, TITLES, most) is None
        sentence = too_large(9, labels, TITLES, most)
        assert sentence is not None
        assert f"larger than the {most} of 9 titles with 'wanted'" in sentence


class TestScores:
    def test_grow_better_with_more_titles_and_have_chance_for_noise(self) -> None:
        draws = draw_titles(LABELS, TITLES, SPLITS, [2, 10], draws=2, seed=0)
        scores = budget_scores(vectors(60, 0.25), LABELS, TITLES, SPLITS, draws, seed=0)
        found = [value("average_precision", each, LABELS, TITLES) for each in scores]
        assert np.mean(found[2:]) > np.mean(found[:2]) + 0.05
        noise = budget_scores(vectors(60, 0.0), LABELS, TITLES, SPLITS, draws, seed=0)
        of_noise = [value("average_precision", each, LABELS, TITLES) for each in noise]
        assert np.mean(of_noise) == pytest.approx(0.41, abs=0.06)  # of 12 units, 30 % positive

    def test_use_no_label_outside_the_drawn_titles(self) -> None:
        draws = draw_titles(LABELS, TITLES, SPLITS, [3], draws=1, seed=0)
        other = SPLITS[0].training & ~draws[0].of_splits[0]
        found, same = (
            budget_scores(vectors(5, 1.0), labels, TITLES, SPLITS[:1], draws, seed=0)[0]
            for labels in (LABELS, labels_of(POSITIVES ^ other))
        )
        np.testing.assert_array_equal(same, found)

    def test_of_two_titles_choose_the_penalty_by_leaving_one_out(self) -> None:
        draws = draw_titles(LABELS, TITLES, SPLITS, [2], draws=2, seed=0)
        for scores in budget_scores(vectors(4, 3.0), LABELS, TITLES, SPLITS, draws, seed=0):
            assert value("average_precision", scores, LABELS, TITLES) > 0.9

    def test_are_missing_where_the_drawn_labels_are_all_the_same(self) -> None:
        constant = [split.training & np.isin(TITLES, ["film-000", "film-001"]) for split in SPLITS]
        labels = labels_of(POSITIVES & ~np.isin(TITLES, ["film-000", "film-001"]))
        draws = draw_titles(labels, TITLES, SPLITS, [2], draws=1, seed=0)
        (scores,) = budget_scores(
            vectors(4, 1.0), labels, TITLES, SPLITS, [draws[0]._replace(of_splits=constant)], seed=0
        )
        assert np.isnan(scores).all()

    def test_of_every_task_have_the_shape_of_its_metrics(self) -> None:
        codes = np.random.default_rng(2).integers(3, size=COUNT)
        for labels in (
            labels_of(codes, "multiclass", ["a", "b", "c"]),
            labels_of(codes.astype(float), "ranking"),
            labels_of(codes[:, None] == np.arange(3), "multilabel", ["a", "b", "c"]),
        ):
            draws = draw_titles(labels, TITLES, SPLITS, [2], draws=1, seed=0)
            (scores,) = budget_scores(vectors(3, 0.0), labels, TITLES, SPLITS[:1], draws, seed=0)
            assert scores.shape == ((COUNT, 3) if labels.classes else (COUNT,))
            assert not np.isnan(scores[SPLITS[0].tested]).any()
