"""The verdict in words: by how much context adds to what needs no training, or that it does not."""

import json

import pytest

from mediafm_core.evaluation.formatting import closing_sentences, report_as_markdown
from mediafm_core.evaluation.results import Difference, Evaluation, Report, Result
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
