"""Controls of the verdict: a network that learns, one that cannot, and a table without structure.

Shots come in pairs of a question and its answer. The label of an answer is true if it answers
another question. No linear probe on questions and answers side by side can tell, because every
answer is right for one question; a network can learn from other titles, without labels, which
answer follows which question.
"""

from pathlib import Path
from typing import Any

import pytest
from made_tables import HEARD, SEEN, TINY, paired_table, tiny_settings, written

from mediafm_core.evaluation import Report, Table, evaluate
from mediafm_core.evaluation.verdict import Verdict, verdict

NAMES = ("flat", "neighbours", "inputs", "untrained", "in_context")
MODEL = {
    "novelty": False,
    "input_dropout": 0.0,
    "modality_dropout": 0.0,
}
STEPS, RATE = 50, 0.003


def measured(folder: Path, answers: str, steps: int, rate: float) -> tuple[Report, Verdict]:
    rates = {"muon_learning_rate": rate, "adamw_learning_rate": rate}
    sections: dict[str, dict[str, Any]] = {
        "model": {**TINY["model"], **MODEL},
        "objective": {"boundary_weight": 0.0},
        "training": {**TINY["training"], "steps": steps, **rates},
    }
    report = evaluate(
        tiny_settings(**sections),
        Table(written(paired_table(answers), folder / "shots.parquet"), (SEEN, HEARD)),
        ["label"],
        representations=NAMES,
        folds=2,
        seeds=[0],
        bootstrap=300,
    )
    found = verdict(report)
    assert found is not None
    return report, found


def test_a_network_that_learns_adds_to_what_needs_no_training(tmp_path: Path) -> None:
    report, found = measured(tmp_path, "learnable", STEPS, RATE)
    assert found.adds
    assert found.difference.low is not None
    assert found.difference.low > 0.05
    assert found.sentence.startswith("In context adds +0.")
    assert report.strongest["untrained"] == 2  # what an untrained network has by chance
    assert report.cpu_seconds["training"]["in_context"] > 0
    assert set(report.cpu_seconds["probes"]) == set(NAMES)


@pytest.mark.parametrize(
    ("answers", "steps", "rate"),
    [
        pytest.param("learnable", 2, 1e-12, id="a network that cannot learn"),
        pytest.param("by chance", STEPS, RATE, id="a table without structure"),
    ],
)
def test_otherwise_context_adds_nothing(
    tmp_path: Path, answers: str, steps: int, rate: float
) -> None:
    _, found = measured(tmp_path, answers, steps, rate)
    assert found.adds is False
    assert found.sentence.startswith("In context adds nothing to the strongest baseline")
    assert found.difference.low is not None
    assert found.difference.low <= 0
