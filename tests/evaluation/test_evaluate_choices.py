"""Fixed splits, probe titles, label budgets and faulty labels of `mediafm evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from made_tables import HEARD, SEEN, made_table, tiny_environment, written

from mediafm_core.cli.main import main
from mediafm_core.evaluation.saved_results import as_document, as_report

TITLES, SHOTS = 9, 20


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that evaluates columns added to a table, with further arguments."""
    for name, value in tiny_environment().items():
        monkeypatch.setenv(name, value)

    def run(
        *arguments: str,
        representations: str = "flat,similarities",
        titles: int = TITLES,
        shots: int = SHOTS,
        **columns: list[Any] | np.ndarray,
    ) -> Result:
        table = made_table(titles=titles, shots=shots)
        for name, values in columns.items():
            if name in table.column_names:
                table = table.drop_columns(name)
            table = table.append_column(name, pa.array(values))
        path = written(table, tmp_path / "shots.parquet")
        named = [] if any(each.startswith("--label=") for each in arguments) else ["--label=label"]
        return CliRunner().invoke(
            main,
            [
                "evaluate",
                f"--data={path}",
                f"--vectors={SEEN},{HEARD}",
                f"--representations={representations}",
                "--bootstrap=200",
                *named,
                *arguments,
            ],
        )

    return run


def per_title(values: list[Any], shots: int = SHOTS) -> list[Any]:
    return [value for value in values for _ in range(shots)]


class TestFixedSplit:
    def test_pretrains_and_probes_on_its_titles(self, evaluate: Callable[..., Result]) -> None:
        part = per_title(["train"] * 4 + ["validation"] * 2 + ["test"] * 3)
        result = evaluate("--split=part", "--json", representations="flat,in_context", part=part)
        assert result.exit_code == 0, result.stderr
        assert "training on 4 titles" in result.stderr
        document = json.loads(result.stdout)
        assert (document["folds"], document["probe_titles"]) == (1, "split")
        (network,) = document["model"]["networks"]
        assert network["tested"] == ["title-06", "title-07", "title-08"]
        assert all(0 < row["value"] <= 1 for row in document["results"])
        assert [len(choices) for choices in document["penalties"].values()] == [1, 1]

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            (["train"] * 5 + ["dev"] * 4, "'dev' in 80 rows, the first of title-05"),
            (["train"] * 9, "has no test titles"),
            (["train"] * 8 + ["test"], "one test title only, 'title-08'"),
        ],
    )
    def test_is_refused_in_one_sentence(
        self, evaluate: Callable[..., Result], part: list[str], message: str
    ) -> None:
        result = evaluate("--split=part", "--json", part=per_title(part))
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stdout == ""

    def test_of_a_label_missing_in_a_part_is_refused(self, evaluate: Callable[..., Result]) -> None:
        part = per_title(["train"] * 5 + ["test"] * 4)
        mood = [None if each == "test" else place % 3 == 0 for place, each in enumerate(part)]
        result = evaluate("--split=part", "--label=mood", part=part, mood=mood)
        assert result.exit_code == 1
        assert "'mood' labels no unit of the test titles" in result.stderr

    def test_leaves_no_choice_of_probe_titles(self, evaluate: Callable[..., Result]) -> None:
        part = per_title(["train"] * 5 + ["test"] * 4)
        result = evaluate("--split=part", "--probe-titles=unseen", part=part)
        assert result.exit_code == 1
        assert "leave out --split" in result.stderr

    def test_is_for_tables(self) -> None:
        result = CliRunner().invoke(main, ["evaluate", "--label=mood", "--split=part"])
        assert result.exit_code == 1
        assert "--data" in result.stderr


