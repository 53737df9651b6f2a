"""Fused vectors of a title's published shots, read from the artefacts with their space."""

import numpy as np
import pyarrow as pa

from mediafm_core.errors import StoreError
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy


def fused_space(store: Store, title_id: str) -> FusedSpace:
    """Return the space of a title's fused vectors.

    Raises:
        StoreError: the title has no fused vectors.
    """
    record = store.record("fused_embeddings", title_id)
    if record is None:
        raise StoreError(f"{title_id} has no fused_embeddings in {store.location}: run it again.")
    return FusedSpace.from_record(record.details)


def fused_of_shots(store: Store, title_id: str, shots: pa.Table) -> np.ndarray:
    """Read the fused vectors of a title, `[n, f]`, and check that they are of the given shots.

    Args:
        store: the catalogue's store.
        title_id: the title.
        shots: `start_s, end_s` of its published shots, in order.

    Raises:
        StoreError: the vectors are missing, or the title has been cut into other shots since.
    """
    fused = to_numpy(store.read("fused_embeddings", title_id, columns=["embedding"])["embedding"])
    newest = store.read("shots", title_id)
    if len(fused) != len(shots) or any(
        not np.array_equal(newest[name].to_numpy(), shots[name].to_numpy())
        for name in ("start_s", "end_s")
    ):
        raise StoreError(
            f"{title_id} has been cut into other shots than the published ones: `mediafm run` "
            "publishes it, then try again."
        )
    return fused
