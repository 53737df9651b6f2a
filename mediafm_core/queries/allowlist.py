"""Allowlist of the statements and functions in users' queries.

A query may only read (SELECT, FROM, WITH, PIVOT, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN of these). Its
functions are looked up in DuckDB's own list: functions that compute a value from values are allowed
unless DuckDB marks them as having side effects; table functions only if they are listed here.
Functions added by a later DuckDB are therefore refused if they have side effects or read anything.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from itertools import pairwise
from typing import Any

import duckdb

from mediafm_core.errors import MediaFMError
from mediafm_core.store.features.snapshot import literal

LONGEST = 1_000_000
"""Most characters of a query."""

# DuckDB counts a statement as MULTI if it contains a PIVOT whose columns come from the data: it
# creates a type before it selects. The database itself is attached read-only.
_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,
}
# Since DuckDB 2, a SELECT can write: WITH takes INSERT, UPDATE, DELETE and COPY TO.
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_NODE = "_NODE"
_WRITING_WORDS = frozenset({"insert", "update", "delete", "truncate", "merge", "copy"})
# The explained statement is checked too: EXPLAIN ANALYZE would run a COPY, even over the
# catalogue's own files.
_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN(?:\s+ANALYZE\b|\s*\([^)]*\))?", re.DOTALL | re.IGNORECASE
)

_TABLE_FUNCTIONS = frozenset(
    {
        *("unnest", "range", "generate_series", "repeat", "json_each", "json_tree"),
        *("histogram", "histogram_values", "summary", "generate_subscripts"),
        *("duckdb_tables", "duckdb_columns", "duckdb_views", "duckdb_schemas", "duckdb_types"),
        *("duckdb_functions", "duckdb_keywords", "duckdb_constraints", "duckdb_indexes"),
        *("pragma_table_info", "pragma_show", "pragma_version", "pragma_collations"),
        *("pg_timezone_names", "icu_calendar_names"),
    }
)
# Functions with that mark that are harmless: non-deterministic values, errors, the query's state.
_HARMLESS = frozenset(
    {
        *("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "error", "vector_type"),
        *("current_query", "current_query_id", "current_connection_id", "current_transaction_id"),
    }
)
# Functions without that mark that are refused: they wait, read settings, environment variables or
# keys of an index, or take serialised plans and aggregate states.
_REFUSED = frozenset(
    {
        *("pg_sleep", "getenv", "current_setting", "getvariable", "json_serialize_plan"),
        *("combine", "combine_aggr", "finalize", "to_aggregate_state", "index_key"),
    }
)
_INTERNAL = "__internal"

_FUNCTIONS = """
    SELECT lower(function_name),
           bool_or(function_type IN ('scalar', 'aggregate', 'window', 'macro'))
           AND NOT bool_or(coalesce(has_side_effects, false))
    FROM duckdb_functions() GROUP BY 1
"""


class NotAllowedError(Exception):
    """A query uses a function that is not allowed; the message is the reason."""


def require_reading(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse a query that may do more than read the tables of the connection.

    Args:
        connection: any connection; nothing is executed.
        query: one or more statements in DuckDB's SQL.

    Raises:
        MediaFMError: a statement does not read, or the query is too long.
        NotAllowedError: a function is not allowed; the message names it.
        duckdb.Error: the query cannot be parsed.
    """
    if len(query) > LONGEST:
        raise MediaFMError(
            f"The query has {len(query):,} characters: write one of at most {LONGEST:,}."
        )
    statements = connection.extract_statements(query)
    kinds = [statement.type for statement in statements]
    explained = [
        inner
        for statement in statements
        if statement.type == duckdb.StatementType.EXPLAIN
        for inner in connection.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
    ]
    if (
        not kinds
        or not _READING.issuperset(kinds)
        or any(inner.type != duckdb.StatementType.SELECT for inner in explained)
    ):
        raise _not_reading()
    for statement in [*statements, *explained]:
        if statement.type == duckdb.StatementType.MULTI:
            _require_reading_pivot(connection, statement.query)
        elif statement.type == duckdb.StatementType.SELECT:
            tree = _tree(connection, statement.query)
            if not _READING_NODES.issuperset(_nodes(tree)):
                raise _not_reading()
            values, tables = _used(tree)
            _require(tables, _TABLE_FUNCTIONS)
            _require(values, _values())


