"""The fused space: which encoders' vectors a model reads, where they lie, and whether they fit."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_core.fusion.concatenation import MODALITIES, first_difference
from mediafm_core.pipeline.platform import Platform
from mediafm_core.runtime.clock import is_ahead
from mediafm_core.store.store import Store

Span = tuple[int, int]


@dataclass(frozen=True)
class FusedSpace:
    """What a model reads.

    Attributes:
        encoders: identity of each modality's encoder.
        ranges: columns `[start, stop)` of each modality in the fused vectors.
        metadata_width: width of a title's metadata vector.
    """

    encoders: dict[str, str]
    ranges: dict[str, Span]
    metadata_width: int


def space_of_model(config: Mapping[str, Any]) -> FusedSpace:
    """The space that a model was trained in, from its `config.json`.

    Raises:
        KeyError, TypeError, ValueError: the configuration does not tell.
    """
    return FusedSpace(
        encoders={name: str(found) for name, found in config["encoder_identities"].items()},
        ranges=_spans(config["fused_ranges"]),
        metadata_width=int(config["global_size"]),
    )


def configured_space(platform: Platform) -> FusedSpace:
    """The space that the settings' encoders make: the one that runs bring every title to.

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
    """The title that was fused last, and its space; None before the first.

    Runs bring titles to the settings' encoders one by one, so the last one tells where they have
    come to. One file is opened, however many titles there are.

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
    ranges = _spans(record.details["ranges"])
    start, stop = ranges["text"]  # the metadata go through the text encoder
    width = stop - start
    if store.has("title_metadata_embedding", title_id):
        schema = store.schema("title_metadata_embedding", title_id)
        width = schema.field("embedding").type.list_size
    return title_id, FusedSpace(dict(record.details["encoders"]), ranges, width)


def misfit(model: FusedSpace, found: FusedSpace) -> str | None:
    """The first difference, as half a sentence, between what a model reads and what is there."""
    difference = first_difference((model.encoders, found.encoders), (model.ranges, found.ranges))
    if difference:
        return (
            f"its {difference.modality} {difference.what} {difference.first} against "
            f"{difference.second}"
        )
    if model.metadata_width != found.metadata_width:
        return (
            f"its metadata vectors of width {model.metadata_width} against {found.metadata_width}"
        )
    return None


def _spans(ranges: Mapping[str, Any]) -> dict[str, Span]:
    return {name: (int(start), int(stop)) for name, (start, stop) in ranges.items()}
