"""A small catalogue in a store, as the pipeline would have written it, with random vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mediafm_core.clips.pooling import overlap_weights, pool
from mediafm_core.clips.title_clips import propose_clips
from mediafm_core.store.features import Publication, publish
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_arrow, unit_length

MODEL, OTHER_MODEL = "mediafm-1@aaaaaaaaaaaaaaaa", "mediafm-1@bbbbbbbbbbbbbbbb"
FUSED, HIDDEN, METADATA = 24, 16, 6
RANGES = {"video": [0, 12], "audio": [12, 20], "text": [20, 24]}
ENCODERS = {"video": "v-1@0", "audio": "a-1@0", "text": "t-1@0"}
SHOT_S = 7.5
SCENE_SHOTS, GRAINS = 3, 2
NAMES = {"alpha": "The Alpha", "beta": "Béta d'été", "gamma": "Gamma"}


@dataclass
class SmallCatalogue:
    """Writer of titles into a store; every value follows from title, model and edition.

    With `fused_vectors`, clips have pooled fused vectors beside the contextual ones.
    """

    root: Path
    fused_vectors: bool = False

    @property
    def store(self) -> Store:
        return Store(self.root)

    def write(self, title_id: str, model: str = MODEL, shots: int = 20, edition: int = 1) -> None:
        """Write all artefacts of a title that are published; `edition` varies them."""
        seed = [*title_id.encode(), edition]
        times = np.arange(shots + 1) * SHOT_S
        keys = {
            "title_id": [title_id] * shots,
            "shot_index": np.arange(shots, dtype=np.int32),
        }
        table = pa.table(
            {
                **keys,
                "start_s": times[:-1],
                "end_s": times[1:],
                "start_frame": np.arange(shots) * 180,
                "end_frame": np.arange(shots) * 180 + 179,
            }
        )
        text = [f"“{title_id}” says {i}" if i % 3 else None for i in range(shots)]
        cues = np.ones(shots, np.int32)
        fused = random_units(shots, FUSED, [*seed, 1])
        present = {
            "has_video": [True] * shots,
            "has_audio": [True] * shots,
            "has_text": [line is not None for line in text],
        }
        contextual = random_units(shots, HIDDEN, [*seed, *model.encode()])
        scenes = pa.table(
            {
                **keys,
                "scene_index": np.arange(shots, dtype=np.int32) // SCENE_SHOTS,
                "scene_probability": (np.arange(shots) % SCENE_SHOTS == 0).astype(np.float32),
                "probabilities": to_arrow(random_probabilities(shots, [*seed, 4])),
            }
        )
        clips = propose_clips(table, 30.0)
        weights = overlap_weights(clips, table)
        first, last = weights.shot_ranges()
        clips = clips.append_column("first_shot", pa.array(first.astype(np.int32)))
        clips = clips.append_column("last_shot", pa.array(last.astype(np.int32)))
        clips = clips.append_column("embedding", to_arrow(pool(contextual, weights)))
        if self.fused_vectors:
            clips = clips.append_column("fused", to_arrow(pool(fused, weights)))
        title = {
            "manifest": {
                "title_id": title_id,
                "name": NAMES.get(title_id, title_id),
                "kind": "film",
                "language": "en",
                "synopsis": "It's a test.",
                "tags": ["a", "b'c"],
            },
            "probe": {"duration_s": float(times[-1])},
        }
        self.store.write_json(self._record("title", title_id, str(edition)), title)
        version = f"{title_id} {edition} {model}{' fused' if self.fused_vectors else ''}"
        for asset, value, variant in (
            ("shots", table, ""),
            ("timed_text", pa.table({**keys, "text": text, "cues": cues}), ""),
            ("fused_embeddings", pa.table({**keys, **present, "embedding": to_arrow(fused)}), ""),
            ("title_metadata_embedding", _one_row(title_id, METADATA, [*seed, 2]), ""),
            ("contextual_embeddings", pa.table({**keys, "embedding": to_arrow(contextual)}), model),
            ("title_embeddings", _one_row(title_id, HIDDEN, [*seed, *model.encode(), 3]), model),
            ("scenes", scenes, model),
            ("clip_features", clips, model),
        ):
            self.store.write(self._record(asset, title_id, version), value, variant)

    def publish(self, *title_ids: str, model: str = MODEL, **options: object) -> Publication:
        return publish(self.store, model, title_ids, **options)

    def filled(self, *title_ids: str) -> "SmallCatalogue":
        """Write and publish titles."""
        for title_id in title_ids:
            self.write(title_id)
        self.publish(*title_ids)
        return self

    def _record(self, asset: str, title_id: str, version: str) -> ArtefactRecord:
        space: dict[str, object] = {"ranges": RANGES, "encoders": ENCODERS}
        details = space if asset == "fused_embeddings" else {}
        if asset == "clip_features" and self.fused_vectors:
            details = {"fused": {"dimension": FUSED, **space}}
        return ArtefactRecord(asset=asset, title_id=title_id, data_version=version, details=details)


def save_tiny_model(small: SmallCatalogue, encoders: dict[str, str] = ENCODERS) -> str:
    """Save a network with drawn weights in the store's `models` and return its identity."""
    import torch

    from mediafm_core.model.network import MediaFM, MediaFMConfig
    from mediafm_core.model.saved_model import save_model

    config = MediaFMConfig(
        fused_size=FUSED,
        global_size=METADATA,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        attention="bidirectional",
        fused_ranges=RANGES,
        encoder_identities=encoders,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MediaFM(config)
    training = {
        "shots": 20,
        "titles": {"alpha": "1"},
        "curve": [{"step": 1, "training_loss": 1.0, "validation_loss": 1.0}],
        "baselines": {},
        "validation": "training titles",
    }
    _, identity = save_model(network, training, small.store.models)
    return str(identity)


def random_units(rows: int, width: int, seed: list[int]) -> np.ndarray:
    return unit_length(np.random.default_rng(seed).normal(size=(rows, width)))


def random_probabilities(rows: int, seed: list[int]) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(rows, GRAINS)).astype(np.float32)


def _one_row(title_id: str, width: int, seed: list[int]) -> pa.Table:
    return pa.table({"title_id": [title_id], "embedding": to_arrow(random_units(1, width, seed))})
