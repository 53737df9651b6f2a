"""The fused spaces of the settings' encoders and of the title that was fused last."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mediafm_core.fusion.concatenation import MODALITIES
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.store.store import Store


def configured_space(platform: Platform) -> FusedSpace:
    """Return the fused space of the settings' encoders, to which runs bring every title.

    Raises:
        ConfigurationError: an encoder's package or weights are missing.
    """
    encoders = (platform.video_encoder, platform.audio_encoder, platform.text_encoder)
    stops = np.cumsum([encoder.dimension for encoder in encoders]).tolist()
    return FusedSpace(
        encoders={
            name: str(encoder.identity) for name, encoder in zip(MODALITIES, encoders, strict=True)
        },
        ranges={
            name: (stop - encoder.dimension, stop)
            for name, encoder, stop in zip(MODALITIES, encoders, stops, strict=True)
        },
        metadata_width=platform.text_encoder.dimension,
    )


def latest_space(store: Store) -> tuple[str, FusedSpace] | None:
    """Return the title that was fused last, and its space; None before the first.

    Runs bring titles to the settings' encoders one by one: the last one has the newest space. One
    file is opened, however many titles there are.

    Raises:
        StoreError: that file is damaged.
    """
    fused = store.files.entries("fused_embeddings")
    now = time.time()
    latest = max(
        fused, key=lambda each: (not is_ahead(each.modified_s, now), each.modified_s), default=None
    )
    title_id = Path(latest.key).stem if latest else ""
    record = store.record("fused_embeddings", title_id) if latest else None
    if record is None:
        return None
    space = FusedSpace.from_record(record.details)
    start, stop = space.ranges["text"]  # the metadata go through the text encoder
    width = stop - start
    if store.has("title_metadata_embedding", title_id):
        schema = store.schema("title_metadata_embedding", title_id)
        width = schema.field("embedding").type.list_size
    return title_id, replace(space, metadata_width=width)
