"""A table of shots as a data set, with any vectors and labels, without a catalogue.

    title       text           folds and draws never divide a title
    shot_index  whole number   order within the title; gaps are allowed, and rows in any order
    ...         vectors        Parquet: lists of floats; CSV: text such as "[0.1, 0.2]"; null where
                               a shot lacks the modality
    ...         labels         see `mediafm_core.evaluation.task_labels`
    ...         a fixed split  train, validation or test, the same for all shots of a title

Each column of vectors is a modality. As in a catalogue, each is scaled to unit length before they
are concatenated (`mediafm_core.fusion.concatenation`). The vectors are streamed into one float32
matrix, which is the only copy in memory.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task, TaskLabels
from mediafm_core.evaluation.probe_splits import parts_of_titles
from mediafm_core.evaluation.table_files import (
    ROWS_READ_TOGETHER,
    ParquetTable,
    TableFile,
    is_vector_type,
    open_table,
)
from mediafm_core.evaluation.task_labels import parse_labels
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.identity import digest_of
from mediafm_core.vectors import to_numpy, unit_length

TITLE, SHOT = "title", "shot_index"


def read_table(
    path: Path,
    vectors: Sequence[str],
    labels: Sequence[str],
    task: Task | None = None,
    split: str | None = None,
) -> Units:
    """Read a data set whose units are shots.

    Args:
        path: Parquet or CSV file with the columns above.
        vectors: Columns of vectors, one per modality.
        labels: Columns of labels.
        task: Task of the probes; None infers it from the labels.
        split: Column of a fixed split, with `train`, `validation` or `test` for each title.

    Raises:
        MediaFMError: A column is missing or of another type, the split is not complete, a shot
            occurs twice, has no vector at all, or has one that is not finite, all zeros or of
            another width than the others. The message names the file, the title and the shot.
    """
    file = open_table(path)
    others = [] if split is None else [split]
    _require_columns(file, vectors, [*labels, *others])
    keys = _Keys.read(file)
    named = file.read([*labels], dict.fromkeys(labels, pa.string()))
    order = pa.array(keys.order)
    parsed = parse_labels({name: named[name].take(order) for name in labels}, task)
    units = _read(file, keys, vectors, parsed, normalised=True)
    if split is None:
        return units
    values = file.read([split], {split: pa.string()})[split].cast(pa.string()).take(order)
    parts = parts_of_titles(units.titles, units.title_of, values.to_pylist(), split)
    return replace(units, parts=parts)


def read_columns(path: Path, leave_out: Collection[str]) -> pa.Table:
    """Read the columns of a table of shots, except vectors of Parquet files and `leave_out`.

    Columns of a CSV file are text.

    Raises:
        MediaFMError: The file cannot be read.
    """
    file = open_table(path)
    columns = [name for name in file.columns if name not in leave_out]
    if isinstance(file, ParquetTable):
        schema = pq.read_schema(path)
        columns = [name for name in columns if not is_vector_type(schema.field(name).type)]
    return file.read(columns, dict.fromkeys(columns, pa.string()))


def unnormalised(units: Units, path: Path) -> Units:
    """Read a table again with modalities concatenated without scaling each to unit length.

    Then the modality with the longest vectors dominates. The fused vector has unit length all the
    same. The ablation `in_context_unnormalised` measures the effect of the scaling.

    Args:
        units: Units from `read_table`.
        path: Path of the same file.
    """
    file = open_table(path)
    return _read(file, _Keys.read(file), list(units.ranges), units.labels, normalised=False)


def _read(
    file: TableFile, keys: "_Keys", vectors: Sequence[str], labels: TaskLabels, *, normalised: bool
) -> Units:
    widths = [_width(file, column) for column in vectors]
    stops = np.cumsum(widths).tolist()
    ranges = {
        name: (stop - width, stop) for name, width, stop in zip(vectors, widths, stops, strict=True)
    }
    fused = np.zeros((len(keys.order), stops[-1]), dtype=np.float32)  # [n, d]
    present = np.zeros((len(keys.order), len(vectors)), dtype=bool)  # [n, m]
    for column, (name, (start, stop)) in enumerate(ranges.items()):
        for rows, part in _vectors(file, name, stop - start, keys):
            present[rows, column] = True
            fused[rows, start:stop] = unit_length(part) if normalised else part
    _refuse_empty(file.path, vectors, keys, present)
    for first in range(0, len(fused), ROWS_READ_TOGETHER):
        block = fused[first : first + ROWS_READ_TOGETHER]
        block[:] = unit_length(block)
    titles, starts = keys.titles
    edges = [*starts.tolist(), len(fused)]

    def read(index: int) -> TitleUnits:
        shots = np.arange(edges[index + 1] - edges[index])
        of_title = fused[edges[index] : edges[index + 1]]
        return TitleUnits(titles[index], of_title, None, np.stack([shots, shots + 1], axis=1))

    versions = [digest_of(read(index).fused.tobytes()) for index in range(len(titles))]
    return Units(
        source=str(file.path),
        digest=digest_of(str(ranges), *titles, *versions, labels.known.tobytes()),
        titles=titles,
        title_of=np.repeat(np.arange(len(titles)), np.diff(edges)),
        names=keys.shot,
        ranges=ranges,
        longest=int(np.diff(edges).max()),
        labels=labels,
        read=read,
    )


class _Keys(NamedTuple):
    """Titles and shots of the rows of a table.

    Attributes:
        order: `[n]` row of the file for each unit, sorted by title, then shot.
        unit: `[n]` unit of each row of the file, the inverse of `order`.
        title: `[n]` text, title of each unit.
        shot: `[n]` int64, shot index of each unit.
    """

    order: np.ndarray
    unit: np.ndarray
    title: np.ndarray
    shot: np.ndarray

    @property
    def titles(self) -> tuple[list[str], np.ndarray]:
        """Sorted names of the titles, and the first unit of each."""
        names, starts = np.unique(self.title, return_index=True)
        return names.tolist(), starts

    def name(self, unit: int) -> str:
        """Return the name of a unit for an error message."""
        return f"{self.title[unit]}, shot {self.shot[unit]}"

    @classmethod
    def read(cls, file: TableFile) -> "_Keys":
        table = file.read([TITLE, SHOT], {TITLE: pa.string(), SHOT: pa.int64()})
        if not table.num_rows:
            raise MediaFMError(f"{file.path} has no rows: name a table of shots.")
        for name in (TITLE, SHOT):
            if table[name].null_count:
                raise MediaFMError(
                    f"{file.path}: {name} is missing in {table[name].null_count} rows: give "
                    "every row a title and a shot."
                )
        try:
            shots = table[SHOT].cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as error:
            raise MediaFMError(
                f"{file.path}: {SHOT} must hold whole numbers ({error}): correct the column."
            ) from None
        titles = table[TITLE].cast(pa.string()).to_numpy().astype(str)
        order = np.lexsort((shots, titles))
        title, shot = titles[order], shots[order]
        unit = np.empty(len(order), dtype=np.int64)
        unit[order] = np.arange(len(order))
        keys = cls(order, unit, title, shot)
        twice = np.flatnonzero((title[1:] == title[:-1]) & (shot[1:] == shot[:-1]))
        if len(twice):
            raise MediaFMError(
                f"{file.path}: {keys.name(twice[0])} occurs twice ({len(twice)} such rows in "
                "all): leave one of each."
            )
        return keys


def _require_columns(file: TableFile, vectors: Sequence[str], labels: Sequence[str]) -> None:
    for name in (TITLE, SHOT, *vectors, *labels):
        if name not in file.columns:
            raise MediaFMError(
                f"{file.path} has no column {name!r}: it has {', '.join(file.columns)}."
            )
        if file.columns.count(name) > 1:
            raise MediaFMError(f"{file.path} has two columns {name!r}: rename one.")
    names = [*vectors, *labels, TITLE, SHOT]
    for name in names:
        if names.count(name) > 1:
            raise MediaFMError(f"The column {name!r} is named twice: name each once.")


def _width(file: TableFile, column: str) -> int:
    """Return the width of the first vector of a column."""
    for batch in file.batches([column], {column: pa.string()}):
        lists = _as_lists(file.path, column, batch.column(0)).drop_null()
        if not len(lists):
            continue
        width = int(pc.list_value_length(lists)[0].as_py())
        if not width:
            raise MediaFMError(
                f"{file.path}: {column} has vectors without a number: write null where a shot has "
                "none."
            )
        return width
    raise MediaFMError(
        f"{file.path}: {column} has no vector in any row: leave it out of the vectors."
    )


def _vectors(
    file: TableFile, column: str, width: int, keys: _Keys
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield units `[b]` and their vectors `[b, width]` by batches, without units that have none."""
    first = 0
    for batch in file.batches([column], {column: pa.string()}):
        lists = _as_lists(file.path, column, batch.column(0))
        there = lists.is_valid().to_numpy(zero_copy_only=False)
        units = keys.unit[first : first + len(lists)][there]
        first += len(lists)
        if not len(units):
            continue
        matrix = _matrix(file.path, column, lists.drop_null(), width, units, keys)
        squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
        faulty = np.flatnonzero(~np.isfinite(squares) | (squares == 0))
        if len(faulty):
            what = "is all zeros" if squares[faulty[0]] == 0 else "is not finite"
            raise MediaFMError(
                f"{file.path}: the vector {column} of {keys.name(units[faulty[0]])} {what}: write "
                "null where a shot has none."
            )
        yield units, matrix


