"""Scores of units and titles as tables, and the baseline that is chosen in the training folds."""

from pathlib import Path

import numpy as np
import pytest
from made_tables import SEEN, made_table, written

from mediafm_core.evaluation.metrics import value
from mediafm_core.evaluation.probe_scores import ProbeScores
from mediafm_core.evaluation.table_units import read_table
from mediafm_core.evaluation.units import Units

TITLES, SHOTS = 4, 30
SEEDS = (3, 5)
FOLDS = (np.repeat([0, 0, 1, 1], SHOTS), np.repeat([0, 1, 0, 1], SHOTS))


@pytest.fixture
def units(tmp_path: Path) -> Units:
    table = made_table(titles=TITLES, shots=SHOTS)
    shots = table["shot_index"].to_numpy() * 10
    table = table.set_column(1, "shot_index", [shots])
    return read_table(written(table, tmp_path / "shots.parquet"), [SEEN], ["label"])


def drawn(units: Units, *names: str) -> ProbeScores:
    random = np.random.default_rng(0)
    scores = ProbeScores(units, SEEDS, FOLDS)
    for name in names:
        for seed in SEEDS:
            scores.add(name, seed, random.normal(size=len(units.title_of)), {0: 0.1, 1: 0.1})
    return scores


class TestStrongest:
    def test_is_chosen_by_the_training_titles_of_each_fold(self, units: Units) -> None:
        scores = drawn(units, "a", "b", "c")
        metrics = {
            "a": {3: {0: 0.5, 1: 0.2}, 5: {0: np.nan, 1: np.nan}},
            "b": {3: {0: 0.4, 1: 0.3}, 5: {0: 0.1, 1: 0.2}},
            "c": {3: {0: 0.9, 1: 0.9}, 5: {0: 0.9, 1: 0.9}},
        }
        scores.training_metrics = metrics
        assert scores.add_strongest("best", ["a", "b"]) == {"b": 3, "a": 1}
        best, by_name = scores.by_name["best"], scores.by_name
        expected = np.where(FOLDS[0] == 0, by_name["a"][3], by_name["b"][3])
        np.testing.assert_array_equal(best[3], expected)
        np.testing.assert_array_equal(best[5], by_name["b"][5])
        assert scores.training_metrics["best"][3] == {0: 0.5, 1: 0.3}

    def test_is_the_first_where_no_metric_is_known(self, units: Units) -> None:
        scores = drawn(units, "a", "b")
        scores.training_metrics = {name: {3: {}, 5: {}} for name in "ab"}
        assert scores.add_strongest("best", ["b", "a"]) == {"b": 4, "a": 0}

    def test_needs_two_candidates_with_all_seeds(self, units: Units) -> None:
        scores = drawn(units, "a", "b")
        del scores.by_name["b"][5]
        assert scores.add_strongest("best", ["a", "b", "unmeasured"]) == {"a": 4}
        assert scores.add_strongest("best", ["b"]) == {}
        assert "best" not in scores.by_name

    def test_is_not_better_than_others_by_chance(self, units: Units) -> None:
        """The best of many random baselines by the tested titles would be far above chance."""
        random = np.random.default_rng(1)
        labels, titles = units.labels, units.title_of.astype(str)
        names = [f"noise-{number}" for number in range(40)]
        scores = drawn(units, *names)
        of_each = [value("roc_auc", scores.by_name[name][3], labels, titles) for name in names]
        scores.training_metrics = {
            name: {seed: {fold: random.random() for fold in (0, 1)} for seed in SEEDS}
            for name in names
        }
        scores.add_strongest("best", names)
        of_best = value("roc_auc", scores.by_name["best"][3], labels, titles)
        assert of_best < max(of_each) - 0.05


class TestTables:
    def test_have_a_row_for_each_tested_unit(self, units: Units) -> None:
        scores = drawn(units, "a", "b")
        scores.by_name["b"][5][FOLDS[1] == 1] = np.nan
        table = scores.table().to_pandas()
        assert len(table) == 3.5 * TITLES * SHOTS
        rows = table[(table.representation == "b") & (table.seed == 5)]
        np.testing.assert_array_equal(rows.title.unique(), ["title-00", "title-02"])
        np.testing.assert_array_equal(rows.unit[:SHOTS], np.arange(SHOTS) * 10)
        assert (rows.fold == 0).all()
        np.testing.assert_array_equal(rows.score, scores.by_name["b"][5][FOLDS[1] == 0])

    def test_several_classes_have_a_vector_of_scores(self, units: Units) -> None:
        scores = ProbeScores(units, SEEDS[:1], FOLDS[:1])
        each = np.random.default_rng(2).normal(size=(len(units.title_of), 3))
        each[0], each[1, 0] = np.nan, np.nan
        scores.add("a", SEEDS[0], each, {})
        table = scores.table()
        assert table.schema.field("score").type.list_size == 3
        np.testing.assert_array_equal(table["score"][0].as_py(), each[1])
        assert table.num_rows == TITLES * SHOTS - 1

    def test_values_by_title_average_to_the_metric(self, units: Units) -> None:
        scores = drawn(units, "a")
        table = scores.title_table().to_pandas()
        assert sorted(table.metric.unique()) == ["average_precision", "roc_auc"]
        for seed in SEEDS:
            rows = table[(table.seed == seed) & (table.metric == "average_precision")]
            assert list(rows.title) == units.titles
            expected = value(
                "average_precision",
                scores.by_name["a"][seed],
                units.labels,
                units.title_of.astype(str),
            )
            assert rows.value.mean() == pytest.approx(expected)

    def test_a_title_that_is_not_measurable_is_left_out(self, units: Units) -> None:
        units.labels.values[:SHOTS] = False
        units.labels.known[SHOTS : 2 * SHOTS] = False
        table = drawn(units, "a").title_table().to_pandas()
        assert sorted(table.title.unique()) == ["title-02", "title-03"]
        units.labels.known[:] = False
        assert drawn(units, "a").title_table().num_rows == 0
