"""The command `mediafm evaluate` on tables with known results."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from made_tables import HEARD, SEEN, made_table, tiny_environment, written

from mediafm_core.cli.main import main

ASKED = ("--data={table}", f"--vectors={SEEN}", "--label=label")


@pytest.fixture
def mediafm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs `mediafm evaluate ARGUMENTS` in this process."""
    for name, value in tiny_environment().items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(main, ["evaluate", *arguments])


def measured_in_a_process(*arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "mediafm_core", "evaluate", *arguments, "--json"],
        env={**os.environ, **tiny_environment()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def arguments(table: Path, *representations: str) -> list[str]:
    return [
        f"--data={table}",
        f"--vectors={SEEN},{HEARD}",
        "--label=label",
        f"--representations={','.join(representations)}",
        "--folds=2",
        "--bootstrap=300",
    ]


def figures(document: dict[str, Any], metric: str) -> dict[str, dict[str, Any]]:
    return {row["representation"]: row for row in document["results"] if row["metric"] == metric}


def difference(document: dict[str, Any], representation: str, baseline: str) -> dict[str, Any]:
    asked = (representation, baseline, "average_precision")
    (row,) = (
        row
        for row in document["differences"]
        if (row["representation"], row["baseline"], row["metric"]) == asked
    )
    return row


class TestKnownAnswers:
    def test_context_helps_where_labels_depend_on_it(self, tmp_path: Path) -> None:
        table = written(made_table("neighbours"), tmp_path / "shots.parquet")
        names = ("flat", "neighbours", "alone", "in_context")
        document = measured_in_a_process(*arguments(table, *names), "--steps=20")
        assert (document["task"], document["titles"], document["units"]) == ("binary", 10, 500)
        assert figures(document, "average_precision")["neighbours"]["value"] > 0.95
        for representation in ("neighbours", "in_context"):
            assert difference(document, representation, "flat")["low"] > 0.05
            assert difference(document, representation, "alone")["low"] > 0.05

    def test_context_does_not_help_where_labels_depend_on_the_shot(
        self, mediafm: Callable[..., Result], tmp_path: Path
    ) -> None:
        table = written(made_table("itself"), tmp_path / "shots.parquet")
        names = ("flat", "neighbours", "in_context")
        document = json.loads(mediafm(*arguments(table, *names), "--json").stdout)
        assert figures(document, "average_precision")["flat"]["value"] > 0.95
        for representation in ("neighbours", "in_context"):
            assert difference(document, representation, "flat")["low"] <= 0

    def test_random_labels_cannot_be_predicted(
        self, mediafm: Callable[..., Result], tmp_path: Path
    ) -> None:
        table = written(made_table("chance"), tmp_path / "shots.parquet")
        names = ("flat", "similarities", "in_context")
        document = json.loads(mediafm(*arguments(table, *names), "--json").stdout)
        for row in figures(document, "roc_auc").values():
            assert row["low"] < 0.5 < row["high"]
        for representation in names[1:]:
            assert difference(document, representation, "flat")["low"] <= 0


class TestOutput:
    def test_figures_depend_on_data_and_seed_but_not_on_row_order(
        self, mediafm: Callable[..., Result], tmp_path: Path
    ) -> None:
        table = made_table(titles=4, shots=12)
        order = np.random.default_rng(1).permutation(table.num_rows)
        shuffled = table.take(pa.array(order))
        documents = []
        for each in (table, shuffled):
            path = tmp_path / "shots.parquet"
            pq.write_table(each, path, row_group_size=7)
            asked = arguments(path, "late_fusion", "similarities", "in_context", "prefix")
            documents.append(json.loads(mediafm(*asked, "--json").stdout))
        for key in ("results", "differences", "chance", "model"):
            assert documents[0][key] == documents[1][key]

    def test_report_on_disk(self, mediafm: Callable[..., Result], tmp_path: Path) -> None:
        table = written(made_table(titles=4, shots=12), tmp_path / "shots.parquet")
        out = tmp_path / "report"
        ablated = ("in_context_window_8",)
        result = mediafm(
            *arguments(table, "flat", "in_context", *ablated),
            "--seeds=2",
            "--seed=3",
            f"--out={out}",
        )
        assert result.exit_code == 0, result.stderr
        assert "in_context_window_8" in result.stdout
        assert "training on 2 titles" in result.stderr
        document = json.loads((out / "evaluation.json").read_text())
        assert document["seeds"] == [3, 4]
        names = [row["representation"] for row in document["results"]]
        assert list(dict.fromkeys(names)) == ["flat", "in_context", *ablated]
        rows = pq.read_table(out / "evaluation.parquet").to_pylist()
        assert len(rows) == len(document["results"]) + len(document["differences"])
        assert {row["baseline"] for row in rows} == {None, "flat", "in_context"}
        for picture in ("results.png", "differences.png"):
            assert (out / picture).read_bytes().startswith(b"\x89PNG")
        assert result.stdout.splitlines()[-1] == document["verdict"]["sentence"]
        assert document["verdict"]["difference"]["baseline"] == "flat"
        scores = pq.read_table(out / "scores.parquet")
        assert scores.num_rows == len(document["seeds"]) * document["units"] * 3
        assert json.loads(scores.schema.metadata[b"mediafm"])["label"] == "label"
        of_titles = pq.read_table(out / "titles.parquet").to_pandas()
        (row,) = (
            row
            for row in rows
            if row["representation"] == "flat"
            and not row["baseline"]
            and row["metric"] == "roc_auc"
        )
        flat = of_titles[(of_titles.representation == "flat") & (of_titles.metric == "roc_auc")]
        assert flat.groupby("seed").value.mean().mean() == pytest.approx(row["value"])
        spent = document["cpu_seconds"]
        assert set(spent["training"]) == {"in_context", *ablated}
        assert set(spent["probes"]) == {"flat", "in_context", *ablated}

    def test_an_unmeasurable_figure_has_a_reason(
        self, mediafm: Callable[..., Result], tmp_path: Path
    ) -> None:
        table = made_table(titles=4, shots=6)
        by_title = pa.array(np.repeat([True, False, True, False], 6))
        table = table.set_column(table.column_names.index("label"), "label", by_title)
        path = written(table, tmp_path / "shots.parquet")
        result = mediafm(*arguments(path, "flat"), "--json")
        row = figures(json.loads(result.stdout), "average_precision")["flat"]
        assert (row["value"], row["low"], row["high"]) == (None, None, None)
        assert "No title has units" in row["why_not"]
        assert "not measurable" in mediafm(*arguments(path, "flat")).stdout


class TestRefused:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (["--data={table}", f"--vectors={SEEN}", "--label=mood"], "no column 'mood'"),
            (["--data={table}", "--vectors=smelt", "--label=label"], "it has title, shot_index"),
            (["--data={table}", "--label=label"], "--vectors"),
            ([f"--vectors={SEEN}", "--label=label"], "--data"),
            (["--data=none.parquet", f"--vectors={SEEN}", "--label=label"], "There is no file"),
            ([*ASKED, "--model=ab12"], "--model"),
            ([*ASKED, "--representations=sideways"], "no representation 'sideways'"),
            ([*ASKED, "--representations=,"], "No representation is named"),
            (["--data={table}", f"--vectors={SEEN}", "--label= ,"], "No label is named"),
            ([*ASKED, "--out={table}/report"], "cannot be written"),
            ([*ASKED, "--work={table}/networks"], "cannot be written"),
            ([*ASKED, "--representations=in_context@ab12"], "of a model of the catalogue"),
        ],
    )
    def test_in_one_sentence(
        self, mediafm: Callable[..., Result], tmp_path: Path, wrong: list[str], message: str
    ) -> None:
        table = written(made_table(titles=3, shots=12), tmp_path / "shots.parquet")
        result = mediafm(*(argument.format(table=table) for argument in wrong))
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.count("Error: ") == 1
        assert result.stdout == ""


