"""Prediction of masked shots of unseen titles, by objective and against baselines.

    python -m benchmarks.masked_prediction --store STORE [--variants default,published,...]
    python -m benchmarks.masked_prediction --table SHOTS.parquet --vectors COLUMN [--label COLUMN]

Titles are divided into folds. A model is trained without labels on the titles outside a fold, then
a fifth of the shots of each title inside it is hidden and predicted: cosine distance over all
masked shots, beside baselines without a network. "smoothing" is the mean of visible
shots with weights that halve every 2.3 shots, near the best fixed weights there are.

With `--label`, a logistic probe on the contextual vectors is trained on the same titles and tested
on the fold's: average precision, mean over titles, of the best layer. The row of vectors without
context is for comparison.

With `--memorise N`, the one figure is the cosine of masked shots of the N titles with the fewest
shots after training on these: a check that the network can learn at all.

With `--store`, each modality alone is hidden too, and predicted from the others and the title.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.folded_catalogue import Catalogue, from_store, from_table, masked_shots
from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.presets import PRESETS, Values
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.baselines import baseline_predictions
from mediafm_core.model.training.masking import Masks
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TitleSource, TrainingData

# Settings by section that differ from the default ones, of a network that predicts masked shots.
VARIANTS: dict[str, Values] = {
    "default": {},
    "published": PRESETS["published"],
    "linear prediction": {"model": {"prediction": "linear"}},
    "copy and linear": {"model": {"prediction": "both"}},
    "learnt positions": {"model": {"positions": "learnt"}},
    "spans of 4": {"objective": {"span_shots": 4}},
    "contrastive": {"objective": {"contrastive_weight": 0.1}},
    "boundary": {"objective": {"boundary_weight": 1.0}},
    "linear with boundary": {
        "model": {"prediction": "linear"},
        "objective": {"boundary_weight": 1.0},
    },
    "single modalities": {"objective": {"single_modality_ratio": 0.5}},
    "modality dropout": {"objective": {"modality_dropout": 0.3}},
    "learnt absence": {"model": {"missing_modality": "learnt"}},
    "gate": {"model": {"fusion": "gate"}},
    "token per modality": {"model": {"fusion": "tokens"}},
}
SMOOTHING_DECAY = 0.3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--store", type=Path, help="a catalogue; every title is held out once")
    source.add_argument("--table", type=Path, help="Parquet: title, shot_index, vectors")
    parser.add_argument("--vectors", help="column of the table")
    parser.add_argument("--label", help="column of the table, boolean labels of the probe")
    parser.add_argument("--variants", help=f"of: {', '.join(VARIANTS)}", default="default")
    parser.add_argument("--memorise", type=int, metavar="TITLES")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE")
    arguments = parse(parser, small)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.store:
            catalogue = from_store(arguments.store)
            folds = [[title] for title in catalogue.titles]
        else:
            catalogue = from_table(
                arguments.table, arguments.vectors, arguments.label, Path(folder)
            )
            folds = [catalogue.titles[i :: arguments.folds] for i in range(arguments.folds)]
        names = [name.strip() for name in arguments.variants.split(",")]
        if arguments.memorise:
            settings = chosen_settings(VARIANTS[names[0]], arguments.steps, arguments.set)
            memorise(settings, catalogue, arguments.memorise, Path(folder))
            return
        rows = without_network(catalogue, folds)
        for name in names:
            settings = chosen_settings(VARIANTS[name], arguments.steps, arguments.set)
            rows.append(measure(name, settings, catalogue, folds, arguments.seeds, Path(folder)))
            show(rows)
    write_json(arguments.json, rows)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [*small_table(inputs), "--label", "starts_scene", "--variants", "published"]


def small_table(inputs: SmallInputs) -> list[str]:
    """Return options for a small table and a small network."""
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "feed_forward": 32}
    options = [f"--set=model.{name}={size}" for name, size in sizes.items()]
    return ["--table", str(inputs.table), "--vectors", "vector", "--steps", "4", *options]


@dataclass(frozen=True)
class VariantSettings:
    """Settings that a variant is trained with."""

    model: ModelSettings
    objective: ObjectiveSettings
    training: TrainingSettings

    def train(self, data: TrainingData, seed: int, folder: Path) -> MediaFM:
        """Train a network on all titles of the data."""
        training = self.training.model_copy(update={"seed": seed})
        out = folder / "models"
        return train(data, self.model, training, out, objective=self.objective).network


def chosen_settings(variant: Values, steps: int, overrides: list[str]) -> VariantSettings:
    """Return the settings of a variant, overridden by those of the command line."""
    values: dict[str, dict[str, Any]] = {
        "model": {"attention": "bidirectional", **variant.get("model", {})},
        "objective": dict(variant.get("objective", {})),
        # No title is held out a second time for validation.
        "training": {"steps": steps, "validate_every": steps, "validation_fraction": 0},
    }
    for override in overrides:
        name, _, value = override.partition("=")
        section, _, key = name.partition(".")
        values[section][key] = value
    return VariantSettings(
        ModelSettings.model_validate(values["model"]),
        ObjectiveSettings.model_validate(values["objective"]),
        TrainingSettings.model_validate(values["training"]),
    )


def without_network(catalogue: Catalogue, folds: list[list[TitleSource]]) -> list[dict]:
    """Measure the baselines that need no training."""
    distances: dict[str, list[np.ndarray]] = {}
    for fused, masks in masked_shots(catalogue, catalogue.titles):
        masked = masks.masked[0].any(dim=-1)
        predictions = baseline_predictions(fused, masked) | {"smoothing": smoothed(fused, masked)}
        for name, prediction in predictions.items():
            distance = 1 - torch.cosine_similarity(prediction[masked], fused[masked])
            distances.setdefault(name.replace("_", " "), []).append(distance.numpy())
    rows: list[dict] = [
        {"variant": name, "distance": float(np.concatenate(values).mean())}
        for name, values in distances.items()
    ]
    if catalogue.labels:
        flat = {title.title_id: catalogue.fused(title) for title in catalogue.titles}
        precisions = [probe(flat, catalogue, fold) for fold in folds]
        precision = float(np.concatenate(precisions).mean())
        rows.append({"variant": "vectors without context", "probe": precision})
    return rows


def smoothed(fused: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
    """Return means of the visible shots, in which nearer ones have more weight."""
    place = torch.arange(len(fused))
    weights = torch.exp(-SMOOTHING_DECAY * (place[:, None] - place).abs())
    return weights.masked_fill(masked, 0) @ fused


def memorise(settings: VariantSettings, catalogue: Catalogue, titles: int, folder: Path) -> None:
    """Train on a few titles and print how well their masked shots are predicted."""
    data = catalogue.data(catalogue.titles)
    chosen = [data.titles[i] for i in np.argsort(data.shots, kind="stable")[:titles]]
    shots = int(np.sort(data.shots)[:titles].sum())
    network = settings.train(catalogue.data(chosen), 0, folder)
    distances = [
        distance_of(network, fused, masks.masked)
        for fused, masks in masked_shots(catalogue, chosen)
    ]
    cosine = 1 - float(np.concatenate(distances).mean())
    Console().print(
        f"{len(chosen)} titles, {shots} shots, {settings.training.steps} steps: the predictions of "
        f"masked shots have a mean cosine of {cosine:.4f} to the originals."
    )


def measure(
    name: str,
    settings: VariantSettings,
    catalogue: Catalogue,
    folds: list[list[TitleSource]],
    seeds: int,
    folder: Path,
) -> dict:
    """Return one row: a variant's figures over folds and seeds."""
    by_seed, by_layer, seconds = [], [], []
    modalities: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        distances, precisions = [], []
        for fold in folds:
            inside = {title.title_id for title in fold}
            outside = [title for title in catalogue.titles if title.title_id not in inside]
            began = time.perf_counter()
            network = settings.train(catalogue.data(outside), seed, folder)
            seconds.append(time.perf_counter() - began)
            for fused, masks in masked_shots(catalogue, fold):
                distances.append(distance_of(network, fused, masks.masked))
                for kind, values in without_modality(network, fused, masks, catalogue).items():
                    modalities.setdefault(kind, []).append(values)
            if catalogue.labels:
                layers = contextual(network, catalogue)
                precisions.append([probe(layer, catalogue, fold) for layer in layers])
        by_seed.append(float(np.concatenate(distances).mean()))
        if precisions:
            by_layer.append(np.concatenate(precisions, axis=1).mean(axis=1))  # [layers]
    row: dict[str, Any] = {
        "variant": name,
        "distance": float(np.mean(by_seed)),
        "spread": float(np.std(by_seed)),
        "seconds": float(np.mean(seconds)),
        "modalities": {
            kind: float(np.concatenate(values).mean()) for kind, values in modalities.items()
        },
    }
    if by_layer:
        mean = np.mean(by_layer, axis=0)
        best = int(mean.argmax())
        row |= {"probe": float(mean[best]), "layer": best + 1, "layers": mean.tolist()}
        row["probe_spread"] = float(np.std([layers[best] for layers in by_layer]))
    return row


