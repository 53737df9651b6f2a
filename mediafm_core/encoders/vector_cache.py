"""Cache of a paid text encoder's vectors, on disk."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from mediafm_core.errors import ConfigurationError

_WAIT_S = 60.0  # for another process's write


class VectorCache:
    """Vectors by model, dimension and SHA-256 of the text, in one SQLite file.

    Several processes may use the file at once; writes are atomic.

    Args:
        file: created by the first write.
        model: name of the encoder's model.
        dimension: width of the vectors.
    """

    def __init__(self, file: Path, model: str, dimension: int) -> None:
        self._file = file
        self._model = model
        self._dimension = dimension

    def get(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the cached texts with their vectors, float32 `[dimension]`."""
        found: dict[str, np.ndarray] = {}
        with self._connection() as connection:
            for text in texts:
                row = connection.execute(
                    "SELECT vector FROM vectors WHERE model = ? AND dimension = ? AND digest = ?",
                    (self._model, self._dimension, _digest(text)),
                ).fetchone()
                if row:
                    found[text] = np.frombuffer(row[0], dtype="<f4")
        return found

    def put(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Cache vectors, float32 `[len(texts), dimension]`."""
        rows = [
            (self._model, self._dimension, _digest(text), vector.astype("<f4").tobytes())
            for text, vector in zip(texts, vectors, strict=True)
        ]
        with self._connection() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=_WAIT_S)) as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (model TEXT, dimension INTEGER, "
                    "digest BLOB, vector BLOB, PRIMARY KEY (model, dimension, digest)) "
                    "WITHOUT ROWID"
                )
                yield connection
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"The cache of text vectors {self._file} cannot be used ({error}): remove it, or "
                "set XDG_CACHE_HOME to another folder."
            ) from None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
