"""A store with fused vectors of the default encoders' space and three small trained models."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from copied_catalogue import copy_catalogue
from films import settings_for

from mediafm_core.model.network import MediaFM, MediaFMConfig
from mediafm_core.model.saved_model import save_model
from mediafm_core.pipeline.catalogue_training import train_model
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.latest_space import configured_space
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_arrow, unit_length

TITLES = ("alpha", "beta")
SHOTS = 12
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class TrainedStore:
    """An inbox of empty title folders, and a store.

    Attributes:
        models: identities of its models, in the order in which they were trained.
    """

    inbox: Path
    root: Path
    models: tuple[str, ...] = ()

    def platform(self, seed: int = SEEDS[0], **overrides: object) -> Platform:
        training = {"steps": 2, "validate_every": 2, "crop_shots": 8, "seed": seed}
        return Platform(settings_for(self.inbox, self.root, training=training, **overrides))

    @property
    def store(self) -> Store:
        return Store(self.root)

    @property
    def pointer(self) -> bytes:
        """Return the bytes of `serving.json`; empty if it is missing."""
        path = self.root / "serving.json"
        return path.read_bytes() if path.exists() else b""

    def folder(self, model: str) -> Path:
        return self.store.models / model

    def copy(self, root: Path) -> "TrainedStore":
        copy_catalogue(self.inbox, self.root, root / "inbox", root / "store")
        return TrainedStore(root / "inbox", root / "store", self.models)

    def write_title(self, title_id: str, **details: object) -> None:
        """Write random fused vectors of a title; `details` override the settings' encoders."""
        (self.inbox / title_id).mkdir(parents=True, exist_ok=True)
        space = configured_space(self.platform())
        rng = np.random.default_rng([*title_id.encode()])
        fused = unit_length(rng.normal(size=(SHOTS, space.ranges["text"][1])))
        metadata = unit_length(rng.normal(size=(1, space.metadata_width)))
        for asset, vectors in (("fused_embeddings", fused), ("title_metadata_embedding", metadata)):
            record = ArtefactRecord(
                asset=asset,
                title_id=title_id,
                data_version=title_id,
                details={"ranges": space.ranges, "encoders": space.encoders, **details},
            )
            columns = {"title_id": [title_id] * len(vectors), "embedding": to_arrow(vectors)}
            columns["shot_index"] = pa.array(range(len(vectors)), pa.int32())
            self.store.write(record, pa.table(columns))

    def with_another_configuration(self, **changes: object) -> str:
        """Save an intact model whose configuration differs from that of the first one."""
        folder = self.folder(self.models[0])
        record = json.loads((folder / "training.json").read_bytes())
        del record["identity"]
        config = json.loads((folder / "config.json").read_bytes())
        network = MediaFM(MediaFMConfig.from_dict({**config, **changes}))
        return str(save_model(network, record, self.store.models)[1])


def make_trained_store(root: Path) -> TrainedStore:
    """Write the titles and train the models."""
    empty = TrainedStore(root / "inbox", root / "store")
    for title_id in TITLES:
        empty.write_title(title_id)
    models = tuple(train_model(empty.platform(seed)).identity for seed in SEEDS)
    return TrainedStore(empty.inbox, empty.root, models)
