"""Zero-copy conversion between Arrow and numpy, and refusals."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mediafm_core.vectors import to_arrow, to_numpy, unit_length, vector_type

matrices = hnp.arrays(
    st.sampled_from([np.float16, np.float32]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.floats(-8, 8, width=16),
)


@given(matrices)
def test_a_round_trip_shares_memory(matrix):
    column = to_arrow(matrix)
    back = to_numpy(column)
    assert column.type == vector_type(matrix.shape[1], pa.from_numpy_dtype(matrix.dtype))
    assert back.dtype == matrix.dtype
    assert np.shares_memory(back, matrix)
    np.testing.assert_array_equal(back, matrix)


@given(matrices, st.data())
def test_slices_and_chunks(matrix, data):
    start = data.draw(st.integers(0, len(matrix)))
    stop = data.draw(st.integers(start, len(matrix)))
    column = to_arrow(matrix)
    view = to_numpy(column[start:stop])
    np.testing.assert_array_equal(view, matrix[start:stop])
    assert view.shape == (stop - start, matrix.shape[1])
    chunked = pa.chunked_array([column[:start], column[start:stop], column[stop:]])
    np.testing.assert_array_equal(to_numpy(chunked), matrix)


def test_one_chunk_of_a_table_is_a_view():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = pa.table({"embedding": to_arrow(matrix)}).slice(1, 2)
    assert np.shares_memory(to_numpy(table["embedding"]), matrix)


def test_empty_column_keeps_its_width():
    empty = pa.chunked_array([], type=vector_type(5))
    assert to_numpy(empty).shape == (0, 5)
    assert to_arrow(np.empty((0, 5), dtype=np.float32)).type == vector_type(5)


def test_non_contiguous_rows_are_copied():
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4).T
    np.testing.assert_array_equal(to_numpy(to_arrow(matrix)), matrix)


def test_nulls_are_refused():
    with pytest.raises(ValueError, match="1 of 2 vectors are null"):
        to_numpy(pa.array([[1.0, 2.0], None], vector_type(2)))
    with pytest.raises(ValueError, match="1 elements"):
        to_numpy(pa.array([[1.0, None]], vector_type(2)))


@pytest.mark.parametrize(
    "column", [pa.array([[1.0]]), pa.array([1.0]), pa.array([[1]], pa.list_(pa.int32(), 1))]
)
def test_other_types_are_refused(column):
    with pytest.raises(TypeError, match="FixedSizeList"):
        to_numpy(column)


def test_arrays_that_are_no_matrix_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        to_arrow(np.zeros(3, dtype=np.float32))
    with pytest.raises(TypeError, match="int64"):
        to_arrow(np.zeros((1, 3), dtype=np.int64))


@given(matrices)
def test_unit_length(matrix):
    unit = unit_length(matrix)
    zero = ~matrix.any(axis=1)
    assert unit.dtype == np.float32
    assert not unit[zero].any()
    # float32 rounding of at most nine elements
    np.testing.assert_allclose(np.linalg.norm(unit[~zero], axis=1), 1.0, atol=1e-6)
