"""Labels of a task, parsed from columns of booleans, words, numbers or lists.

Without a named task, the content of the columns decides it. Columns of CSV files and of `clips.csv`
are text: such a column gets the first type, of booleans, numbers, lists and words, in which all of
its cells can be read.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.errors import MediaFMError
from mediafm_core.evaluation.evaluation_task import Task, TaskLabels

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_SEPARATOR = ";"  # between several labels in a cell of text
_SHOWN = 3  # number of values in an error message


class _Column(NamedTuple):
    """A column of labels in each of the forms in which all of its cells can be read."""

    name: str
    known: np.ndarray  # [n] bool
    flags: np.ndarray | None = None  # [n] bool
    numbers: np.ndarray | None = None  # [n] float64
    texts: pa.Array | None = None  # [n] string
    lists: pa.Array | None = None  # [n] list<string>

    @property
    def sample(self) -> str:
        """Some of its values, for an error message."""
        forms = (self.texts, self.lists, self.numbers)
        values = pa.array(next(form for form in forms if form is not None))
        some = values.filter(pa.array(self.known)).to_pylist()
        return ", ".join(str(value) for value in list(dict.fromkeys(map(str, some)))[:_SHOWN])


def parse_labels(
    columns: Mapping[str, pa.Array | pa.ChunkedArray], task: Task | None
) -> TaskLabels:
    """Parse columns to the labels of a task.

    Args:
        columns: One column of `n` labels, or several of booleans, by name. Null (and the number
            NaN, which pandas writes for it) is no label.
        task: Task of the probes; None infers it: several columns and lists are multilabel, booleans
            or two numbers are binary, other numbers are ranking, words multiclass.

    Raises:
        MediaFMError: A column is empty or incompatible with the task.
    """
    read = [_read(name, column) for name, column in columns.items()]
    chosen: Task = task or _inferred_task(read)
    for column in read:
        if not column.known.any():
            raise MediaFMError(
                f"The label {column.name} has no value at all: name a column with labels."
            )
    if len(read) > 1 and chosen != "multilabel":
        raise MediaFMError(
            f"The task {chosen} has one label, not {len(read)} ({', '.join(columns)}): name one, "
            "or take the task multilabel."
        )
    match chosen:
        case "binary" | "retrieval":
            labels = TaskLabels(read[0].name, chosen, _flags(read[0]), [], read[0].known)
        case "multilabel":
            labels = _multilabel(read)
        case "multiclass":
            labels = _multiclass(read[0])
        case "ranking":
            labels = TaskLabels(read[0].name, chosen, _numbers(read[0]), [], read[0].known)
    return labels


def _inferred_task(columns: list[_Column]) -> Task:
    first = columns[0]
    if len(columns) > 1 or first.lists is not None:
        return "multilabel"
    if first.flags is not None:
        return "binary"
    return "multiclass" if first.numbers is None else "ranking"


def _read(name: str, column: pa.Array | pa.ChunkedArray) -> _Column:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_null(kind):
        return _Column(name, np.zeros(len(array), bool), texts=array.cast(pa.string()))
    if pa.types.is_boolean(kind):
        flags = array.fill_null(False).to_numpy(zero_copy_only=False)
        known = array.is_valid().to_numpy(zero_copy_only=False)
        return _Column(name, known, flags, flags.astype(np.float64))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _of_numbers(name, array.cast(pa.float64(), safe=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _of_text(name, array.cast(pa.string()))
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_string(
        kind.value_type
    ):
        known = array.is_valid().to_numpy(zero_copy_only=False)
        return _Column(name, known, lists=_words(name, array.cast(pa.list_(pa.string()))))
    raise MediaFMError(
        f"The label {name} is of type {kind}: labels are true and false, numbers, words or lists "
        "of words."
    )


def _of_numbers(name: str, array: pa.Array, texts: pa.Array | None = None) -> _Column:
    numbers = array.fill_null(np.nan).to_numpy(zero_copy_only=False)
    known = ~np.isnan(numbers)
    if np.isinf(numbers).any():
        raise MediaFMError(f"The label {name} has an infinite number: write a finite one, or none.")
    values = np.unique(numbers[known])
    flags = None
    if set(values.tolist()) <= {0.0, 1.0}:
        flags = numbers == 1
    elif len(values) == 2:
        flags = numbers == values[1]
    return _Column(name, known, flags, np.where(known, numbers, 0.0), texts)


def _of_text(name: str, array: pa.Array) -> _Column:
    trimmed = pc.utf8_trim_whitespace(array)
    texts = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    known = texts.is_valid().to_numpy(zero_copy_only=False)
    lowered = pc.utf8_lower(texts)
    true = pc.is_in(lowered, pa.array(_TRUE)).to_numpy(zero_copy_only=False)
    false = pc.is_in(lowered, pa.array(_FALSE)).to_numpy(zero_copy_only=False)
    if (true | false | ~known).all():
        return _Column(name, known, true, true.astype(np.float64), texts)
    try:
        return _of_numbers(name, texts.cast(pa.float64()), texts)
    except pa.ArrowInvalid:
        pass  # words
    if pc.all(pc.starts_with(texts, "[")).as_py():
        try:
            parsed = [None if text is None else json.loads(text) for text in texts.to_pylist()]
            lists = pa.array(parsed, pa.list_(pa.string()))
        except (ValueError, pa.ArrowInvalid, pa.ArrowTypeError):
            raise MediaFMError(
                f'The label {name} has lists that are no JSON: write them like ["calm", "sad"].'
            ) from None
        return _Column(name, known, lists=_words(name, lists))
    return _Column(name, known, texts=texts)


def _words(name: str, lists: pa.Array) -> pa.Array:
    """Return lists of words unchanged, after checking that no list contains null."""
    if lists.flatten().null_count:
        raise MediaFMError(
            f"The label {name} has lists with nulls in them: leave these out of the lists."
        )
    return lists


def _flags(column: _Column) -> np.ndarray:
    if column.flags is None:
        raise MediaFMError(
            f"The label {column.name} has values such as {column.sample}: for this task it must "
            "have two, true and false or two numbers."
        )
    return column.flags


def _numbers(column: _Column) -> np.ndarray:
    if column.numbers is None:
        raise MediaFMError(
            f"The label {column.name} has values such as {column.sample}: for ranking it must "
            "have numbers."
        )
    return column.numbers


def _multiclass(column: _Column) -> TaskLabels:
    if column.texts is not None:
        texts = column.texts
    elif column.lists is None and column.numbers is not None:
        texts = pa.array([f"{number:g}" for number in column.numbers])
    else:
        raise MediaFMError(
            f"The label {column.name} has lists: several labels of one unit are the task "
            "multilabel."
        )
    classes, codes = np.unique(texts.filter(pa.array(column.known)).to_numpy(False), False, True)
    values = np.zeros(len(column.known), dtype=np.int64)
    values[column.known] = codes
    return TaskLabels(
        column.name, "multiclass", values, [str(name) for name in classes], column.known
    )


def _multilabel(columns: list[_Column]) -> TaskLabels:
    if len(columns) > 1 or columns[0].flags is not None:
        values = np.stack([_flags(column) for column in columns], axis=1)  # [n, c]
        known = np.logical_and.reduce([column.known for column in columns])
        return TaskLabels(
            ",".join(column.name for column in columns),
            "multilabel",
            values,
            [column.name for column in columns],
            known,
        )
    column = columns[0]
    lists = column.lists
    if lists is None:
        if column.texts is None:
            _flags(column)
        lists = pc.split_pattern(column.texts, _SEPARATOR)
    words = pc.utf8_trim_whitespace(lists.flatten()).dictionary_encode()
    order = np.argsort(words.dictionary.to_numpy(False).astype(str), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    values = np.zeros((len(lists), len(order)), dtype=bool)
    values[pc.list_parent_indices(lists).to_numpy(), rank[words.indices.to_numpy()]] = True
    names = words.dictionary.take(pa.array(order)).to_pylist()
    return TaskLabels(column.name, "multilabel", values, names, column.known)