class TestProbeTitles:
    def test_that_pretraining_has_not_seen(self, evaluate: Callable[..., Result]) -> None:
        result = evaluate("--probe-titles=unseen", "--folds=3", "--json")
        assert result.exit_code == 0, result.stderr
        document = json.loads(result.stdout)
        assert (document["folds"], document["probe_titles"]) == (3, "unseen")
        assert len(document["penalties"]["flat"]) == TITLES  # three titles, left out one at a time
        assert all(row["value"] is not None for row in document["results"])

    def test_by_setting(
        self, evaluate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDIAFM_EVALUATION__PROBE_TITLES", "unseen")
        monkeypatch.setenv("MEDIAFM_EVALUATION__BUDGETS", '[1, "all"]')
        monkeypatch.setenv("MEDIAFM_EVALUATION__BUDGET_DRAWS", "1")
        document = json.loads(evaluate("--folds=3", "--json", representations="flat").stdout)
        assert document["probe_titles"] == "unseen"
        assert [(each["titles"], each["draws"]) for each in document["budgets"]] == [
            (1, 1),
            ("all", 1),
        ]

    def test_need_enough_titles_in_each_fold(self, evaluate: Callable[..., Result]) -> None:
        result = evaluate("--probe-titles=unseen")
        assert result.exit_code == 1
        assert "titles with 'label'" in result.stderr
        assert "fewer folds" in result.stderr


class TestBudgets:
    def test_give_a_curve(self, evaluate: Callable[..., Result]) -> None:
        result = evaluate("--budgets=2,50,all", "--folds=3", "--json", titles=12)
        assert result.exit_code == 0, result.stderr
        document = json.loads(result.stdout)
        two, fifty, everything = document["budgets"]
        assert (two["titles"], two["draws"]) == (2, 5)
        assert [row["representation"] for row in two["results"]] == ["flat", "similarities"]
        assert all(row["low"] < row["value"] < row["high"] for row in two["results"])
        assert {row["baseline"] for row in two["differences"]} == {"flat"}
        assert fifty["results"] == []
        assert "50 titles is larger than the 8 of 12 titles with 'label'" in fifty["why_not"]
        primary = [row for row in document["results"] if row["metric"] == "average_precision"]
        assert everything["results"] == primary
        # A stored report is read back as it was.
        assert as_document(as_report(document)) == document

    def test_that_are_no_numbers_are_refused(self, evaluate: Callable[..., Result]) -> None:
        result = evaluate("--budgets=few")
        assert result.exit_code == 1
        assert "'few' is no label budget" in result.stderr


def test_one_training_serves_all_labels_of_a_table(
    evaluate: Callable[..., Result], tmp_path: Path
) -> None:
    rows = np.arange(TITLES * SHOTS)
    rare = np.where(rows > 4 * SHOTS, rows % 5 == 0, None).tolist()
    arguments = ("--folds=2", f"--work={tmp_path / 'work'}", "--json")
    logs, networks = [], []
    for label in ("label", "rare", "tension"):
        result = evaluate(
            f"--label={label}",
            *arguments,
            representations="in_context",
            rare=rare,
            tension=(rows * 7 % 11).astype(float),
        )
        assert result.exit_code == 0, result.stderr
        logs.append(result.stderr)
        networks.append(json.loads(result.stdout)["model"]["networks"])
    assert networks[0] == networks[1] == networks[2]
    assert logs[0].count("training on") == 2
    assert "training on" not in logs[1] + logs[2]


class TestFaultyLabels:
    """One sentence each, and no number that means nothing."""

    @pytest.mark.parametrize(
        ("task", "values", "message"),
        [
            ("binary", np.ones(TITLES * SHOTS, bool), "is the same for all 180 labelled units"),
            (
                "ranking",
                np.repeat(np.arange(TITLES, dtype=float), SHOTS),
                "is the same for all units of each title",
            ),
            (
                "binary",
                [place % 3 == 0 if place < SHOTS else None for place in range(TITLES * SHOTS)],
                "labels units of one title only, 'title-00'",
            ),
        ],
    )
    def test_are_refused(
        self, evaluate: Callable[..., Result], task: str, values: Any, message: str
    ) -> None:
        result = evaluate("--label=mood", f"--task={task}", "--json", mood=values)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stdout == ""

    def test_a_table_of_single_shots_has_no_context(self, evaluate: Callable[..., Result]) -> None:
        label = np.arange(30) % 2 == 0
        result = evaluate("--json", titles=30, shots=1, label=label)
        assert result.exit_code == 1
        assert "has a single shot" in result.stderr

    def test_vectors_that_are_not_finite_are_named(self, evaluate: Callable[..., Result]) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        vectors = table[SEEN].to_pylist()
        vectors[SHOTS + 3] = [float("nan")] * len(vectors[0])
        result = evaluate("--json", **{SEEN: vectors})
        assert result.exit_code == 1
        assert "title-01, shot 3 is not finite" in result.stderr

    def test_two_labelled_titles_give_no_interval_and_no_budget(
        self, evaluate: Callable[..., Result]
    ) -> None:
        places = np.arange(TITLES * SHOTS)
        mood = np.where(places < 2 * SHOTS, places % 3 == 0, None).tolist()
        result = evaluate(
            "--label=mood", "--folds=9", "--budgets=2", "--json", representations="flat", mood=mood
        )
        assert result.exit_code == 0, result.stderr
        document = json.loads(result.stdout)
        for row in document["results"]:
            assert row["low"] is None
            assert "too few titles" in row["why_not"]
        (two,) = document["budgets"]
        assert two["results"] == []
        assert "larger than the 1 of 2 titles" in two["why_not"]

    def test_titles_whose_probes_have_nothing_to_learn_from_are_counted(
        self, evaluate: Callable[..., Result]
    ) -> None:
        places = np.arange(TITLES * SHOTS)
        mood = (places < SHOTS) & (places % 3 == 0)  # in title-00 alone
        result = evaluate("--label=mood", "--folds=9", "--json", representations="flat", mood=mood)
        document = json.loads(result.stdout)
        assert document["notes"][0].startswith("1 of 9 titles with 'mood', such as title-00,")
        (row,) = (each for each in document["results"] if each["metric"] == "average_precision")
        assert row["value"] is None
        assert row["why_not"]
