"""Small catalogues of fused vectors and one tiny trained model."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.training.training import TrainingResult, train
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow, unit_length

TINY = ModelSettings(hidden=32, layers=2, heads=2, feed_forward=64, dropout=0.1, max_shots=40)
BRIEF = TrainingSettings(
    steps=6, titles_per_batch=3, crop_shots=12, validate_every=3, optimiser="muon"
)
RANGES = {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
IDENTITIES = {"video": "eyes-1@aa", "audio": "ears-1@bb", "text": "words-1@cc"}


@pytest.fixture(scope="session")
def make_catalogue(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., TrainingData]:
    """Return a function that makes titles of scenes with similar shots."""

    def make(*shots: int, row_group_size: int = 8, seed: int = 0) -> TrainingData:
        folder = tmp_path_factory.mktemp("fused")
        rng = np.random.default_rng(seed)
        titles = []
        for number, count in enumerate(shots):
            scenes = np.repeat(rng.standard_normal((count // 5 + 1, 24)), 5, axis=0)[:count]
            fused = unit_length(scenes + 0.3 * rng.standard_normal((count, 24)))
            path = folder / f"title{number}.parquet"
            table = pa.table({"shot_index": range(count), "embedding": to_arrow(fused)})
            pq.write_table(table, path, row_group_size=row_group_size)
            metadata = rng.standard_normal(6).astype(np.float32)
            titles.append(TitleSource(path.stem, path, f"version{number}", metadata))
        return TrainingData(titles, 6, FusedSpace(IDENTITIES, RANGES))

    return make


@pytest.fixture(scope="session")
def trained(
    make_catalogue: Callable[..., TrainingData], tmp_path_factory: pytest.TempPathFactory
) -> TrainingResult:
    """Train a model for a few steps."""
    return train(make_catalogue(30, 9), TINY, BRIEF, tmp_path_factory.mktemp("models"))
