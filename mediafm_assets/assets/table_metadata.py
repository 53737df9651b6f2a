"""File metadata (URI, columns, rows, source) and tables for the metadata of assets."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from inspect import getsourcelines
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from mediafm_assets.dagster_internals import CODE_REFERENCES, COLUMN_SCHEMA, ROW_COUNT, URI
from mediafm_core.pipeline.graph import SPECS
from mediafm_core.pipeline.materialise import Outcome, computed_by
from mediafm_core.pipeline.planning.asset_states import variant_of
from mediafm_core.pipeline.platform import Platform
from mediafm_core.readable import as_markdown, printable
from mediafm_core.store.records import JSON_ASSETS

MOST_ROWS = 50
_LONGEST_TEXT = 240
_IN_A_DIALOG = 1000  # the UI shows shorter Markdown inside the narrow column of values
_DIRECTORIES = re.compile(r"(?<!\S)(?:\w+:/)?/\S*/(?=[^\s/])")  # of an absolute path or a URI


def source_of(asset: str) -> dict[str, Any]:
    """Return the metadata that links an asset of titles to the function that computes it."""
    function = computed_by(asset)
    _, line = getsourcelines(function)
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    path = function.__code__.co_filename
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        file = dg.LocalFileCodeReference(file_path=path, line_number=line, label=name)
        return {CODE_REFERENCES: dg.CodeReferencesMetadataValue(code_references=[file])}


class FileMetadata:
    """URI, column schema and row count of artefacts' files, under Dagster's own keys.

    Args:
        platform: settings and store.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._columns: dict[tuple[str, str | None], dg.TableSchema] = {}

    def of(self, outcome: Outcome) -> dict[str, Any]:
        """Return the metadata of an outcome's file; empty for a quarantined title."""
        record, store = outcome.record, self._platform.store
        if record is None:
            return {}
        is_json = outcome.asset in JSON_ASSETS
        variant = variant_of(self._platform, SPECS[outcome.asset])
        suffix = ".json" if is_json else ".parquet"
        key = store.key(outcome.asset, outcome.title_id, variant, suffix)
        found: dict[str, Any] = {URI: uri(f"{store.location}/{key}")}
        if is_json:
            return found
        columns = (outcome.asset, record.identity)  # the same for all titles
        if columns not in self._columns:
            schema = store.schema(outcome.asset, outcome.title_id, variant)
            self._columns[columns] = column_schema(schema)
        found[COLUMN_SCHEMA] = self._columns[columns]
        if "rows" in record.details:
            found[ROW_COUNT] = record.details["rows"]
        return found


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """Describe the columns of an Arrow table."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                field.name,
                str(field.type),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )


def uri(location: str) -> str:
    """Return a location of the store as a URI, with the scheme `file` if it has none."""
    return location if "://" in location else Path(location).absolute().as_uri()


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return a table for the page of an asset, with the first `MOST_ROWS` rows.

    Args:
        columns: names, few and short: the page is narrow.
        rows: values by column; texts are cut off at 240 characters.
    """
    records = [{name: _shortened(row.get(name)) for name in columns} for row in rows[:MOST_ROWS]]
    kinds = {name: _kind([record[name] for record in records]) for name in columns}
    return dg.MetadataValue.table(
        [dg.TableRecord(record) for record in records],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in kinds.items()]),
    )


def clip_table(clips: pa.Table) -> dg.TableMetadataValue:
    """Return a table of the clips of a title with their times in seconds and their labels.

    Args:
        clips: the asset `clip_features` of a title, a row per clip.
    """
    shown = clips.select(["clip_id", "start_s", "end_s", "proposed", "labels"])
    return table(
        ("clip", "start_s", "end_s", "labels"),
        [
            {
                "clip": row["clip_id"],
                "start_s": round(row["start_s"], 2),
                "end_s": round(row["end_s"], 2),
                "labels": ", ".join(f"{name}: {value}" for name, value in row["labels"])
                or ("proposed" if row["proposed"] else ""),
            }
            for row in shown.slice(0, MOST_ROWS).to_pylist()
        ],
    )


def _shortened(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _kind(values: Sequence[Any]) -> str:
    """Return the type of a column's values as Dagster writes it."""
    names = {bool: "bool", int: "int", float: "float"}
    kinds = {type(value) for value in values if value is not None}
    return names.get(kinds.pop(), "string") if len(kinds) == 1 else "string"


def markdown_table(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dg.MarkdownMetadataValue:
    """Return a Markdown table, which the UI opens in a dialog as wide as its columns need.

    Args:
        columns: names.
        rows: values by column; the first `MOST_ROWS` are shown.
    """
    lines = [
        columns,
        ["---"] * len(columns),
        *([_escaped(row.get(name)) for name in columns] for row in rows[:MOST_ROWS]),
    ]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if len(rows) > MOST_ROWS:
        text += f"\n\nand {len(rows) - MOST_ROWS} more"
    return dg.MetadataValue.md(text.ljust(_IN_A_DIALOG))


def reasons(titles: Iterable[tuple[str, str]]) -> dg.TableMetadataValue:
    """Return a table of titles and reasons, with the directories of paths left out.

    Args:
        titles: title ids and the reason of each.
    """
    # One column and no long words: the page is narrow and wraps between words only.
    rows = []
    for title_id, reason in titles:
        text = _DIRECTORIES.sub("", reason)
        named = text if text.startswith(f"{title_id}: ") else f"{title_id}: {text}"
        rows.append({"title and reason": named})
    return table(("title and reason",), rows)


def _escaped(value: Any) -> str:
    """Return a value as the text of a cell: no markup, no HTML, on one line."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return as_markdown(text)