@torch.inference_mode()
def distance_of(
    network: MediaFM,
    fused: torch.Tensor,
    masked: torch.Tensor,
    columns: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return the cosine distance of each shot with hidden parts, in some columns or all."""
    metadata = torch.zeros(1, network.config.global_size)
    prediction = network(fused[None], metadata, masked=masked).reconstruction[0]
    shots = masked[0].any(dim=-1)
    chosen = slice(*(columns or (0, fused.shape[1])))
    target = fused[shots][:, chosen]
    there = target.any(dim=-1)
    distance = 1 - torch.cosine_similarity(prediction[shots][:, chosen], target)
    return distance[there].numpy()


def without_modality(
    network: MediaFM, fused: torch.Tensor, masks: Masks, catalogue: Catalogue
) -> dict[str, np.ndarray]:
    """Return distances in the columns of a modality that alone is hidden, and of its mean."""
    found = {}
    shots = masks.masked[0].any(dim=-1)
    for place, (kind, columns) in enumerate(catalogue.ranges.items()):
        masked = torch.zeros_like(masks.masked)
        masked[..., place] = shots
        found[kind] = distance_of(network, fused, masked, columns)
        own = fused[:, slice(*columns)]
        mean = own[~shots].mean(dim=0)
        targets = own[shots][own[shots].any(dim=-1)]
        found[f"{kind}, title mean"] = 1 - torch.cosine_similarity(targets, mean[None]).numpy()
    return found


@torch.inference_mode()
def contextual(network: MediaFM, catalogue: Catalogue) -> list[dict[str, np.ndarray]]:
    """Return the vectors `[n, h]` of every title, by layer."""
    layers: list[dict[str, np.ndarray]] = [{} for _ in range(network.config.num_hidden_layers)]
    for title in catalogue.titles:
        fused = torch.tensor(catalogue.fused(title))[None]
        states = network.hidden_states(fused, torch.zeros(1, network.config.global_size))
        for layer, state in zip(layers, states[1:], strict=True):
            layer[title.title_id] = network.shots_of(state)[0].numpy()
    return layers


def probe(
    vectors: dict[str, np.ndarray], catalogue: Catalogue, fold: list[TitleSource]
) -> list[float]:
    """Return the average precision for each title of a fold, of a probe trained on the others."""
    inside = [title.title_id for title in fold]
    outside = [name for name in vectors if name not in inside]
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
    )
    model.fit(
        np.concatenate([vectors[name] for name in outside]),
        np.concatenate([catalogue.labels[name] for name in outside]),
    )
    return [
        float(
            average_precision_score(catalogue.labels[name], model.decision_function(vectors[name]))
        )
        for name in inside
        if catalogue.labels[name].any()
    ]


def show(rows: list[dict]) -> None:
    """Print one table of all rows and one of the modalities."""
    console = Console()
    table = Table("", "cosine distance", "over seeds", "probe AP", "layer", "training s")
    for row in rows:
        table.add_row(
            row["variant"],
            *(f"{row[name]:.4f}" if name in row else "" for name in ("distance", "spread")),
            f"{row['probe']:.3f} ±{row.get('probe_spread', 0):.3f}" if "probe" in row else "",
            str(row.get("layer", "")),
            f"{row['seconds']:.0f}" if "seconds" in row else "",
        )
    console.print(table)
    measured = [row for row in rows if row.get("modalities")]
    if measured:
        kinds = list(measured[0]["modalities"])
        table = Table("one modality hidden", *kinds)
        for row in measured:
            values = (f"{row['modalities'][kind]:.4f}" for kind in kinds)
            table.add_row(row["variant"], *values)
        console.print(table)


if __name__ == "__main__":
    main()
