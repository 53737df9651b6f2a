"""Writer of the Parquet files of a training set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from mediafm_core.disk.sealed_parquet import parquet_writer, seal_parquet
from mediafm_core.errors import MediaFMError
from mediafm_core.training_sets.destination import PREPARED, SUFFIX
from mediafm_core.training_sets.footer import RECORD_KEY, SetRecord
from mediafm_core.training_sets.gathering import FileMatrix
from mediafm_core.vectors import to_arrow, vector_type

# Small enough for training to draw row groups in random order, large enough to read at full speed.
ROWS_READ_TOGETHER = 1024
_FILE_BYTES = 1 << 30  # bytes of vectors in each file of a folder


def write_files(
    folder: Path,
    one_file: bool,
    record: SetRecord,
    examples: pa.Table,
    matrices: Mapping[str, FileMatrix],
) -> int:
    """Write a set, in row groups, as `PREPARED` in a folder.

    Args:
        folder: Folder of files in preparation.
        one_file: Write one file; False writes a folder of files.
        record: Record to store in each file.
        examples: Keys and labels.
        matrices: Vector columns, row by row.

    Returns:
        The number of files.

    Raises:
        MediaFMError: A value is too large for float16.
    """
    element = pa.type_for_alias(record.element)
    fields = [
        pa.field(name, vector_type(matrix.shape[1], element), nullable=False)
        for name, matrix in matrices.items()
    ]
    schema = pa.schema([*examples.schema, *fields])
    schema = schema.with_metadata({RECORD_KEY: record.model_dump_json().encode()})
    width = sum(matrix.shape[1] for matrix in matrices.values())
    starts = range(0, examples.num_rows, _rows_of_a_file(width, one_file, examples.num_rows))
    prepared = folder / PREPARED
    if not one_file:
        prepared.mkdir()
    for number, start in enumerate(starts):
        name = f"part-{number:05d}-of-{len(starts):05d}{SUFFIX}"
        path = prepared if one_file else prepared / name
        stop = min(start + starts.step, examples.num_rows)
        _write_file(path, schema, examples, matrices, range(start, stop))
    return len(starts)


def _write_file(
    path: Path,
    schema: pa.Schema,
    examples: pa.Table,
    matrices: Mapping[str, FileMatrix],
    rows: range,
) -> None:
    # Byte stream split, as in the store: vectors take less space and are read faster.
    with parquet_writer(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in matrices],
        use_byte_stream_split=[f"{name}.list.element" for name in matrices],
    ) as writer:
        for start in rows[::ROWS_READ_TOGETHER]:
            part = slice(start, min(start + ROWS_READ_TOGETHER, rows.stop))
            vectors = [
                to_arrow(_as_element(matrix[part], schema.field(name)))
                for name, matrix in matrices.items()
            ]
            labels = examples.slice(part.start, part.stop - part.start)
            writer.write_table(pa.table([*labels.columns, *vectors], schema=schema))
    seal_parquet(path)


def _as_element(vectors: np.ndarray, field: pa.Field) -> np.ndarray:
    kind = np.dtype(field.type.value_type.to_pandas_dtype())
    with np.errstate(over="ignore"):
        converted = vectors.astype(kind, copy=False)
    if kind == np.float16 and np.isinf(converted).any():
        largest = np.abs(vectors).max()
        raise MediaFMError(
            f"A value of {largest:g} in `{field.name}` is too large for float16: export float32."
        )
    return converted


def _rows_of_a_file(width: int, one_file: bool, rows: int) -> int:
    if one_file:
        return rows
    groups = max(1, _FILE_BYTES // (4 * width * ROWS_READ_TOGETHER))
    return groups * ROWS_READ_TOGETHER