def require_condition(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """Refuse a condition that is not a single expression, or that is not allowed in a query.

    Raises:
        MediaFMError, NotAllowedError, duckdb.Error: see `require_reading`.
    """
    duckdb.SQLExpression(where)  # parsed alone, so that it cannot close the parentheses around it
    require_reading(connection, f"SELECT 1 WHERE (\n{where}\n)")


def _not_reading() -> MediaFMError:
    return MediaFMError("The query must read (SELECT, FROM, SHOW, DESCRIBE): write a SELECT.")


def _require_reading_pivot(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse a statement with a PIVOT that may do more than read.

    DuckDB gives no tree of it, so its words decide: no function that is not allowed, no word of a
    statement that writes outside of quotes. Only a query can stand in brackets after FROM.

    Raises:
        MediaFMError: it does more than read.
        NotAllowedError: a function that is not allowed, by name.
    """
    words = list(_words(query))
    if not _WRITING_WORDS.isdisjoint(words):
        raise _not_reading()
    called = (_unquoted(name) for name, bracket in pairwise(words) if bracket.startswith("("))
    _require(called, _TABLE_FUNCTIONS | _values())
    try:
        connection.extract_statements(f"FROM (\n{query.rstrip().removesuffix(';')}\n)")
    except duckdb.Error:
        raise _not_reading() from None


@cache
def _functions() -> dict[str, bool]:
    """Return all functions of DuckDB by name; True for those that only compute values."""
    with closing(duckdb.connect(config={"threads": 1})) as connection:
        return dict(connection.execute(_FUNCTIONS).fetchall())


@cache
def _values() -> frozenset[str]:
    """Return the names of the allowed functions that compute values."""
    pure = {name for name, is_pure in _functions().items() if is_pure}
    named = (pure | _HARMLESS) - _REFUSED
    return frozenset(name for name in named if not name.startswith(_INTERNAL)) | {"unnest"}


def _require(used: Iterable[str], allowed: frozenset[str]) -> None:
    """Refuse functions of DuckDB that are not allowed; unknown names are left to DuckDB."""
    for name in used:
        if name not in allowed and name in _functions():
            raise NotAllowedError(
                f"it calls {name[:80]}, which may do more than compute from the catalogue"
            )


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """Parse a SELECT with DuckDB's parser."""
    # As a parameter, the query would make DuckDB import pandas, which takes half a second.
    serialise = f"SELECT json_serialize_sql({literal(query)})"
    (text,) = connection.execute(serialise).fetchall()[0]
    tree = json.loads(text)
    if tree.get("error"):
        raise NotAllowedError(f"it cannot be checked ({tree.get('error_message')})")
    return tree["statements"]


def _used(tree: Any) -> tuple[set[str], set[str]]:
    """Return the names of the functions in a parse tree: value functions, and table functions."""
    values: set[str] = set()
    tables: set[str] = set()
    waiting: list[tuple[Any, bool]] = [(tree, False)]
    while waiting:
        node, is_table = waiting.pop()
        if isinstance(node, list):
            waiting += [(each, False) for each in node]
        elif isinstance(node, dict):
            if isinstance(name := node.get("function_name"), str):
                (tables if is_table else values).add(name.lower())
            of_table = node.get("type") == "TABLE_FUNCTION"
            waiting += [(value, of_table and key == "function") for key, value in node.items()]
    return values, tables


def _nodes(tree: Any) -> set[str]:
    """Return the kinds of queries and statements in a tree."""
    found = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            if isinstance(kind := node.get("type"), str) and kind.endswith(_NODE):
                found.add(kind)
    return found


def _words(query: str) -> Iterator[str]:
    """Yield the tokens of a query in lower case, names with their quotes, no comments."""
    text = query.encode()
    tokens = duckdb.tokenize(query)
    ends = [*(start for start, _ in tokens[1:]), len(text)]
    for (start, kind), end in zip(tokens, ends, strict=True):
        if kind != duckdb.token_type.comment:
            yield text[start:end].decode(errors="replace").strip().lower()


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
