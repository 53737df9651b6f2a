"""Checks of the vectors that a network reads: shapes, finite numbers, no zero vector."""

from pathlib import Path

import numpy as np

from mediafm_core.errors import TitleError


def check_fused(
    vectors: np.ndarray, dimension: int, title_id: str, path: Path | None = None
) -> np.ndarray:
    """Refuse fused vectors that a network cannot read.

    Args:
        vectors: `[n, d]` floats, n at least 1.
        dimension: the width that is expected.
        title_id: named in errors.
        path: file of the vectors, named in errors; by default where a store has it.

    Returns:
        The vectors as float32, without a copy if they are float32.

    Raises:
        TitleError: wrong shape, no shots, or a vector that is not finite or zero (video is there
            in every shot, so a fused vector is never zero).
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise TitleError(
            f"{title_id} has fused vectors of shape {vectors.shape}, the model takes "
            f"[shots, {dimension}]: fuse the title again with the model's encoders."
        )
    if not len(vectors):
        raise TitleError(f"{title_id} has no shots: detect its shots again.")
    # A sum over squares is finite and positive just where a row is fine.
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    faulty = np.flatnonzero(~np.isfinite(squares) | (squares == 0))
    if len(faulty):
        what = "zero" if squares[faulty[0]] == 0 else "not finite"
        raise TitleError(
            f"{title_id} has a fused vector that is {what} at shot {faulty[0]} ({len(faulty)} such "
            f"in all): delete {path or f'fused_embeddings/{title_id}.parquet of the store'} and "
            f"run `mediafm run --titles {title_id} --retry`, which fuses the title again."
        )
    return vectors.astype(np.float32, copy=False)


def check_global(vector: np.ndarray | None, dimension: int, title_id: str) -> np.ndarray:
    """Return a title's metadata vector as float32 `[g]`; zeros for None.

    Raises:
        TitleError: wrong width or not finite.
    """
    if vector is None:
        return np.zeros(dimension, dtype=np.float32)
    if vector.shape != (dimension,):
        raise TitleError(
            f"{title_id} has a metadata embedding of shape {vector.shape}, the model takes "
            f"[{dimension}]: embed the metadata again with the model's text encoder."
        )
    if not np.isfinite(vector).all():
        raise TitleError(
            f"{title_id} has a metadata embedding that is not finite: embed the metadata again."
        )
    return vector.astype(np.float32, copy=False)
