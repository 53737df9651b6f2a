"""Scene starts without labels against those that people marked.

    python -m benchmarks.scenes --table SHOTS.parquet --vectors COLUMN[,COLUMN...] [--label COLUMN]
    python -m benchmarks.scenes --table SHOTS.parquet --vectors COLUMN[,COLUMN...] --models MODEL...
    python -m benchmarks.scenes --store STORE --title TITLE --scenes SCENES.csv --fps 24

A table has one row per shot: title, shot_index, vectors, and a boolean label. Its titles are
divided into folds. Nothing is fitted on the titles of the tested fold: the metric and the content
head are fitted to the others without their labels, the probe to the others with their labels.

With `--models`, folders of trained models such as those that `mediafm evaluate --work` keeps, the
metric and both heads are those of the models. Each is tested on the titles that its training did
not have, neither for validation.

With `--store` the scenes of one title are compared with a list of their first and last frames. The
metric and the content head are fitted to all titles of the store, without labels, as a training
does.

Scores are the average precision within each title, mean over titles with a scene start, and F1 of
the most probable shots, as many as a grain says, at the best of the grains; the first shot of a
title does not count.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv as pv
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.evaluation.linear import PrincipalAxes, fit
from mediafm_core.inference.scenes import prefix_probabilities, title_scenes
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import LoadedModel, load_model
from mediafm_core.model.training.content_statistics import fit_content, taught_boundaries
from mediafm_core.model.training.slow_feature_statistics import fit_slow_features
from mediafm_core.scenes.partitions import GRAINS, likely_starts
from mediafm_core.vectors import to_numpy, unit_length

STRENGTHS = 10.0 ** np.arange(0, -6, -1)  # of the probe's penalty
INNER_FOLDS = 4  # in which the probe's penalty is chosen
LOOK_AHEAD = 8  # shots that a prefix is read ahead


@dataclass(frozen=True)
class Title:
    """Fused vectors `[n, d]` and human scene starts `[n]` bool of a title."""

    name: str
    fused: np.ndarray
    starts: np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--table", type=Path, help="Parquet: title, shot_index, vectors, label")
    source.add_argument("--store", type=Path, help="a catalogue")
    parser.add_argument("--vectors", help="columns of the table, separated by commas")
    parser.add_argument("--label", help="column of the table", default="starts_scene")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rounds", type=int, help="test only so many of the folds")
    parser.add_argument("--models", type=Path, nargs="+", help="trained models, for the table")
    parser.add_argument("--prefix", action="store_true", help="measure prefixes as well (slow)")
    parser.add_argument("--title", help="of the store")
    parser.add_argument("--scenes", type=Path, help="CSV: start_frame, end_frame")
    parser.add_argument("--fps", type=float, help="frames per second of the list")
    arguments = parse(parser, small)
    torch.set_num_threads(1)
    if arguments.store:
        titles = from_store(arguments.store)
        tested = next(i for i, each in enumerate(titles) if each.name == arguments.title)
        marked = marked_starts(arguments.store, titles[tested], arguments.scenes, arguments.fps)
        titles[tested] = Title(arguments.title, titles[tested].fused, marked)
        rounds = [(list(range(len(titles))), [tested])]
        tested_titles = [tested]
    else:
        titles = from_table(arguments.table, arguments.vectors.split(","), arguments.label)
        if arguments.models:
            measure_models([load_model(folder) for folder in arguments.models], titles)
            return
        fold = np.random.default_rng(0).permutation(len(titles)) % arguments.folds
        rounds = [
            (np.flatnonzero(fold != i).tolist(), np.flatnonzero(fold == i).tolist())
            for i in range(arguments.rounds or arguments.folds)
        ]
        tested_titles = sorted(i for _, unknown in rounds for i in unknown)
    scores: dict[str, dict[int, np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for known, unknown in rounds:
        began = time.process_time()
        network = fitted_network([titles[i] for i in known])
        seconds["fit"] = seconds.get("fit", 0.0) + time.process_time() - began
        found = without_labels(network, [titles[i] for i in unknown], seconds)
        if arguments.prefix:
            found |= prefixes(network, [titles[i] for i in unknown])
        if arguments.table:
            found["flat, with labels"] = probe(
                [titles[i] for i in known], [titles[i] for i in unknown]
            )
        seconds["all"] = seconds.get("all", 0.0) + time.process_time() - began
        for name, values in found.items():
            scores.setdefault(name, {}).update(zip(unknown, values, strict=True))
    chosen = [titles[i] for i in tested_titles]
    rows = [chance(chosen)]
    rows += [
        row(name, chosen, [values[i] for i in tested_titles]) for name, values in scores.items()
    ]
    show(rows, seconds, chosen)
    write_json(arguments.json, {"rows": rows, "cpu_seconds": seconds})


def measure_models(models: Sequence[LoadedModel], titles: Sequence[Title]) -> None:
    """Measure and print a table for each model, on the titles that its training did not have."""
    for model in models:
        unknown = [title for title in titles if title.name not in model.training["titles"]]
        seconds = {"fit": 0.0, "all": 0.0}
        found = without_labels(model.network, unknown, seconds)
        show([row(name, unknown, values) for name, values in found.items()], seconds, unknown)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [
        "--table",
        str(inputs.table),
        "--vectors",
        "vector",
        "--folds",
        "3",
        "--rounds",
        "1",
        "--prefix",
    ]


def from_table(path: Path, columns: Sequence[str], label: str) -> list[Title]:
    """Load titles of a table; a missing vector is zero, and modalities count alike."""
    table = pq.read_table(path).sort_by([("title", "ascending"), ("shot_index", "ascending")])
    parts = []
    for column in columns:
        rows = table[column].to_pylist()
        width = next(len(each) for each in rows if each is not None)
        filled = [np.zeros(width) if each is None else each for each in rows]
        parts.append(unit_length(np.asarray(filled, dtype=np.float32)))
    fused = unit_length(np.concatenate(parts, axis=1))
    names = table["title"].to_numpy(zero_copy_only=False)
    starts = table[label].to_numpy(zero_copy_only=False).astype(bool)
    return [
        Title(str(name), fused[names == name], starts[names == name])
        for name in dict.fromkeys(names)
    ]


def from_store(store: Path) -> list[Title]:
    """Load the fused vectors of a catalogue, without scene starts."""
    found = []
    for path in sorted((store / "fused_embeddings").glob("*.parquet")):
        fused = np.array(to_numpy(pq.read_table(path, columns=["embedding"])["embedding"]))
        found.append(Title(path.stem, fused, np.zeros(len(fused), dtype=bool)))
    return found


def marked_starts(store: Path, title: Title, scenes: Path, fps: float) -> np.ndarray:
    """Return `[n]` bool: the shot whose start is nearest to each marked start of a scene."""
    shots = pq.read_table(store / "shots" / f"{title.name}.parquet")["start_s"].to_numpy()
    starts = pv.read_csv(scenes)["start_frame"].to_numpy() / fps
    nearest = np.abs(shots[:, None] - starts).argmin(axis=0)
    marked = np.zeros(len(shots), dtype=bool)
    marked[nearest] = True
    return marked


def fitted_network(known: Sequence[Title], content: bool = True) -> MediaFM:
    """Make a network whose metric and content head are fitted; its layers are not used."""
    width = known[0].fused.shape[1]
    shape = {"hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
    config = MediaFMConfig(fused_size=width, global_size=1, intermediate_size=8, **shape)
    network = MediaFM(config).eval()
    sample = [torch.from_numpy(title.fused) for title in known]
    fit_slow_features(network.slow_features, sample)
    if content:
        fit_content(network.content_head, network.slow_features, sample)
    return network


@torch.no_grad()
def without_labels(
    network: MediaFM, unknown: Sequence[Title], seconds: dict[str, float]
) -> dict[str, list[np.ndarray]]:
    """Score the shots of unknown titles by everything that needs no labels."""

    def timed(name: str, score: Callable[[Title], np.ndarray]) -> list[np.ndarray]:
        began = time.process_time()
        values = [score(title) for title in unknown]
        seconds[name] = seconds.get(name, 0.0) + time.process_time() - began
        return values

    slow, head = network.slow_features, network.content_head

    def partitions(title: Title) -> np.ndarray:
        found: np.ndarray = taught_boundaries(slow, torch.from_numpy(title.fused)).mean(axis=1)
        return found

    return {
        "partitions": timed("partitions", partitions),
        "content": timed("content", lambda t: head(torch.from_numpy(t.fused)).mean(1).numpy()),
        "similarity": timed(
            "similarity", lambda t: title_scenes(network, t.fused, heads=False).probability
        ),
        "scenes": timed("scenes", lambda t: title_scenes(network, t.fused).probability),
    }


def prefixes(network: MediaFM, unknown: Sequence[Title]) -> dict[str, list[np.ndarray]]:
    """Score shots from the shots up to them, and a few more."""
    return {
        f"prefix, {ahead} shots ahead": [
            prefix_probabilities(network, title.fused, look_ahead=ahead).mean(axis=1)
            for title in unknown
        ]
        for ahead in (0, LOOK_AHEAD)
    }


def probe(known: Sequence[Title], unknown: Sequence[Title]) -> list[np.ndarray]:
    """Score shots by a linear probe with labels, whose penalty is chosen in known titles."""
    vectors = np.concatenate([title.fused for title in known])
    labels = np.concatenate([title.starts for title in known])
    numbers = np.repeat(np.arange(len(known)), [len(title.fused) for title in known])
    axes = PrincipalAxes.of(vectors)
    rows, targets = axes.coordinates(vectors), labels.astype(np.float32)[:, None]
    scores = np.zeros((len(rows), len(STRENGTHS)))
    for fold in range(INNER_FOLDS):
        inside = numbers % INNER_FOLDS == fold
        if not inside.any() or inside.all():
            continue
        model = fit(rows[~inside], axes.variances, targets[~inside], STRENGTHS, "logistic")
        scores[inside] = model(rows[inside])[:, 0]
    precisions = [
        average_precision(known, [scores[numbers == i, j] for i in range(len(known))])
        for j in range(len(STRENGTHS))
    ]
    best = int(np.argmax(precisions))
    model = fit(rows, axes.variances, targets, STRENGTHS[best : best + 1], "logistic")
    return [model(axes.coordinates(title.fused))[:, 0, 0] for title in unknown]


def average_precision(titles: Sequence[Title], scores: Sequence[np.ndarray]) -> float:
    """Return the mean over titles with a scene start after the first shot."""
    return float(
        np.mean(
            [
                average_precision_score(title.starts[1:], score[1:])
                for title, score in zip(titles, scores, strict=True)
                if title.starts[1:].any()
            ]
        )
    )


def f1(titles: Sequence[Title], scores: Sequence[np.ndarray], grain: float) -> float:
    """Return F1 over all shots of the most probable shots."""
    hits = found = marked = 0
    for title, score in zip(titles, scores, strict=True):
        starts = likely_starts(score, grain)[1:]
        hits += int(title.starts[starts].sum())
        found += len(starts)
        marked += int(title.starts[1:].sum())
    return 2 * hits / max(1, found + marked)


def row(name: str, titles: Sequence[Title], scores: Sequence[np.ndarray]) -> dict:
    """Return the figures of one way to score."""
    by_grain = {grain: f1(titles, scores, grain) for grain in GRAINS}
    best = max(by_grain, key=by_grain.__getitem__)
    return {
        "name": name,
        "average_precision": average_precision(titles, scores),
        "f1": by_grain[best],
        "grain": best,
        "f1_by_grain": {str(grain): value for grain, value in by_grain.items()},
    }


def chance(titles: Sequence[Title]) -> dict:
    """Return the figures that are expected of scores drawn at random."""
    share = float(np.mean([t.starts[1:].mean() for t in titles if t.starts[1:].any()]))
    pooled = float(np.concatenate([title.starts[1:] for title in titles]).mean())
    by_grain = {grain: 2 * pooled / grain / (pooled + 1 / grain) for grain in GRAINS}
    best = max(by_grain, key=by_grain.__getitem__)
    return {
        "name": "chance",
        "average_precision": share,
        "f1": by_grain[best],
        "grain": best,
        "f1_by_grain": {str(grain): value for grain, value in by_grain.items()},
    }


def show(rows: list[dict], seconds: dict[str, float], titles: Sequence[Title]) -> None:
    """Print the table."""
    console = Console()
    shots = sum(len(title.fused) for title in titles)
    table = Table("", "average precision", "F1", "at grain", "CPU s")
    for each in rows:
        table.add_row(
            each["name"],
            f"{each['average_precision']:.3f}",
            f"{each['f1']:.3f}",
            str(each["grain"]),
            f"{seconds[each['name']]:.1f}" if each["name"] in seconds else "",
        )
    console.print(table)
    console.print(
        f"{len(titles)} titles, {shots} shots. Fitting metric and content: {seconds['fit']:.1f} "
        f"CPU s over all folds; everything: {seconds['all']:.1f}."
    )


if __name__ == "__main__":
    main()
