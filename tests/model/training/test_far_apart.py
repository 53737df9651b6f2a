"""Training teaches what no input made by hand has: a label that needs two shots far apart."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from far_apart import CODES, NO_LABEL, made_titles, with_neighbour_means
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.inference.whole_title import contextualise
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.initial_network import redrawn_network
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.vectors import to_arrow

TRAINING, TESTED = 200, 40  # titles
MODEL = ModelSettings(
    hidden=64,
    layers=2,
    heads=4,
    feed_forward=128,
    novelty=False,
    modality_dropout=0.0,  # there is one modality
)
STEPS = TrainingSettings(
    steps=500, muon_learning_rate=6e-3, adamw_learning_rate=6e-3, validate_every=100
)
OBJECTIVE = ObjectiveSettings(boundary_weight=0)  # there are no scenes


def test_training_connects_shots_that_are_far_apart(tmp_path) -> None:
    titles = made_titles(TRAINING + TESTED)
    sources = []
    for number, (fused, _) in enumerate(titles[:TRAINING]):
        path = tmp_path / f"{number:03}.parquet"
        pq.write_table(pa.table({"embedding": to_arrow(fused)}), path)
        sources.append(TitleSource(path.stem, path, "1", layout=fused.shape))
    data = TrainingData(sources, 1)
    trained = train(data, MODEL, STEPS, tmp_path / "models", objective=OBJECTIVE).network
    untrained = redrawn_network(trained, STEPS.seed)

    def accuracy(vectors: list[np.ndarray]) -> float:
        """Fit a probe to the trained titles, and score it on the others."""
        parts = []
        for chosen in (slice(0, TRAINING), slice(TRAINING, None)):
            labels = np.concatenate([label for _, label in titles[chosen]])
            rows = np.concatenate(vectors[chosen])
            parts += [rows[labels != NO_LABEL], labels[labels != NO_LABEL]]
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        return float(probe.fit(parts[0], parts[1]).score(parts[2], parts[3]))

    def read(network: MediaFM) -> list[np.ndarray]:
        return [contextualise(network, fused).shots for fused, _ in titles]

    by_hand = [accuracy([fused for fused, _ in titles])]
    by_hand.append(accuracy([with_neighbour_means(fused) for fused, _ in titles]))
    by_hand.append(accuracy(read(untrained)))
    assert max(by_hand) < 1.5 / CODES
    assert accuracy(read(trained)) > max(by_hand) + 0.15  # .41 against .18 was seen