def _as_lists(path: Path, column: str, cells: pa.Array) -> pa.Array:
    """Return cells as lists of numbers, parsed from text where necessary."""
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        inside = pc.utf8_trim(cells, " \t[]")
        try:
            # Spaces are removed around commas only, so that "[1 2]", as numpy prints, is not 12.
            lists = pc.split_pattern(pc.replace_substring_regex(inside, r"\s*,\s*", ","), ",")
            return _with_values(lists, lists.values.cast(pa.float32()))
        except pa.ArrowInvalid as error:
            raise MediaFMError(
                f'{path}: {column} holds no vectors ({error}): write them like "[0.1, 0.2]".'
            ) from None
    if not is_vector_type(kind):
        raise MediaFMError(f"{path}: {column} is of type {kind}: vectors are lists of floats.")
    return cells


def _with_values(lists: pa.ListArray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(lists.offsets, values, mask=lists.is_null())


def _matrix(
    path: Path, column: str, lists: pa.Array, width: int, units: np.ndarray, keys: _Keys
) -> np.ndarray:
    """Convert lists without nulls to a float32 matrix `[len(lists), width]`."""
    if pa.types.is_fixed_size_list(lists.type):
        vectors = lists
    else:
        lengths = pc.list_value_length(lists).to_numpy()
        other = np.flatnonzero(lengths != width)
        if len(other):
            raise MediaFMError(
                f"{path}: the vector {column} of {keys.name(units[other[0]])} has "
                f"{lengths[other[0]]} numbers and others have {width}: vectors of a column "
                "have the same width."
            )
        vectors = pa.FixedSizeListArray.from_arrays(lists.flatten(), width)
    if not pa.types.is_floating(vectors.type.value_type):
        vectors = vectors.cast(pa.list_(pa.float32(), width))
    try:
        return to_numpy(vectors).astype(np.float32, copy=False)
    except ValueError as error:
        raise MediaFMError(f"{path}: {column}: {error}") from None


def _refuse_empty(path: Path, vectors: Sequence[str], keys: _Keys, present: np.ndarray) -> None:
    empty = np.flatnonzero(~present.any(axis=1))
    if len(empty):
        raise MediaFMError(
            f"{path}: {keys.name(empty[0])} has no vector in {', '.join(vectors)} ({len(empty)} "
            "such rows in all): leave out rows without any vector."
        )
