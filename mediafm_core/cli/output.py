"""Tables for people and JSON for programs, on standard output."""

import itertools
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

_ROWS_AT_A_TIME = 1024  # rows that are Python objects at any time
_VALUES_SHOWN = 3  # of a vector, in a table for people
_PIPED_WIDTH = 200  # columns, where there is no terminal to ask


def console() -> "Console":
    """A console that leaves the text alone: nothing in it is taken for markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_rows_as_json(table: "pa.Table") -> None:
    """Print a list of row objects, a row to a line, without holding all rows as objects."""
    click.echo("[", nl=False)
    separator = "\n"
    for row in _rows(table):
        text = json.dumps(jsonable(row), ensure_ascii=False, allow_nan=False)
        click.echo(f"{separator}{text}", nl=False)
        separator = ",\n"
    click.echo("\n]" if table.num_rows else "]")


def print_rows(rows: "pa.Table") -> None:
    """Print a table for people; long vectors are shortened."""
    lines = ([_cell(value) for value in row.values()] for row in _rows(rows))
    print_table(rows.column_names, lines)
    click.echo(f"{rows.num_rows} row{'' if rows.num_rows == 1 else 's'}")


def print_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table of texts."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console().print(table)


def jsonable(value: Any) -> Any:
    """A value as JSON can say it: dates in ISO 8601, durations in seconds, no number as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return jsonable(float(value))
        case bytes():
            return value.hex()
        case UUID():
            return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def _rows(table: "pa.Table") -> Iterator[dict[str, Any]]:
    names = _distinct(table.column_names)
    for batch in table.rename_columns(names).to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from batch.to_pylist(maps_as_pydicts="strict")


def _distinct(names: Sequence[str]) -> list[str]:
    """Names for the fields of a row object: a join may give several columns one name."""
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
        return json.dumps(jsonable(value), ensure_ascii=False)
    return str(value)
