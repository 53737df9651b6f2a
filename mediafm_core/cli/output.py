"""Tables for people and JSON for programs, on standard output."""

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.errors import MediaFMError
from mediafm_core.readable import printable

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

_ROWS_AT_A_TIME = 1024  # rows that exist as Python objects at any time
_VALUES_SHOWN = 3  # of a vector in a table
_PIPED_WIDTH = 200  # columns, without a terminal


def console() -> "Console":
    """Return a console that prints text as it is, without interpreting markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def say(line: str = "", *, err: bool = False) -> None:
    """Print a line, on standard error if `err`, with escapes for control characters."""
    click.echo(printable(line), err=err)


def say_lines(text: str) -> None:
    """Print a text of several lines, with escapes for control characters."""
    click.echo("\n".join(map(printable, text.splitlines())))


def print_json(value: Any) -> None:
    """Print one JSON document."""
    from mediafm_core.cli.json_text import json_text

    click.echo(json_text(value, indent=2))


def print_rows_as_json(table: "pa.Table") -> None:
    """Print rows as a JSON list of objects, one line per row, in bounded memory."""
    from mediafm_core.cli.json_text import json_text

    click.echo("[", nl=False)
    separator = "\n"
    for row in _rows(table):
        click.echo(f"{separator}{json_text(row)}", nl=False)
        separator = ",\n"
    click.echo("\n]" if table.num_rows else "]")


def print_rows(rows: "pa.Table") -> None:
    """Print a table with shortened vectors, and the number of rows."""
    lines = ([_cell(value) for value in row.values()] for row in _rows(rows))
    print_table(rows.column_names, lines)
    click.echo(f"{rows.num_rows} row{'' if rows.num_rows == 1 else 's'}")


def print_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table of texts."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        # Headers of this project may have several lines.
        table.add_column("\n".join(map(printable, name.split("\n"))), overflow="fold")
    for line in lines:
        table.add_row(*map(printable, line))
    console().print(table)


def _rows(table: "pa.Table") -> Iterator[dict[str, Any]]:
    names = _distinct(table.column_names)
    for batch in table.rename_columns(names).to_batches(max_chunksize=_ROWS_AT_A_TIME):
        try:
            rows = batch.to_pylist(maps_as_pydicts="strict")
        except (ValueError, OverflowError) as error:  # the year 20000, a struct without names
            raise MediaFMError(
                f"A value of the result cannot be shown ({error}): cast it to text, such as "
                "column::VARCHAR."
            ) from None
        yield from rows


def _distinct(names: Sequence[str]) -> list[str]:
    """Return a distinct name for each column, since a join can yield several of one name."""
    taken: list[str] = []
    for name in names:
        candidates = (f"{name}_{number}" if number else name for number in itertools.count())
        taken.append(next(candidate for candidate in candidates if candidate not in taken))
    return taken


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and len(value) > _VALUES_SHOWN and isinstance(value[0], float):
        shown = ", ".join(_cell(item) for item in value[:_VALUES_SHOWN])
        return f"[{shown}, … {len(value)} values]"
    if isinstance(value, list | dict):
        from mediafm_core.cli.json_text import json_text

        return json_text(value)
    return str(value)
