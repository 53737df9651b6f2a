"""The verdict in words: by how much context adds to what needs no training, or that it does not."""

import json
from dataclasses import replace

import pytest

from mediafm_core.evaluation.formatting import (
    budget_tables,
    closing_sentences,
    reasons,
    report_as_markdown,
    summary,
)
from mediafm_core.evaluation.results import (
    Difference,
    Evaluation,
    LabelBudget,
    Report,
    Result,
)
from mediafm_core.evaluation.saved_results import as_document, as_report
from mediafm_core.evaluation.verdict import verdict

METRIC = "average_precision"
Interval = tuple[float, float, float]
CHOSEN = {"inputs": 11, "similarities": 4, "untrained": 0}


def report(strongest: dict[str, int] | None = None, **differences: Interval | Difference) -> Report:
    """Make a report with differences `<representation>__<baseline>`."""
    rows = []
    for name, found in differences.items():
        representation, baseline = name.split("__")
        rows.append(
            found
            if isinstance(found, Difference)
            else Difference(representation, baseline, METRIC, *found)
        )
    results = [Result("in_context", METRIC, 0.4, 0.3, 0.5)]
    return Report(
        source="shots.parquet",
        label="starts_scene",
        task="binary",
        classes=[],
        titles=15,
        units=3000,
        folds=5,
        seeds=[0, 1, 2],
        bootstrap=1000,
        seconds=12.0,
        model={"trained": True, "settings": {"training": {"steps": 200}}},
        evaluation=Evaluation(results, rows, {METRIC: 0.1}),
        strongest=CHOSEN if strongest is None else strongest,
        cpu_seconds={"total": 20.0, "probes": {"flat": 1.0}},
    )


BASELINE = "the strongest baseline without training (inputs in 11, similarities in 4 of 15 folds)"


@pytest.mark.parametrize(
    ("found", "adds", "sentence"),
    [
        (
            report(in_context__strongest=(0.04, 0.01, 0.07)),
            True,
            f"In context adds +0.040 (+0.010 to +0.070) average precision to {BASELINE}.",
        ),
        (
            report(in_context__strongest=(0.004, -0.01, 0.018)),
            False,
            f"In context adds nothing to {BASELINE}: +0.004 (-0.010 to +0.018) average precision.",
        ),
        (
            report(in_context__strongest=(-0.05, -0.08, -0.02), both__inputs=(0.02, 0.01, 0.03)),
            False,
            f"In context adds nothing to {BASELINE}: -0.050 (-0.080 to -0.020) average precision; "
            "beside the inputs it adds +0.020 (+0.010 to +0.030) average precision.",
        ),
        (
            report(in_context__strongest=(0.05, 0.02, 0.08), both__inputs=(0.01, -0.01, 0.03)),
            True,
            f"In context adds +0.050 (+0.020 to +0.080) average precision to {BASELINE}; "
            "beside the inputs it adds nothing: +0.010 (-0.010 to +0.030) average precision.",
        ),
        (
            report({"flat": 15}, in_context__flat=(0.05, 0.02, 0.08)),
            True,
            "In context adds +0.050 (+0.020 to +0.080) average precision to flat, the only "
            "baseline without training that was measured; inputs and untrained were not measured.",
        ),
        (
            report(
                in_context__strongest=Difference(
                    "in_context", "strongest", METRIC, 0.3, None, None, "Too few titles."
                )
            ),
            None,
            f"In context cannot be shown to add anything to {BASELINE}, +0.300 (Too few titles).",
        ),
    ],
)
def test_says_what_context_adds(found: Report, adds: bool | None, sentence: str) -> None:
    given = verdict(found)
    assert given is not None
    assert (given.sentence, given.adds) == (sentence, adds)
    assert closing_sentences(found)[-1] == sentence
    assert "verdict" not in report_as_markdown(found)
    assert report_as_markdown(found).count("In context") == 1


