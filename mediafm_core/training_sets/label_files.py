"""Tables of labels, of clips of the catalogue or of spans of its titles.

A table of labels has `title_id, clip_id` or `title_id, start_s, end_s`, then label columns.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from mediafm_core.clips.title_clips import END_TOLERANCE_S
from mediafm_core.errors import MediaFMError
from mediafm_core.identity import digest_of, digest_of_files
from mediafm_core.training_sets.footer import OWN_COLUMNS, SPLIT

CATALOGUE = "clips.csv"  # source of the catalogue's own labels
_KEYS = {
    "title_id": pa.string(),
    "clip_id": pa.string(),
    "start_s": pa.float64(),
    "end_s": pa.float64(),
}
_NAMED = 3  # rows named in an error message

# Accepted forms of numbers. With leading zeros, as in 007, a text is a name.
_INTEGER = r"^-?(0|[1-9]\d{0,17})$"
_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
_BOOLEAN = r"^(?i:true|false)$"


class LabelTable(NamedTuple):
    """Label columns with the keys of their clips or spans.

    Attributes:
        table: `title_id, clip_id` or `title_id, start_s, end_s`, then the labels; optionally with
            the times of clips.
        source: Name of the file for messages; `table` for a table in memory.
        digest: Digest of the file, or of the table if there is no file.
    """

    table: pa.Table
    source: str
    digest: str

    @property
    def is_of_clips(self) -> bool:
        """True for labels of the catalogue's clips, False for labels of spans."""
        return "clip_id" in self.table.column_names

    @property
    def keys(self) -> list[str]:
        """Columns that identify the clip or span of a row."""
        return ["title_id", "clip_id"] if self.is_of_clips else ["title_id", "start_s", "end_s"]

    @property
    def names(self) -> list[str]:
        """Names of the label columns."""
        return [name for name in self.table.column_names if name not in _KEYS]


def catalogue_labels(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str] | None = None
) -> LabelTable:
    """Read the labels of the catalogue's clips.

    Labels are text in the catalogue. A label whose values are all written as numbers, or as true
    and false, is converted.

    Args:
        connection: Connection to the catalogue.
        names: Names of labels; None takes all. Clips with none of them are left out.

    Raises:
        MediaFMError: No clip has labels, or a label does not exist.
    """
    known = [
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT unnest(map_keys(labels)) AS name FROM clips ORDER BY name"
        ).fetchall()
    ]
    if not known:
        raise MediaFMError(
            "No clip of the catalogue has labels: add label columns to clips.csv, or name a file "
            "of labels with --labels."
        )
    names = _chosen(names, known, CATALOGUE)
    _check_names(names, CATALOGUE)
    columns = ", ".join(
        f"labels[{_quoted(name, chr(39))}] AS {_quoted(name, chr(34))}" for name in names
    )
    table = connection.sql(
        f"SELECT title_id, clip_id, {columns} FROM clips "  # noqa: S608 - names are quoted
        f"WHERE len(list_intersect(map_keys(labels), $1)) > 0 ORDER BY title_id, clip_id",
        params=[list(names)],
    ).to_arrow_table()
    for name in names:
        table = _replaced(table, name, typed(table[name]))
    return LabelTable(table, CATALOGUE, _digest(table))


def read_labels(source: Path | pa.Table, names: Sequence[str] | None = None) -> LabelTable:
    """Read labels from a user's file or table.

    Args:
        source: `.parquet` or `.csv` (UTF-8, with a header), or a table. Columns of CSV are
            converted as in `catalogue_labels`, and their empty cells are no label.
        names: Names of label columns; None takes all.

    Raises:
        MediaFMError: The file cannot be read, a key is missing, empty or repeated, there is no row
            or no label, or a column has a reserved name.
    """
    if isinstance(source, pa.Table):
        table, place = source, "table"
    else:
        table, place = _read(source), source.name
    table = _with_keys(table.replace_schema_metadata(None), place)
    of_file = LabelTable(table, place, "")
    names = _chosen(names, of_file.names, place)
    if not names:
        raise MediaFMError(
            f"{place} has no label column beside {', '.join(of_file.keys)}: add one."
        )
    if not table.num_rows:
        raise MediaFMError(f"{place} has no rows: label a clip.")
    _check_names(names, place)
    kept = [name for name in table.column_names if name in _KEYS or name in names]
    labels = of_file._replace(table=table.select(kept))
    _require_distinct(labels)
    digest = _digest(table) if isinstance(source, pa.Table) else digest_of_files([source])
    return labels._replace(digest=digest)


def typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert text to integers, numbers or booleans if all values are written as such.

    Args:
        column: Text; an empty cell has no value.
    """
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    values = column.drop_null()
    if not len(values):
        return column
    for pattern, kind in (
        (_INTEGER, pa.int64()),
        (_NUMBER, pa.float64()),
        (_BOOLEAN, pa.bool_()),
    ):
        if pc.all(pc.match_substring_regex(values, pattern)).as_py():
            return column.cast(kind)
    return column


def sentence_part(rows: pa.Table) -> str:
    """List the first few rows for an error message."""
    shown = [" ".join(_shown(value) for value in row.values()) for row in _first(rows)]
    return ", ".join(shown) + (", ..." if rows.num_rows > _NAMED else "")


def require_times(labels: LabelTable, times: pa.Table) -> None:
    """Check the times of labels of clips, if they have any, against the catalogue's clips.

    Args:
        labels: Labels of clips, whose rows are all known.
        times: `start_s, end_s` of the catalogue's clips, row by row.

    Raises:
        MediaFMError: A clip has other times.
    """
    for name in ("start_s", "end_s"):
        if name not in labels.table.column_names:
            continue
        given, known = labels.table[name].to_numpy(), times[name].to_numpy()
        other = np.flatnonzero(~(np.abs(given - known) <= END_TOLERANCE_S))
        if len(other):
            row = int(other[0])
            clip = sentence_part(labels.table.select(labels.keys).slice(row, 1))
            raise MediaFMError(
                f"{labels.source}: {name} of {clip} is {given[row]:g}, and {known[row]:g} in the "
                "catalogue: label the clip as it is now, or remove the column."
            )


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                return file.read()
        if path.suffix == ".csv":
            return _read_csv(path)
    except FileNotFoundError:
        raise MediaFMError(f"There is no file of labels {path}: correct its name.") from None
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise MediaFMError(
            f"{path} cannot be read ({reason}): repair the file of labels."
        ) from None
    raise MediaFMError(f"{path} is neither .parquet nor .csv: write the labels as one of them.")


def _read_csv(path: Path) -> pa.Table:
    with pyarrow.csv.open_csv(path) as reader:
        names = reader.schema.names
    # Columns are read as text, so that types follow one rule and not the file's first block.
    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    table = pyarrow.csv.read_csv(path, convert_options=options)
    columns = [
        column if name in _KEYS else typed(column)
        for name, column in zip(names, table.columns, strict=True)
    ]
    return pa.table(columns, names)


def _with_keys(table: pa.Table, place: str) -> pa.Table:
    """Check that the keys exist once, without gaps, and cast them to their types."""
    repeated = [name for name in table.column_names if table.column_names.count(name) > 1]
    if repeated:
        raise MediaFMError(f"{place} has two columns {repeated[0]!r}: rename one.")
    present = set(table.column_names)
    if "title_id" not in present or not ({"clip_id"} <= present or {"start_s", "end_s"} <= present):
        raise MediaFMError(
            f"{place} has the columns {', '.join(table.column_names)}: give title_id and clip_id, "
            "or title_id, start_s and end_s."
        )
    for name, kind in _KEYS.items():
        if name not in present:
            continue
        try:
            column = table[name].cast(kind)
        except pa.ArrowException as error:
            reason = " ".join(str(error).split())
            raise MediaFMError(f"{place}: {name} cannot be used ({reason}): correct it.") from None
        empty = pc.is_null(column, nan_is_null=True)
        if kind == pa.string():
            empty = pc.or_kleene(empty, pc.equal(column, ""))
        if pc.any(empty).as_py():
            row = pc.index(empty.combine_chunks(), True).as_py() + 1
            raise MediaFMError(f"{place}: {name} of row {row} is empty: correct the row.")
        table = _replaced(table, name, column)
    return table


def _require_distinct(labels: LabelTable) -> None:
    counts = labels.table.select(labels.keys).group_by(labels.keys).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if twice.num_rows:
        twice = twice.select(labels.keys).sort_by([(key, "ascending") for key in labels.keys])
        raise MediaFMError(
            f"{labels.source}: {twice.num_rows} of {counts.num_rows} {' '.join(labels.keys)} "
            f"occur more than once ({sentence_part(twice)}): keep one row of each."
        )


def _chosen(names: Sequence[str] | None, known: Sequence[str], place: str) -> list[str]:
    if names is None:
        return list(known)
    for name in names:
        if name not in known:
            raise MediaFMError(
                f"{place} has no label {name!r}: there {'is' if len(known) == 1 else 'are'} "
                f"{', '.join(known) or 'none'}."
            )
    return list(dict.fromkeys(names))


def _check_names(names: Sequence[str], place: str) -> None:
    for name in names:
        if name in OWN_COLUMNS:
            raise MediaFMError(
                f"{place}: {name!r} is a column of every training set: give the label another name."
            )


def require_no_split(labels: LabelTable) -> None:
    """Check that labels have no column `split`.

    Raises:
        MediaFMError: They have one.
    """
    if SPLIT in labels.names:
        raise MediaFMError(
            f"{labels.source} has a column {SPLIT!r} of its own: rename it, or export without "
            "splits."
        )


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _quoted(name: str, quote: str) -> str:
    return quote + name.replace(quote, quote * 2) + quote


def _first(rows: pa.Table) -> list[dict[str, object]]:
    return rows.slice(0, _NAMED).to_pylist()


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _digest(table: pa.Table) -> str:
    """Compute a digest of a table's rows, independent of their chunks."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return digest_of(sink.getvalue().to_pybytes())
