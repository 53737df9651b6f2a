"""Contextual vectors of a span by a new pass of the published model, alone or as a prefix."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mediafm_core.config.settings import Settings
from mediafm_core.errors import StoreError
from mediafm_core.runtime.device import resolve_device
from mediafm_core.store.fused_vectors import fused_of_shots, fused_space
from mediafm_core.store.model_store import model_folder
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_numpy

if TYPE_CHECKING:
    from mediafm_core.clips.pooling import ClipSlice
    from mediafm_core.model.saved_model import LoadedModel


def embed_again(
    catalogue: Store,
    settings: Settings,
    model: str,
    title: str,
    shots: pa.Table,
    span_s: tuple[float, float],
    prefix: bool,
    look_back: int | None,
) -> np.ndarray:
    """Compute the contextual vector of a span by a new pass of the published model, `[h]`."""
    from mediafm_core.clips.pooling import clip_slice

    folder = model_folder(catalogue, model)
    if not folder.is_dir():
        raise StoreError(
            f"The published model {model} is gone from {catalogue.models}: copy it back "
            "or release another one."
        )
    span = clip_slice(shots, *span_s)
    network = _network(folder, resolve_device(settings))
    vectors = _read_again(
        catalogue, settings, network, title, shots, span, prefix=prefix, look_back=look_back
    )
    return _pooled(vectors, span)


def _read_again(
    store: Store,
    settings: Settings,
    model: "LoadedModel",
    title: str,
    shots: pa.Table,
    span: "ClipSlice",
    *,
    prefix: bool,
    look_back: int | None,
) -> np.ndarray:
    """Compute the vectors of a span's shots by a new pass of the model, `[n, h]`.

    The model reads the metadata of the whole title, so that these vectors differ from the
    contextual ones only by the other shots that the model reads.

    Raises:
        StoreError: The fused vectors are missing, or their shots differ from the published ones.
    """
    from mediafm_core.inference.streaming import embed_span_up_to
    from mediafm_core.inference.whole_title import embed_alone
    from mediafm_core.model.saved_model import check_compatible
    from mediafm_core.runtime.precision import vector_precision

    check_compatible(model, fused_space(store, title))
    fused = fused_of_shots(store, title, shots)
    metadata = to_numpy(store.read("title_metadata_embedding", title)["embedding"])[0]
    if prefix:
        return embed_span_up_to(
            model.network,
            fused,
            span.first,
            span.last + 1,
            metadata,
            look_back=look_back,
            title_id=title,
            precision=vector_precision(settings),
        )
    return embed_alone(
        model.network,
        fused[span.rows],
        metadata,
        title_id=title,
        precision=vector_precision(settings),
    ).shots


@lru_cache(maxsize=1)
def _network(folder: Path, device: str) -> "LoadedModel":
    """Load the model of a folder, whose name is its identity, once for many calls."""
    from mediafm_core.model.saved_model import load_model

    return load_model(folder, device)


def _pooled(vectors: np.ndarray, span: "ClipSlice") -> np.ndarray:
    """Pool `[n, h]` vectors of a span's shots as the catalogue's clips are pooled: `[h]`."""
    from mediafm_core.clips.pooling import pool

    return pool(vectors, span._replace(first=0, last=len(vectors) - 1).weights)[0]