@pytest.mark.parametrize(
    "found",
    [report(), report({}, in_context__flat=(0.1, 0.05, 0.2)), report(both__inputs=(1, 1, 1))],
)
def test_without_context_or_baseline_there_is_none(found: Report) -> None:
    assert verdict(found) is None
    assert "of titles and seeds" in closing_sentences(found)[-1]


def test_is_part_of_the_report_and_follows_from_it() -> None:
    found = report(in_context__strongest=(0.04, 0.01, 0.07))
    document = json.loads(json.dumps(as_document(found)))
    assert document["verdict"]["adds"] is True
    assert document["verdict"]["sentence"].startswith("In context adds +0.040")
    assert document["verdict"]["difference"]["low"] == 0.01
    assert document["strongest"] == CHOSEN
    assert document["cpu_seconds"]["probes"] == {"flat": 1.0}
    again = as_report(document)
    assert again == found
    assert verdict(again) == verdict(found)


def test_curves_of_label_budgets_have_a_row_per_representation() -> None:
    few = LabelBudget(
        5,
        3,
        [Result("flat", METRIC, 0.2, 0.1, 0.3), Result("inputs", METRIC, 0.3, 0.2, 0.4)],
        [Difference("inputs", "flat", METRIC, 0.1, 0.05, 0.15)],
    )
    every = LabelBudget(
        "all",
        1,
        [Result("flat", METRIC, 0.4, 0.3, 0.5)],
        [Difference("in_context", "flat", METRIC, 0.01, -0.1, 0.1)],
    )
    large = LabelBudget(50, 3, why_not="A budget of 50 titles is larger than the 12 of 15 titles.")
    found = replace(report(in_context__strongest=(0.1, 0.05, 0.2)), budgets=[few, large, every])
    values, gains = budget_tables(found)
    assert values == (
        ["average precision", "5 titles", "all titles"],
        [
            ["flat", "0.200 (0.100 to 0.300)", "0.400 (0.300 to 0.500)"],
            ["inputs", "0.300 (0.200 to 0.400)", ""],
        ],
    )
    assert gains == (
        ["average precision minus flat", "5 titles", "all titles"],
        [
            ["inputs", "+0.100 (+0.050 to +0.150) *", ""],
            ["in_context", "", "+0.010 (-0.100 to +0.100)"],
        ],
    )
    assert large.why_not in closing_sentences(found)
    assert "| average precision minus flat | 5 titles | all titles |" in report_as_markdown(found)
    assert budget_tables(replace(found, budgets=[large])) == []


@pytest.mark.parametrize(
    ("steps", "counted"),
    [(200, "200 steps"), (1, "1 step"), (None, "steps by its number of shots")],
)
def test_the_summary_says_how_long_networks_were_trained(steps: int | None, counted: str) -> None:
    settings = {"training": {"steps": steps}}
    found = replace(report(), model={"trained": True, "settings": settings})
    assert f"MediaFM trained for each fold, {counted};" in summary(found)


def test_the_summary_says_if_no_network_was_trained() -> None:
    rows = [Result(name, METRIC, 0.4, 0.3, 0.5) for name in ("picture", "flat", "both_untrained")]
    found = replace(report(), evaluation=Evaluation(rows, [], {METRIC: 0.1}))
    assert "; no network was trained; 95 % intervals" in summary(found)
    rows.append(Result("both", METRIC, 0.4, 0.3, 0.5))
    assert "MediaFM trained for each fold" in summary(replace(found))


def test_reasons_separate_missing_figures_from_missing_intervals() -> None:
    rows = [
        Result("flat", METRIC, 0.4, None, None, "Few titles."),
        Result("flat", "roc_auc", None, None, None, "No title has both."),
    ]
    found = replace(report(), evaluation=Evaluation(rows, [], {METRIC: 0.1, "roc_auc": None}))
    assert reasons(found) == [
        "Without an interval, average precision: Few titles.",
        "Not measurable, roc auc: No title has both.",
    ]
