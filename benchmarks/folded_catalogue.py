"""Titles that training benchmarks learn from and are tested on, of a store or a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mediafm_core.config.settings import Settings
from mediafm_core.config.training_settings import ObjectiveSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.training.masking import Masks, sample_masks
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow, unit_length


@dataclass
class Catalogue:
    """Titles to learn from and to test on."""

    titles: list[TitleSource]
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)  # [n] bool per title
    global_size: int = 1

    def data(self, chosen: Sequence[TitleSource]) -> TrainingData:
        """Return some of the titles as training data."""
        return TrainingData(list(chosen), self.global_size, FusedSpace(ranges=self.ranges))

    def fused(self, title: TitleSource) -> np.ndarray:
        """Read all vectors of a title, `[n, d]`."""
        data = self.data([title])
        return data.read(0, 0, int(data.shots[0]))


def from_store(store: Path) -> Catalogue:
    """Load the fused titles of a catalogue."""
    from mediafm_core.pipeline.catalogue_training import training_data
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(Settings(store=store))
    ids = sorted(path.stem for path in (store / "fused_embeddings").glob("*.parquet"))
    data = training_data(platform, ids)
    return Catalogue(list(data.titles), data.space.ranges, {}, data.global_size)


def from_table(path: Path, vectors: str, label: str | None, folder: Path) -> Catalogue:
    """Load titles of a table with one row per shot, and write them to files for training."""
    table = pq.read_table(path).sort_by([("title", "ascending"), ("shot_index", "ascending")])
    names = table["title"].to_numpy()
    matrix = np.stack(table[vectors].to_numpy()).astype(np.float32)
    catalogue = Catalogue([])
    for name in sorted(set(names)):
        rows = names == name
        file = folder / f"{name}.parquet"
        pq.write_table(pa.table({"embedding": to_arrow(unit_length(matrix[rows]))}), file)
        catalogue.titles.append(TitleSource(name, file, "1"))
        if label:
            catalogue.labels[name] = table[label].to_numpy()[rows].astype(bool)
    return catalogue


def masked_shots(
    catalogue: Catalogue, titles: Sequence[TitleSource]
) -> Iterator[tuple[torch.Tensor, Masks]]:
    """Yield each title's vectors `[n, d]` and its mask, the same in every call.

    Titles of a single shot are left out: there is nothing to predict it from.
    """
    for title in titles:
        fused = torch.tensor(catalogue.fused(title))
        if len(fused) == 1:
            continue
        generator = torch.Generator().manual_seed(len(fused))
        modalities = max(1, len(catalogue.ranges))
        lengths = torch.tensor([len(fused)])
        yield fused, sample_masks(lengths, None, ObjectiveSettings(), modalities, generator)
