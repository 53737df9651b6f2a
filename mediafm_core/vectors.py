"""Zero-copy conversion of vectors between Arrow and numpy.

A column of vectors is a `FixedSizeList<float32>[dimension]` (or float16) with one row per shot or
clip. Its buffer is a matrix, so both directions are views: lists of Python floats would cost some
thousand times more for ten million shots.
"""

import numpy as np
import pyarrow as pa

_NORM_FLOOR = 1e-12  # below this a vector counts as zero and has no direction


def to_numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """View a column of vectors as a matrix.

    Args:
        column: `FixedSizeList` of float16, float32 or float64; a slice is fine.

    Returns:
        Read-only `[n, dimension]` array of the column's own type: a view, except that a column of
        several chunks is copied once into one matrix.

    Raises:
        TypeError: the column holds no fixed-size vectors of floats.
        ValueError: a vector or one of its elements is null.
    """
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type):
        raise TypeError(f"A column of vectors is a FixedSizeList of floats, this one is {kind}.")
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} vectors are null: write zeros.")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    matrices = [_view(chunk, kind.list_size) for chunk in chunks if len(chunk)]
    if not matrices:
        return np.empty((0, kind.list_size), dtype=kind.value_type.to_pandas_dtype())
    return matrices[0] if len(matrices) == 1 else np.concatenate(matrices)


def to_arrow(matrix: np.ndarray) -> pa.FixedSizeListArray:
    """View a matrix as a column of vectors.

    Args:
        matrix: `[n, dimension]`, float16, float32 or float64; copied only if its rows are not
            contiguous. It must not change while the column lives.

    Raises:
        TypeError: the elements are no floats.
        ValueError: the array is no matrix, or its vectors have no elements.
    """
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"A column of vectors is made from [n, dimension], not {matrix.shape}.")
    if matrix.dtype.kind != "f":
        raise TypeError(f"Vectors hold floats, not {matrix.dtype}.")
    values = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, matrix.shape[1])


def vector_type(dimension: int, value_type: pa.DataType | None = None) -> pa.DataType:
    """Return the Arrow type of a vector column, float32 by default."""
    return pa.list_(value_type or pa.float32(), dimension)


def unit_length(matrix: np.ndarray) -> np.ndarray:
    """Scale every row to Euclidean length one; rows of zeros stay zero.

    Args:
        matrix: `[n, dimension]` floats.

    Returns:
        A new float32 `[n, dimension]`. Lengths are summed in float64, so that float16 input and
        wide vectors lose no precision. A row that is not finite becomes NaN.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    scales = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > _NORM_FLOOR)
    with np.errstate(invalid="ignore"):  # infinity times zero
        return np.multiply(matrix, scales[:, None].astype(np.float32), dtype=np.float32)


def _view(chunk: pa.FixedSizeListArray, dimension: int) -> np.ndarray:
    # flatten() respects the chunk's offset, which .values does not.
    values = chunk.flatten()
    if values.null_count:
        raise ValueError(f"{values.null_count} elements of vectors are null: write numbers.")
    return values.to_numpy(zero_copy_only=True).reshape(len(chunk), dimension)
