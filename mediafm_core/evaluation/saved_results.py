"""Reports of evaluations as JSON, Parquet and pictures."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.disk.seals import sealed_json
from mediafm_core.errors import ConfigurationError
from mediafm_core.evaluation.results import Difference, Result
from mediafm_core.evaluation.verdict import verdict
from mediafm_core.storage.local import require_writable_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mediafm_core.evaluation.results import LabelBudget, Report

JSON_FILE, PARQUET_FILE = "evaluation.json", "evaluation.parquet"
SCORES_FILE, TITLES_FILE = "scores.parquet", "titles.parquet"
DIGESTS = "digests"  # in the JSON file: SHA-256 of the other files, by name
RESULTS_FILE, DIFFERENCES_FILE = "results.png", "differences.png"

_SCHEMA = pa.schema(
    [
        ("representation", pa.string()),
        ("baseline", pa.string()),  # null in rows of metrics; set in rows of differences
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("why_not", pa.string()),
    ]
)
_BAR = 0.35  # inches of a picture's height per bar


def as_document(report: "Report") -> dict[str, Any]:
    """Convert a report to JSON values; unmeasurable figures are null and have a `why_not`.

    `verdict` follows from the other values.
    """
    found = verdict(report)
    return {
        "results": [_row(result) for result in report.evaluation.results],
        "differences": [_row(difference) for difference in report.evaluation.differences],
        "chance": report.evaluation.chance,
        "task": report.task,
        "label": report.label,
        "classes": report.classes,
        "source": report.source,
        "titles": report.titles,
        "units": report.units,
        "folds": report.folds,
        "seeds": report.seeds,
        "bootstrap": report.bootstrap,
        "seconds": report.seconds,
        "model": report.model,
        "strongest": report.strongest,
        "cpu_seconds": report.cpu_seconds,
        "probe_titles": report.probe_titles,
        "budgets": [_budget(budget) for budget in report.budgets],
        "penalties": {
            name: [vars(choice) for choice in choices] for name, choices in report.penalties.items()
        },
        "notes": report.notes,
        "verdict": None if found is None else {**vars(found), "difference": _row(found.difference)},
    }


def as_report(document: Mapping[str, Any]) -> "Report":
    """Convert the JSON values of a report back; it has no scores of units.

    Raises:
        KeyError, TypeError: The values are not those of a report.
    """
    from mediafm_core.evaluation.results import Evaluation, LabelBudget, PenaltyChoice, Report

    facts = {name: each for name, each in document.items() if name not in (DIGESTS, "verdict")}
    evaluation = Evaluation(
        results=[Result(**row) for row in facts.pop("results")],
        differences=[Difference(**row) for row in facts.pop("differences")],
        chance=facts.pop("chance"),
    )
    budgets = [
        LabelBudget(
            results=[Result(**row) for row in budget.pop("results")],
            differences=[Difference(**row) for row in budget.pop("differences")],
            **budget,
        )
        for budget in map(dict, facts.pop("budgets"))
    ]
    penalties = {
        name: [PenaltyChoice(**choice) for choice in choices]
        for name, choices in facts.pop("penalties").items()
    }
    return Report(**facts, evaluation=evaluation, budgets=budgets, penalties=penalties)


def as_table(report: "Report") -> pa.Table:
    """Return results and differences as rows; rows of differences have a `baseline`."""
    rows = [*report.evaluation.results, *report.evaluation.differences]
    table = pa.Table.from_pylist([{"baseline": None, **vars(row)} for row in rows], _SCHEMA)
    return _described(table, report)


def _described(table: pa.Table, report: "Report") -> pa.Table:
    """Add a description of the evaluation to the metadata of a table's schema."""
    facts = {
        "task": report.task,
        "label": report.label,
        "source": report.source,
        "classes": report.classes,
    }
    return table.replace_schema_metadata({b"mediafm": json.dumps(facts).encode()})


def _parquet(table: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    return bytes(buffer.getvalue().to_pybytes())


def require_writable(folder: Path) -> None:
    """Create a folder and check that it is writable, before hours of computation.

    Raises:
        ConfigurationError: The folder is not writable.
    """
    require_writable_folder(folder, "make space or name another folder")


def write_report(report: "Report", folder: Path) -> list[Path]:
    """Write `evaluation.json`, `evaluation.parquet`, the pictures, and the scores if there are any.

    `scores.parquet` has the score of every tested unit by every representation and seed,
    `titles.parquet` each metric within each title: for paired comparisons with other work.

    Returns:
        Paths of the files.

    Raises:
        ConfigurationError: The folder is not writable.
    """
    tables = {PARQUET_FILE: as_table(report)}
    if report.scores is not None:
        tables |= {
            SCORES_FILE: _described(report.scores.table(), report),
            TITLES_FILE: _described(report.scores.title_table(), report),
        }
    contents = {
        **{name: _parquet(table) for name, table in tables.items()},
        RESULTS_FILE: results_png(report),
        DIFFERENCES_FILE: differences_png(report),
    }
    digests = {name: sha256(content).hexdigest() for name, content in contents.items()}
    contents[JSON_FILE] = sealed_json({**as_document(report), DIGESTS: digests})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with atomic_file(folder / name) as prepared:
                prepared.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(
            f"The report cannot be written to {folder} ({error}): make space or name another one."
        ) from None
    return [folder / name for name in contents]


def results_png(report: "Report") -> bytes:
    """Draw the primary metric of each representation with its interval, and chance as a line."""
    metric = report.primary_metric
    rows = [row for row in report.evaluation.results if row.metric == metric]

    def draw(axes: "Axes") -> None:
        measured = [(index, row) for index, row in enumerate(rows) if row.value is not None]
        axes.barh([index for index, _ in measured], [row.value or 0 for _, row in measured])
        _whiskers(axes, rows)
        chance = report.evaluation.chance[metric]
        if chance is not None:
            axes.axvline(chance, color="tab:gray", linestyle="--", label="chance")
            axes.legend()

    return _picture(_title(report), [row.representation for row in rows], metric, draw)


def differences_png(report: "Report") -> bytes:
    """Draw paired differences of the primary metric with their intervals."""
    metric = report.primary_metric
    rows = [row for row in report.evaluation.differences if row.metric == metric]

    def draw(axes: "Axes") -> None:
        axes.axvline(0, color="tab:gray", linewidth=1)
        measured = [(index, row) for index, row in enumerate(rows) if row.value is not None]
        axes.plot([row.value or 0 for _, row in measured], [index for index, _ in measured], "o")
        _whiskers(axes, rows)

    names = [f"{row.representation} − {row.baseline}" for row in rows]
    return _picture(_title(report), names, f"difference of {metric.replace('_', ' ')}", draw)


def _row(row: Result | Difference) -> dict[str, Any]:
    values = dict(vars(row))
    if row.why_not is None:
        del values["why_not"]
    return values


def _budget(budget: "LabelBudget") -> dict[str, Any]:
    return {
        **vars(budget),
        "results": [_row(result) for result in budget.results],
        "differences": [_row(difference) for difference in budget.differences],
    }


def _title(report: "Report") -> str:
    return f"{report.label}: {report.units:,} units of {report.titles:,} titles"


def _whiskers(axes: "Axes", rows: Sequence[Result | Difference]) -> None:
    for index, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [index, index], color="black", linewidth=1.5)


def _picture(title: str, names: list[str], label: str, draw: Callable[["Axes"], None]) -> bytes:
    # Figure instead of pyplot, because it has no global state and needs no display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.4 + _BAR * max(1, len(names))), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)  # the first representation on top
    axes.set_xlabel(label.replace("_", " "))
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
