"""Lists of the labels in a table of shots or in the catalogue, with counts."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.table_units import SHOT, TITLE, read_columns
from mediafm_core.store.features import open_features
from mediafm_core.store.store import Store
from mediafm_core.training_sets.label_files import catalogue_labels, read_labels


class LabelCount(NamedTuple):
    """A label with the number of labelled units (shots or clips) and of their titles."""

    label: str
    units: int
    titles: int


def labels_in_table(path: Path, vectors: tuple[str, ...]) -> list[LabelCount]:
    """Count the labels of a table of shots: all columns but keys and vectors.

    Raises:
        MediaFMError: The file cannot be read, or has no label column.
    """
    table = read_columns(path, leave_out={SHOT, *vectors})
    if TITLE not in table.column_names:
        raise MediaFMError(
            f"{path} has no column {TITLE!r}: it has {', '.join(table.column_names)}."
        )
    counts = _counted(table, TITLE)
    if not counts:
        raise MediaFMError(f"{path} has no label column beside its keys and vectors: add one.")
    return counts


def labels_in_catalogue(store: Store, labels_file: Path | None) -> list[LabelCount]:
    """Count the labels of clips, or of a file of labels.

    Raises:
        MediaFMError: There are no labels, or the file cannot be read.
        StoreError: Nothing has been published.
    """
    if labels_file is not None:
        labels = read_labels(labels_file)
    else:
        if not store.features.exists():
            raise store.without_features()
        with closing(open_features(store)) as connection:
            labels = catalogue_labels(connection)
    return _counted(labels.table.select(["title_id", *labels.names]), "title_id")


def _counted(table: pa.Table, title: str) -> list[LabelCount]:
    counts = []
    for name in table.column_names:
        column = table[name]
        if name == title or _is_text_of_vectors(column):
            continue
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            blank = pc.equal(pc.utf8_trim_whitespace(column), "")
            column = pc.if_else(blank, pa.scalar(None, column.type), column)
        titles = table[title].filter(pc.is_valid(column))
        counts.append(LabelCount(name, len(titles), len(titles.unique())))
    return counts


def _is_text_of_vectors(column: pa.ChunkedArray) -> bool:
    """Return True if all cells are lists of numbers, the form of vectors in a CSV file."""
    if not pa.types.is_string(column.type) or column.null_count == len(column):
        return False
    matches = pc.match_substring_regex(column, r"^\s*\[[-+.\d\s,eE]+\]\s*$")
    return bool(pc.all(matches).as_py())
