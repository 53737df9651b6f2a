"""Matrix products of clips' vectors with queries, in the fastest way for each precision.

float32 is multiplied by BLAS. BLAS has no product for float16, and conversion to float32 would take
longer than the product itself. So float16 is multiplied by numkong, the library that usearch uses,
which sums in float32.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

_LEAST_ROWS = 256  # minimum number of rows of a thread


class Products:
    """Products of queries with portions of vectors.

    Args:
        queries: float32 `[q, h]` of unit length.
        threads: Threads for float16; 0 takes all cores. BLAS has its own number of threads.
    """

    def __init__(self, queries: np.ndarray, threads: int = 0) -> None:
        self._queries = queries
        self._columns = np.ascontiguousarray(queries.T)  # [h, q]
        self._threads = threads or len(os.sched_getaffinity(0))
        self._wide = np.empty((0, len(queries)), dtype=np.float32)
        self._tensor: Any = None
        self._packed: Any = None

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """Multiply vectors `[n, h]`, in either precision, with the queries.

        Returns:
            float32 `[n, q]`, valid until the next call, which reuses the memory.
        """
        if vectors.dtype == np.float16:
            return self._of_float16(vectors)
        if len(self._wide) < len(vectors):
            self._wide = np.empty((len(vectors), len(self._queries)), dtype=np.float32)
        return np.matmul(vectors, self._columns, out=self._wide[: len(vectors)])

    def error(self, vectors: np.ndarray) -> np.float32:
        """Return a bound of the rounding error of a product of unit vectors, by their precision.

        The error of a float32 sum of h products is at most h times the unit roundoff, 2^-24. The
        error of queries in float16 is 2^-11 of each number, or 2^-25 for numbers below float16's
        normal range. Two unit vectors side by side have the length sqrt(2), and their products with
        a query weigh one in all: only the last bound grows, by less than two.
        """
        width = vectors.shape[1]
        rounded = 2.0**-11 + np.sqrt(width) * 2.0**-24 if vectors.dtype == np.float16 else 0.0
        return np.float32(width * 2.0**-24 + rounded)

    def _of_float16(self, vectors: np.ndarray) -> np.ndarray:
        import numkong

        count = len(vectors)
        if self._packed is None:
            self._packed = numkong.dots_pack(self._queries.astype(np.float16))
        if self._tensor is None or self._tensor.shape[0] < count:
            self._tensor = numkong.empty((count, len(self._queries)), dtype="float32")
        out = self._tensor[:count]
        threads = max(1, min(self._threads, count // _LEAST_ROWS))
        bounds = np.linspace(0, count, threads + 1).astype(int).tolist()

        def multiply(first: int, last: int) -> None:
            numkong.dots_packed(vectors, self._packed, out=out, start_row=first, end_row=last)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(multiply, bounds[:-1], bounds[1:]))
        return np.asarray(out)
