"""Tables and sentences of an evaluation's report, for a terminal and for the Dagster UI."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from mediafm_core.evaluation.representations import is_from_trained_network
from mediafm_core.evaluation.results import Difference, Result, figure
from mediafm_core.evaluation.verdict import verdict
from mediafm_core.readable import as_markdown

if TYPE_CHECKING:
    from mediafm_core.evaluation.results import Report

Row = TypeVar("Row", Result, Difference)
TextTable = tuple[list[str], list[list[str]]]
"""Names of the columns, and rows with one text per column."""


def results_table(report: "Report") -> TextTable:
    """Return all metrics of all representations with intervals; chance in the last row."""
    metrics = list(report.evaluation.chance)
    lines = [
        [name, *(figure(row, ".3f") for row in rows)]
        for name, rows in _by_name(report.evaluation.results).items()
    ]
    chance = [report.evaluation.chance[metric] for metric in metrics]
    lines.append(["chance", *("" if value is None else f"{value:.3f}" for value in chance)])
    return ["representation", *map(_spaced, metrics)], lines


def differences_table(report: "Report") -> TextTable | None:
    """Return paired differences of the primary metric, a column per baseline; None without any."""
    primary = [row for row in report.evaluation.differences if row.metric == report.primary_metric]
    baselines = list(dict.fromkeys(row.baseline for row in primary))
    if not baselines:
        return None
    lines = []
    for name, rows in _by_name(primary).items():
        against = {row.baseline: figure(row, "+.3f") for row in rows}
        lines.append([name, *(against.get(baseline, "") for baseline in baselines)])
    header = [_spaced(report.primary_metric), *(f"minus {baseline}" for baseline in baselines)]
    return header, lines


def budget_tables(report: "Report") -> list[TextTable]:
    """Return the primary metric by label budget, then its differences from each baseline.

    Each table has a row per representation and a column per budget; there is none without budgets.
    """
    measured = [budget for budget in report.budgets if budget.why_not is None]
    if not measured:
        return []
    columns = [
        "all titles" if each.titles == "all" else f"{each.titles} titles" for each in measured
    ]
    metric = _spaced(report.primary_metric)
    values = [_figures(budget.results, ".3f") for budget in measured]
    tables = [([metric, *columns], _lines(values))]
    for baseline in dict.fromkeys(row.baseline for each in measured for row in each.differences):
        gains = [
            _figures([row for row in each.differences if row.baseline == baseline], "+.3f")
            for each in measured
        ]
        tables.append(([f"{metric} minus {baseline}", *columns], _lines(gains)))
    return tables


def reasons(report: "Report") -> list[str]:
    """Return a sentence with the metrics for each reason that a figure or interval is missing."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for row in report.evaluation.results:  # the reasons of differences follow from these
        if row.why_not is not None:
            missing = "Not measurable" if row.value is None else "Without an interval"
            metrics.setdefault((missing, row.why_not), []).append(_spaced(row.metric))
    return [
        f"{missing}, {', '.join(dict.fromkeys(names))}: {reason}"
        for (missing, reason), names in metrics.items()
    ]


def summary(report: "Report") -> str:
    """Return a sentence with task, data set, folds, seeds, models, draws and duration."""
    model = report.model
    if model["trained"] and not any(
        map(is_from_trained_network, _by_name(report.evaluation.results))
    ):
        models = "no network was trained"
    elif model["trained"]:
        steps = model["settings"]["training"]["steps"]
        counted = "steps by its number of shots" if steps is None else _counted(steps, "step")
        models = f"MediaFM trained for each fold, {counted}"
    else:
        models = f"{' and '.join(model['models'])}, not trained for this: these titles are known"
    seeds = f"seed{'s' if len(report.seeds) > 1 else ''} {', '.join(map(str, report.seeds))}"
    drawn = "titles and seeds" if len(report.seeds) > 1 else "titles"
    cpu = report.cpu_seconds.get("total")
    took = f"{report.seconds:.0f} s{'' if cpu is None else f', {cpu:.0f} s of CPU time'}"
    return (
        f"{report.task} of {report.label}: {report.units:,} units of {report.titles:,} titles, "
        f"{_counted(report.folds, 'fold')}, {seeds}; {models}; 95 % intervals from "
        f"{report.bootstrap:,} draws of {drawn}, * where a difference is clear of zero; {took}."
    )


def closing_sentences(report: "Report") -> list[str]:
    """Return reasons, the summary, and the verdict as the last."""
    found = verdict(report)
    too_large = [budget.why_not for budget in report.budgets if budget.why_not is not None]
    return [
        *reasons(report),
        *too_large,
        *report.notes,
        summary(report),
        *([] if found is None else [found.sentence]),
    ]


def all_tables(report: "Report") -> list[TextTable]:
    """Return the tables of metrics, of differences if there are any, and of label budgets."""
    differences = differences_table(report)
    return [
        results_table(report),
        *([] if differences is None else [differences]),
        *budget_tables(report),
    ]


def report_as_markdown(report: "Report") -> str:
    """Return the tables and sentences of a report as Markdown."""
    parts = [_markdown_table(*table) for table in all_tables(report)]
    return "\n\n".join([*parts, *map(as_markdown, closing_sentences(report))])


def _by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group rows by representation, in their order."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.representation, []).append(row)
    return by_name


def _figures(rows: Iterable[Result | Difference], form: str) -> dict[str, str]:
    return {row.representation: figure(row, form) for row in rows}


def _lines(columns: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Return a row per name that occurs in a column, with its text in each."""
    names = dict.fromkeys(chain.from_iterable(columns))
    return [[name, *(column.get(name, "") for column in columns)] for name in names]


def _markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [
        map(as_markdown, header),
        ["---"] * len(header),
        *(map(as_markdown, each) for each in lines),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _counted(count: int, what: str) -> str:
    """Return a number with a noun, in the plural unless it is one."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _spaced(metric: str) -> str:
    return metric.replace("_", " ")