def list_as_text(value: Any) -> Any:
    return str(value.tolist()) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("vectors", [[], [f"--vectors={SEEN},{HEARD}"]])
def test_without_a_label_the_labels_of_a_table_are_listed(
    mediafm: Callable[..., Result], tmp_path: Path, suffix: str, vectors: list[str]
) -> None:
    table = made_table()
    rows, titles = table.num_rows, len(table["title"].unique())
    moods = pa.array(["calm", None, ""] + [None] * (rows - 3), pa.string())
    table = table.append_column("mood", moods)
    path = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        table.to_pandas().map(list_as_text).to_csv(path, index=False)
    else:
        written(table, path)
    result = mediafm(f"--data={path}", *vectors, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "labels": [
            {"label": "label", "units": rows, "titles": titles},
            {"label": "mood", "units": 1, "titles": 1},
        ]
    }
    assert result.stderr == "Name one of these labels with --label.\n"
    assert re.search(r"mood +1 +1", mediafm(f"--data={path}", *vectors).stdout)


def test_without_a_label_column_there_is_nothing_to_list(
    mediafm: Callable[..., Result], tmp_path: Path
) -> None:
    path = written(made_table().drop_columns("label"), tmp_path / "table.parquet")
    result = mediafm(f"--data={path}")
    assert result.exit_code == 1
    assert "has no label column" in result.stderr
