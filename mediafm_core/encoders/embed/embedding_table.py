"""Table of a modality's vectors, and reuse of an earlier one of the same title."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediafm_core.vectors import to_arrow, to_numpy

DIGEST_BYTES = 16
_DIGEST = "input_digest"


def input_digest(*parts: bytes | memoryview | pa.Buffer) -> bytes:
    """Return the BLAKE2b digest, 16 bytes, of length-prefixed parts: a vector's input."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class EarlierVectors:
    """Vectors of an earlier table, by input digest.

    Args:
        table: of the same encoder and code version; None, or a table of a version
            without digests, has no reusable vectors.
    """

    def __init__(self, table: pa.Table | None) -> None:
        self._rows: dict[bytes | None, int] = {}
        if table is not None and _DIGEST in table.column_names:
            digests = table[_DIGEST].to_pylist()
            self._rows = {digest: row for row, digest in enumerate(digests) if digest is not None}
            self._vectors = to_numpy(table["embedding"])

    def __contains__(self, digest: bytes | None) -> bool:
        return digest in self._rows

    def fill(self, vectors: np.ndarray, digests: Sequence[bytes | None]) -> np.ndarray:
        """Copy known vectors into float32 `[n, dimension]`; return a mask of them, bool `[n]`."""
        found = np.array([self._rows.get(digest, -1) for digest in digests], dtype=np.int64)
        known = found >= 0
        if known.any():
            vectors[known] = self._vectors[found[known]]
        return known


def embeddings_table(
    title_id: pa.Array | pa.ChunkedArray,
    shot_index: pa.Array | pa.ChunkedArray,
    vectors: np.ndarray,
    present: np.ndarray,
    digests: pa.Array | Sequence[bytes | None],
) -> pa.Table:
    """Return the table of the package; `digests` are null where not `present`."""
    return pa.table(
        {
            "title_id": title_id,
            "shot_index": shot_index,
            "present": pa.array(present),
            "embedding": to_arrow(vectors),
            _DIGEST: pc.if_else(
                pa.array(present),
                pa.array(digests, pa.binary(DIGEST_BYTES)),
                pa.scalar(None, pa.binary(DIGEST_BYTES)),
            ),
        }
    )


def reused_rows(table: pa.Table, earlier: pa.Table | None) -> int:
    """Return how many rows of a table reused vectors of an earlier one."""
    if earlier is None or _DIGEST not in earlier.column_names:
        return 0
    known = pc.is_in(table[_DIGEST], value_set=earlier[_DIGEST].drop_null())
    return int(pc.sum(known).as_py() or 0)
