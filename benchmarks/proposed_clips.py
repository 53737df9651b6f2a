"""Proposed clips against the scene starts that people marked.

    python -m benchmarks.proposed_clips --table SHOTS.parquet --vectors COLUMN[,COLUMN...]

Clips of titles without `clips.csv` are proposed by length alone, and at likely scene starts. The
table is as of `benchmarks.scenes`; times are its columns `start_s` and `end_s`, or `start_frame`
and `end_frame` at `--fps`, or 4 s per shot. Scenes of a title are found by a metric and a content
head that were fitted to the titles of the other folds, without labels.

Recall is the share of the marked scene starts that start a clip, precision the share of the clips
that start with one, both over all titles; the first shot of a title does not count.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.scenes import Title, fitted_network, from_table
from benchmarks.small_inputs import SmallInputs
from mediafm_core.clips.title_clips import propose_clips
from mediafm_core.inference.scenes import title_scenes

SHOT_S = 4.0  # in a table without times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--vectors", required=True, help="columns, separated by commas")
    parser.add_argument("--label", help="column of the table", default="starts_scene")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--target", type=float, default=30.0, help="length of a clip, seconds")
    arguments = parse(parser, small)
    torch.set_num_threads(1)
    titles = from_table(arguments.table, arguments.vectors.split(","), arguments.label)
    edges = edges_of_titles(arguments.table, arguments.fps)
    probabilities = without_labels(titles, arguments.folds)
    rows = [
        figures("seconds", titles, edges, [None] * len(titles), arguments.target),
        figures("scenes", titles, edges, probabilities, arguments.target),
    ]
    table = Table("proposed at", *(name.replace("_", " ") for name in list(rows[0])[1:]))
    for row in rows:
        table.add_row(
            *(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console().print(table)
    write_json(arguments.json, {"rows": rows})


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return ["--table", str(inputs.table), "--vectors", "vector", "--folds", "3"]


def edges_of_titles(path: Path, fps: float) -> dict[str, np.ndarray]:
    """Return the starts of each title's shots and the end of the last one, seconds `[n + 1]`."""
    table = pq.read_table(path).sort_by([("title", "ascending"), ("shot_index", "ascending")])
    names = table["title"].to_numpy(zero_copy_only=False)
    if "start_s" in table.column_names:
        starts, ends = (table[name].to_numpy() for name in ("start_s", "end_s"))
    elif "start_frame" in table.column_names:
        starts = table["start_frame"].to_numpy() / fps
        ends = (table["end_frame"].to_numpy() + 1) / fps
    else:
        starts = table["shot_index"].to_numpy() * SHOT_S
        ends = starts + SHOT_S
    return {
        str(name): np.append(starts[names == name], ends[names == name][-1])
        for name in dict.fromkeys(names)
    }


def without_labels(titles: Sequence[Title], folds: int) -> list[np.ndarray]:
    """Return the probability of a scene start `[n]` at the shots of each title."""
    fold = np.random.default_rng(0).permutation(len(titles)) % folds
    found: dict[int, np.ndarray] = {}
    for tested in range(folds):
        network = fitted_network([titles[i] for i in np.flatnonzero(fold != tested)])
        for i in np.flatnonzero(fold == tested):
            found[int(i)] = title_scenes(network, titles[i].fused).probability
    return [found[i] for i in range(len(titles))]


def figures(
    name: str,
    titles: Sequence[Title],
    edges: dict[str, np.ndarray],
    probabilities: Sequence[np.ndarray | None],
    target_s: float,
) -> dict[str, str | int | float]:
    """Return agreement with people, number and lengths of the clips of all titles."""
    hits = marked = 0
    lengths: list[np.ndarray] = []
    for title, probability in zip(titles, probabilities, strict=True):
        times = edges[title.name]
        shots = pa.table(
            {"title_id": [title.name] * len(title.fused), "start_s": times[:-1], "end_s": times[1:]}
        )
        clips = propose_clips(shots, target_s, probability)
        starts = clips["start_s"].to_numpy()
        hits += int((np.isin(times[1:-1], starts[1:]) & title.starts[1:]).sum())
        marked += int(title.starts[1:].sum())
        lengths.append(clips["end_s"].to_numpy() - starts)
    seconds = np.concatenate(lengths)
    low, middle, high = np.percentile(seconds, [5, 50, 95]).tolist()
    return {
        "proposed_at": name,
        "recall": hits / marked,
        "precision": hits / (len(seconds) - len(titles)),
        "clips": len(seconds),
        "5_%": low,
        "median_s": middle,
        "95_%": high,
    }


if __name__ == "__main__":
    main()
