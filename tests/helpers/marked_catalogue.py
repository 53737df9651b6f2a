"""Clips labelled by a mark in their shots' vectors, and models that use or ignore it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from films import settings_for
from released_models import compare_with_serving, release
from small_catalogue import SmallCatalogue, random_units

from mediafm_core.fusion.space import FusedSpace
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.latest_space import configured_space
from mediafm_core.pipeline.releases.stored_evaluation import FOLDER
from mediafm_core.vectors import to_arrow, unit_length

TITLES = tuple(f"title-{number}" for number in range(6))
CLIPS, SHOTS_OF_CLIP = 6, 4
LABEL = "marked"
_STRENGTH = 1.0  # of the mark, beside a vector of unit length


class MarkedCatalogue(SmallCatalogue):
    """Titles in the space of the settings' encoders; half of the clips have the mark and label."""

    labels: Mapping[str, str] | None = None
    """Labels of all clips instead of whether they are marked."""

    def platform(self, **overrides: object) -> Platform:
        inbox = self.root / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        evaluation = {"bootstrap_samples": 200, "folds": 2, **overrides.pop("evaluation", {})}
        return Platform(settings_for(inbox, self.root, evaluation=evaluation, **overrides))

    @property
    def space(self) -> FusedSpace:
        return configured_space(self.platform())

    def write(
        self, title_id: str, model: str, shots: int = CLIPS * SHOTS_OF_CLIP, edition: int = 1
    ) -> None:
        super().write(title_id, model, shots, edition)
        space, store = self.space, self.store
        random = np.random.default_rng([*title_id.encode(), edition])
        marks = random.permutation(np.arange(CLIPS) % 2 == 0)  # [clips] bool
        width = space.ranges["text"][1]
        mark = random_units(1, width, [0])
        fused = unit_length(random.standard_normal((shots, width)))
        fused += _STRENGTH * np.repeat(marks, SHOTS_OF_CLIP)[:, None] * mark
        details = {"ranges": space.ranges, "encoders": space.encoders}
        metadata = unit_length(random.standard_normal((1, space.metadata_width)))
        for asset, vectors in (
            ("fused_embeddings", unit_length(fused)),
            ("title_metadata_embedding", metadata),
        ):
            record = store.record(asset, title_id)
            assert record
            table = store.read(asset, title_id)
            place = table.column_names.index("embedding")
            table = table.set_column(place, "embedding", to_arrow(vectors))
            store.write(record.model_copy(update={"details": details}), table)
        clips = store.read("clip_features", title_id, model)
        record = store.record("clip_features", title_id, model)
        assert record
        texts = [
            self.labels if self.labels is not None else {LABEL: str(bool(mark)).lower()}
            for mark in marks
        ]
        labels = pa.array([list(each.items()) for each in texts], pa.map_(pa.string(), pa.string()))
        place = clips.column_names.index("labels")
        store.write(record, clips.set_column(place, "labels", labels), model)

    def save_model(self, seed: int, *, blind: bool = False, loss: float = 0.2) -> str:
        """Save a network with drawn weights in the store; a blind one ignores the shots.

        Args:
            seed: of the weights.
        blind: whether all shots have the same vector in it.
            loss: of validation, beside a baseline of 0.25.
        """
        import torch

        from mediafm_core.model.network import MediaFM, MediaFMConfig
        from mediafm_core.model.saved_model import save_model

        space = self.space
        config = MediaFMConfig(
            fused_size=space.ranges["text"][1],
            global_size=space.metadata_width,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            attention="bidirectional",
            fused_ranges={name: list(span) for name, span in space.ranges.items()},
            encoder_identities=space.encoders,
        )
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            network = MediaFM(config)
            if blind:
                network.shot_tokens.projection.weight.zero_()
        training = {
            "shots": 20,
            "titles": dict.fromkeys(TITLES, "1"),
            "training": {"seed": 0},
            "objective": {"mask_share": 0.2},
            "curve": [{"step": 1, "training_loss": 1.0, "validation_loss": loss}],
            "baselines": {"interpolation": 0.25, "title_mean": 0.5},
            "validation": "held-out titles",
            "validation_titles": [TITLES[0]],
            "validation_shots": 24,
        }
        _, identity = save_model(network, training, self.store.models)
        return str(identity)

    def serving(self, model: str) -> "MarkedCatalogue":
        """Write and publish all titles, with a serving model."""
        for title_id in TITLES:
            self.write(title_id, model)
        self.publish(*TITLES, model=model)
        release(self.platform(), model)
        return self


class MarkedModels(NamedTuple):
    """A catalogue, its serving model, and two candidates: one as good, and a blind one."""

    catalogue: MarkedCatalogue
    serving: str
    equal: str
    blind: str

    @property
    def platform(self) -> Platform:
        return self.catalogue.platform()

    def copy(self, root: Path, compared: bool = True) -> "MarkedModels":
        """Return a copy to change; without evaluations if the models are not to be compared yet."""
        left_out = () if compared else (FOLDER,)
        shutil.copytree(self.catalogue.root, root, ignore=shutil.ignore_patterns(*left_out))
        return self._replace(catalogue=MarkedCatalogue(root))


def make_marked_models(root: Path) -> MarkedModels:
    """Write titles and models, and compare the candidates with the serving model."""
    catalogue = MarkedCatalogue(root)
    serving, equal = catalogue.save_model(1), catalogue.save_model(2)
    blind = catalogue.save_model(1, blind=True, loss=0.3)
    catalogue.serving(serving)
    for candidate in (equal, blind):
        compare_with_serving(catalogue.platform(), candidate)
    return MarkedModels(catalogue, serving, equal, blind)
