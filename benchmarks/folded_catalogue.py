"""Titles that training benchmarks learn from and are tested on, of a store or a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediafm_core.config.settings import Settings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow, unit_length


@dataclass
class Catalogue:
    """Titles to learn from and to test on."""

    titles: list[TitleSource]
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    global_size: int = 1

    def data(self, chosen: Sequence[TitleSource]) -> TrainingData:
        """Return some of the titles as training data."""
        return TrainingData(list(chosen), self.global_size, FusedSpace(ranges=self.ranges))


def from_store(store: Path) -> Catalogue:
    """Load the fused titles of a catalogue."""
    from mediafm_core.pipeline.catalogue_training import training_data
    from mediafm_core.pipeline.platform import Platform

    platform = Platform(Settings(store=store))
    ids = sorted(path.stem for path in (store / "fused_embeddings").glob("*.parquet"))
    data = training_data(platform, ids)
    return Catalogue(list(data.titles), data.space.ranges, data.global_size)


def from_table(path: Path, vectors: str, folder: Path) -> Catalogue:
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
    return catalogue
