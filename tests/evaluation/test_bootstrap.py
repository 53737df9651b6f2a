"""Bootstrap intervals have their nominal coverage; differences are paired; gaps have reasons."""

import numpy as np
import pytest
from labelled_units import labels_of, titles_of

from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.bootstrap import measure
from mediafm_core.evaluation.metrics import value
from mediafm_core.evaluation.results import Evaluation


def _result(evaluation: Evaluation, representation: str, metric: str = "average_precision"):
    (found,) = [
        one
        for one in evaluation.results
        if (one.representation, one.metric) == (representation, metric)
    ]
    return found


def _difference(evaluation: Evaluation, representation: str, baseline: str, metric: str):
    (found,) = [
        one
        for one in evaluation.differences
        if (one.representation, one.baseline, one.metric) == (representation, baseline, metric)
    ]
    return found


def _films(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return titles of 20 units, 5 of them positive, and scores whose quality differs by title."""
    titles, positives = titles_of(count, 20), np.tile(np.arange(20) < 5, count)
    gain = np.repeat(random.gamma(2, 0.5, size=count), 20)
    return titles, positives, gain * positives + random.normal(size=len(titles))


def test_the_interval_of_a_mean_over_titles_contains_the_truth_in_95_percent() -> None:
    random = np.random.default_rng(0)
    titles, positives, scores = _films(random, 5_000)
    truth = value("roc_auc", scores, labels_of(positives), titles)
    simulations, inside = 200, 0
    for _ in range(simulations):
        titles, positives, scores = _films(random, 30)
        evaluation = measure({"x": scores}, labels_of(positives), titles, draws=200)
        found = _result(evaluation, "x", "roc_auc")
        inside += found.low <= truth <= found.high
    # Expected 94 %, with a standard error of 1.7 % for this number of simulations: three of them.
    assert 0.89 <= inside / simulations <= 0.995


def test_differences_are_narrower_than_if_they_were_not_paired() -> None:
    random = np.random.default_rng(1)
    titles, positives, scores = _films(random, 25)
    better = scores + 0.3 * positives
    evaluation = measure({"flat": scores, "better": better}, labels_of(positives), titles)
    for metric in ("average_precision", "average_precision_pooled", "roc_auc_pooled"):
        flat, other = _result(evaluation, "flat", metric), _result(evaluation, "better", metric)
        paired = _difference(evaluation, "better", "flat", metric)
        assert paired.value == pytest.approx(other.value - flat.value)
        unpaired = np.hypot(flat.high - flat.low, other.high - other.low)
        assert paired.high - paired.low < 0.5 * unpaired
        assert paired.low > 0


def test_equally_good_representations_do_not_differ() -> None:
    random = np.random.default_rng(2)
    titles, positives, _ = _films(random, 30)
    noise = {name: random.normal(size=len(titles)) + positives for name in ("flat", "other")}
    found = _difference(
        measure(noise, labels_of(positives), titles), "other", "flat", "average_precision"
    )
    assert found.low < 0 < found.high


def test_scores_by_seed_are_averaged_within_each_draw() -> None:
    random = np.random.default_rng(3)
    titles, positives, first = _films(random, 12)
    second = first + random.normal(size=len(first))
    labels = labels_of(positives)
    one, two, both = (
        _result(measure({"x": scores}, labels, titles), "x")
        for scores in (first, second, [first, second])
    )
    assert both.value == pytest.approx((one.value + two.value) / 2)
    assert both.low < both.value < both.high
    same = _result(measure({"x": [first, first]}, labels, titles), "x")
    assert (same.value, same.low, same.high) == pytest.approx((one.value, one.low, one.high))


def test_the_variation_between_seeds_is_part_of_the_interval() -> None:
    """Titles that are all alike leave the seeds as the only source of variation."""
    random = np.random.default_rng(8)
    titles, seeds, units = 12, 5, 400
    positives = np.arange(units) < units // 2
    by_seed = [random.normal(size=units) + gain * positives for gain in random.gamma(4, 0.2, seeds)]
    tiled = [np.tile(scores, titles) for scores in by_seed]
    labels, of_titles = labels_of(np.tile(positives, titles)), titles_of(titles, units)
    evaluation = measure({"flat": np.zeros(titles * units), "x": tiled}, labels, of_titles)
    found = _result(evaluation, "x", "roc_auc")
    values = [value("roc_auc", one, labels_of(positives), of_titles[:units]) for one in by_seed]
    assert found.value == pytest.approx(np.mean(values))
    error = np.std(values, ddof=1) / np.sqrt(seeds)
    # The interval is widened for the twelve titles, to 2.3 standard errors on either side.
    for end, sign in ((found.low, -1), (found.high, 1)):
        assert end == pytest.approx(found.value + sign * 2.3 * error, abs=0.5 * error)
    alone = _result(measure({"x": tiled[0]}, labels, of_titles), "x", "roc_auc")
    assert alone.high - alone.low < 1e-9


def test_a_difference_that_depends_on_the_seed_is_not_clear_of_zero() -> None:
    random = np.random.default_rng(9)
    titles, positives, flat = _films(random, 25)
    better, worse = flat + 0.5 * positives, flat - 0.4 * positives
    labels = labels_of(positives)
    for gains, is_clear in (([better, better], True), ([better, worse], False)):
        evaluation = measure({"flat": [flat, flat], "x": gains}, labels, titles)
        found = _difference(evaluation, "x", "flat", "roc_auc")
        assert (found.low > 0) == is_clear


def test_neither_the_order_of_units_nor_a_prefix_of_names_changes_an_interval() -> None:
    random = np.random.default_rng(4)
    titles, positives, scores = _films(random, 12)
    order = random.permutation(len(titles))
    expected = measure({"x": scores}, labels_of(positives), titles)
    prefixed = np.char.add("show-", titles)
    for found in (
        measure({"x": scores[order]}, labels_of(positives[order]), titles[order]),
        measure({"x": scores}, labels_of(positives), prefixed),
    ):
        for one, other in zip(expected.results, found.results, strict=True):
            assert (one.value, one.low, one.high) == pytest.approx(
                (other.value, other.low, other.high), abs=1e-6
            )


def test_each_is_compared_with_the_available_baselines() -> None:
    random = np.random.default_rng(5)
    titles, positives, scores = _films(random, 6)
    names = ["in_context", "alone", "flat"]
    evaluation = measure(dict.fromkeys(names, scores), labels_of(positives), titles, draws=10)
    pairs = {(one.representation, one.baseline) for one in evaluation.differences}
    assert pairs == {("in_context", "flat"), ("alone", "flat"), ("in_context", "alone")}
    assert not measure({"x": scores}, labels_of(positives), titles, draws=10).differences


def test_what_training_adds_beside_the_inputs_is_compared() -> None:
    random = np.random.default_rng(7)
    titles, positives, scores = _films(random, 6)
    names = ["both_untrained", "in_context", "both", "inputs"]
    evaluation = measure(dict.fromkeys(names, scores), labels_of(positives), titles, draws=10)
    pairs = [(one.representation, one.baseline) for one in evaluation.differences]
    assert len(pairs) == len(set(pairs)) * len({one.metric for one in evaluation.differences})
    assert set(pairs) == {
        ("both", "both_untrained"),
        *((name, "inputs") for name in ("both_untrained", "in_context", "both")),
    }


def test_chance_depends_on_label_frequencies_only() -> None:
    titles = titles_of(4, 10)
    codes = np.tile([0, 0, 0, 0, 0, 0, 1, 1, 1, 2], 4)
    scores = np.random.default_rng(0).normal(size=(40, 3))
    evaluation = measure({"x": scores}, labels_of(codes, "multiclass", ["a", "b", "c"]), titles)
    assert evaluation.chance["accuracy"] == pytest.approx(0.6)
    assert evaluation.chance["average_precision_macro"] == pytest.approx(1 / 3)
    assert evaluation.chance["roc_auc_macro"] == pytest.approx(0.5)


def test_an_unmeasurable_metric_has_a_reason_and_no_value() -> None:
    titles = titles_of(4, 5)
    by_title = np.repeat([True, False, True, False], 5)
    scores = np.arange(20.0)
    evaluation = measure(
        {"flat": scores, "x": scores, "never": np.full(20, np.nan)}, labels_of(by_title), titles
    )
    found = _result(evaluation, "x")
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "No title has units with and units without 'wanted'" in found.why_not
    assert _result(evaluation, "x", "roc_auc_pooled").value is not None
    never = _result(evaluation, "never", "roc_auc_pooled")
    assert never.value is None
    assert "No unit was tested" in never.why_not
    assert _difference(evaluation, "x", "flat", "average_precision").why_not
    other_units = _difference(evaluation, "never", "flat", "roc_auc_pooled")
    assert other_units.value is None
    assert "other units" in other_units.why_not
    assert evaluation.chance["average_precision"] is None


@pytest.mark.parametrize(("positive_titles", "has_interval"), [(5, False), (6, True)])
def test_titles_without_positives_do_not_count_for_an_interval(
    positive_titles: int, has_interval: bool
) -> None:
    titles = titles_of(20, 10)
    positives = (np.arange(200) % 10 == 0) & (np.arange(200) < 10 * positive_titles)
    noise = np.random.default_rng(0).standard_normal((2, 200))
    scores = {"flat": noise[0] + positives, "x": noise[1] + positives}
    evaluation = measure(scores, labels_of(positives), titles, draws=300)
    for metric in ("average_precision", "average_precision_pooled", "roc_auc", "roc_auc_pooled"):
        for row in (_result(evaluation, "x", metric), _difference(evaluation, "x", "flat", metric)):
            assert row.value is not None
            assert (row.low is not None and row.why_not is None) == has_interval
            assert (row.why_not is not None and "too few titles" in row.why_not) != has_interval


def test_a_single_measurable_title_has_a_value_without_an_interval() -> None:
    titles = titles_of(6, 5)
    positives = np.zeros(30, bool)
    positives[:2] = True
    found = _result(measure({"x": np.arange(30.0)}, labels_of(positives), titles), "x")
    assert found.value is not None
    assert found.low is None
    assert "too few titles" in found.why_not


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros(9), "shape"),
        (np.full(20, np.inf), "20 infinite"),
        ([], "no scores"),
    ],
)
def test_invalid_scores_are_refused(scores: np.ndarray, message: str) -> None:
    labels = labels_of(np.arange(20) % 5 == 0)
    with pytest.raises(MediaFMError, match=message):
        measure({"x": scores}, labels, titles_of(4, 5))


@pytest.mark.parametrize(
    "settings",
    [{"draws": 0}, {"confidence": 1.0}, {"recall_at": (0,)}, {"baselines": ("missing",)}],
)
def test_invalid_settings_are_refused(settings: dict) -> None:
    labels = labels_of(np.arange(20) % 5 == 0)
    if "baselines" in settings:  # unknown baselines are ignored
        assert not measure({"x": np.zeros(20)}, labels, titles_of(4, 5), **settings).differences
        return
    with pytest.raises(ConfigurationError, match="settings of an evaluation"):
        measure({"x": np.zeros(20)}, labels, titles_of(4, 5), **settings)


def test_few_titles_have_wider_intervals_than_plain_percentiles() -> None:
    random = np.random.default_rng(6)
    titles, positives, scores = _films(random, 6)
    labels = labels_of(positives)
    narrow, wide = (
        _result(measure({"x": scores}, labels, titles, confidence=confidence), "x", "roc_auc")
        for confidence in (0.5, 0.95)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    by_title = [
        value("roc_auc", scores[titles == one], labels_of(positives[titles == one]), titles[:20])
        for one in np.unique(titles)
    ]
    drawn = random.choice(by_title, size=(4000, 6)).mean(axis=1)
    assert wide.high - wide.low > np.subtract(*np.percentile(drawn, [97.5, 2.5]))


def test_few_draws_give_no_interval() -> None:
    titles = titles_of(8, 12)
    random = np.random.default_rng(0)
    labels, scores = labels_of(random.random(96) < 0.4), random.random(96)
    (few, *_) = measure({"x": scores}, labels, titles, draws=39).results
    (enough, *_) = measure({"x": scores}, labels, titles, draws=40).results
    assert (few.low, few.high) == (None, None)
    assert few.why_not == "An interval needs at least 40 draws of titles, not 39."
    assert few.value == enough.value
    assert enough.low < enough.value < enough.high
