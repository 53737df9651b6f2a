"""Difference between reading a long title in windows and in one pass, at seams and elsewhere.

    python -m benchmarks.long_titles --model DIR [--fused FILE.parquet ...] [--shots 3000]
                                     [--max-shots 512] [--json FILE]

The title consists of the shots of the given fused embeddings, one file after the other; if they are
too few they are repeated, each time with noise. Without files the shots are drawn at random. The
model must be able to read the whole title in one pass: every other way to read it is compared with
this pass.

The first table compares ways to read. The vectors of a title have much in common, so that any two
are near each other by the cosine; *centred* is the cosine after the title's mean is subtracted: a
stricter measure, by which the worst shot is named. *Seams* are the places where a window's reading
starts or stops to count, and a *jump* is the distance between the vectors of two neighbouring
shots: how much of it the full pass does not have, at seams and elsewhere, in units of the full
pass's mean jump. The second table is one single reading of each shot, by its distance from the
window's inner edge: the error that blending has to correct.

The last line is the cost of reading a title beside the network itself: checks, copies and blending.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import TITLE, SmallInputs
from mediafm_core.inference.batching import (
    ShotSequence,
    TitleInput,
    checked,
    inference,
    read_sequences,
    shots_per_batch,
)
from mediafm_core.inference.whole_title import contextualise, windows
from mediafm_core.model.network import MediaFM
from mediafm_core.model.saved_model import load_model
from mediafm_core.vectors import to_numpy, unit_length

VARIATION = 0.1  # of a repeated shot, as a share of its length
REPETITIONS = 9
WIDEST_TABLE = 150
DISTANCES = (0, 1, 4, 16, 64, 128, 256)


class Plan(NamedTuple):
    """Windows of equal length, and the share of each reading in its shot's vector."""

    starts: np.ndarray  # [windows]
    weights: np.ndarray  # [windows, length]

    def rows(self) -> np.ndarray:
        """Return the shot of each reading, `[windows, length]`."""
        return self.starts[:, None] + np.arange(self.weights.shape[1])

    def seams(self, shots: int) -> np.ndarray:
        """Return the shots at which a window's reading starts or stops to count, without ends."""
        counts = self.weights > 0
        first = self.starts + counts.argmax(axis=1)
        stop = self.starts + counts.shape[1] - counts[:, ::-1].argmax(axis=1)
        edges = np.unique([first, stop])
        return edges[(edges > 0) & (edges < shots)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--fused", type=Path, nargs="+", default=[])
    parser.add_argument("--shots", type=int, default=3000)
    parser.add_argument("--max-shots", type=int, help="of one window, the model's if not given")
    parser.add_argument("--device", default="cpu")
    arguments = parse(parser, small)
    network = load_model(arguments.model, arguments.device).network
    fused, source = put_together(arguments.fused, arguments.shots, network.config.fused_size)
    result = {"source": source} | measure(
        network, fused, arguments.max_shots or network.config.max_shots
    )
    show(result)
    write_json(arguments.json, result)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    fused = inputs.store / "fused_embeddings" / f"{TITLE}.parquet"
    sizes = ["--shots", "48", "--max-shots", "16"]
    return ["--model", str(inputs.model), "--fused", str(fused), *sizes]


def put_together(files: list[Path], shots: int, width: int) -> tuple[np.ndarray, str]:
    """Return fused vectors of a title of so many shots, and the name of their source."""
    rng = np.random.default_rng(0)
    if not files:
        return unit_length(rng.standard_normal((shots, width))), f"{shots} shots drawn at random"
    real = np.concatenate(
        [to_numpy(pq.read_table(file, columns=["embedding"])["embedding"]) for file in files]
    )
    rounds = -(-shots // len(real))
    fused = np.tile(real, (rounds, 1))[:shots].astype(np.float32)
    repeated = fused[len(real) :]
    spread = np.linalg.norm(repeated, axis=1, keepdims=True) / np.sqrt(width) * VARIATION
    # A modality that a shot does not have stays absent.
    repeated += spread * rng.standard_normal(repeated.shape) * (repeated != 0)
    source = f"{min(shots, len(real))} real shots of {len(files)} titles"
    if len(repeated):
        source += f", repeated to {shots} with {VARIATION:.0%} of noise"
    return unit_length(fused), source


def measure(network: MediaFM, fused: np.ndarray, max_shots: int) -> dict:
    """Compare every way to read the title with one pass over all of it."""
    shots = len(fused)
    contextualise(network, fused[:max_shots])  # the first pass is slower
    full, full_s = timed(lambda: contextualise(network, fused, max_shots=shots).shots)
    blended, blended_s = timed(lambda: contextualise(network, fused, max_shots=max_shots).shots)
    half = Plan(*windows(shots, max_shots))
    length = half.weights.shape[1]
    ways = {"blended over half a window": compare(half, blended, full) | {"seconds": blended_s}}
    for name, plan in (
        ("... by a raised cosine", raised_cosine(half, shots)),
        ("blended over a quarter", faded(shots, length, length * 3 // 4)),
        ("overlap of half, cut", cut(half)),
        ("no overlap", cut(faded(shots, length, length))),
        (f"only the first {length}", Plan(half.starts[:1], np.ones((1, length)))),
    ):
        vectors, seconds = timed(lambda plan=plan: read_plan(network, fused, plan))
        ways[name] = compare(plan, vectors, full) | {"seconds": seconds}
    return {
        "shots": shots,
        "max_shots": max_shots,
        "full_pass_s": full_s,
        "ways": ways,
        "one_reading": by_distance(network, fused, half, full),
    } | throughput(network, fused, half)


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the result of the work, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def throughput(network: MediaFM, fused: np.ndarray, plan: Plan) -> dict[str, float]:
    """Measure seconds of reading in windows, and of the network alone over ready tensors."""
    length = plan.weights.shape[1]
    ready = torch.from_numpy(fused[plan.rows()]).to(network.device)  # [windows, length, d]
    nothing = torch.zeros(len(ready), network.config.global_size, device=network.device)
    size = max(1, shots_per_batch(network) // length)

    def forward() -> np.ndarray:
        with inference(network):
            for first in range(0, len(ready), size):
                batch = slice(first, first + size)
                shots, _ = network.contextual(ready[batch], nothing[batch])
            return shots[-1, -1].cpu().numpy()  # waits for the device

    # In turn, so that other work on the machine slows both.
    seconds = [
        (timed(forward)[1], timed(lambda: contextualise(network, fused, max_shots=length).shots)[1])
        for _ in range(REPETITIONS)
    ]
    bare_s, read_s = np.min(seconds, axis=0).tolist()
    return {"bare_forward_s": bare_s, "contextualise_s": read_s}


def faded(shots: int, length: int, stride: int) -> Plan:
    """Plan windows at most a stride apart that fade into each other linearly where they overlap."""
    count = 1 + -(-(shots - length) // max(1, stride))
    starts = np.linspace(0, shots - length, count).astype(np.int64)
    place = np.arange(length) + 0.5
    from_start, to_end = np.tile(place, (count, 1)), np.tile(length - place, (count, 1))
    from_start[0] = to_end[-1] = length
    return shared_out(Plan(starts, np.minimum(from_start, to_end)), shots)


def raised_cosine(plan: Plan, shots: int) -> Plan:
    """Plan the same windows with weights that leave zero and reach one smoothly."""
    return shared_out(plan._replace(weights=np.sin(plan.weights * np.pi / 2) ** 2), shots)


def shared_out(plan: Plan, shots: int) -> Plan:
    """Scale weights so that they sum to one over the readings of each shot."""
    rows = plan.rows()
    total = np.bincount(rows.ravel(), plan.weights.ravel(), shots)
    return plan._replace(weights=plan.weights / total[rows])


def cut(plan: Plan) -> Plan:
    """Plan each shot from the window with the largest weight for it alone."""
    rows = plan.rows()
    weights = plan.weights * (1 - 1e-9 * np.arange(len(rows)))[:, None]  # the first of equals
    largest = np.zeros(rows.max() + 1)
    np.maximum.at(largest, rows, weights)
    return plan._replace(weights=(weights == largest[rows]).astype(np.float64))


def read_windows(network: MediaFM, fused: np.ndarray, plan: Plan) -> np.ndarray:
    """Return one reading of each window, `[windows, length, c]`."""
    rows = plan.rows()
    runs = [ShotSequence(0, int(row[0]), int(row[-1]) + 1) for row in rows]
    title = checked(network, TitleInput(fused))
    with inference(network):
        readings = np.empty((*rows.shape, network.config.context_size), np.float32)
        for read in read_sequences(network, [title], runs):
            readings[read.sequence] = read.shots.cpu()
    return readings


def read_plan(network: MediaFM, fused: np.ndarray, plan: Plan) -> np.ndarray:
    """Return the weighted readings, `[shots, c]`; zero for a shot that no window reads."""
    vectors = np.zeros((len(fused), network.config.context_size), np.float32)
    readings = read_windows(network, fused, plan)
    for start, weights, reading in zip(plan.starts, plan.weights, readings, strict=True):
        vectors[start : start + len(weights)] += weights[:, None] * reading
    return vectors


def compare(plan: Plan, vectors: np.ndarray, full: np.ndarray) -> dict:
    """Measure the difference of vectors from those of the full pass, in all and at seams."""
    shots = len(full)
    read = np.zeros(shots, dtype=bool)
    read[plan.rows()[plan.weights > 0]] = True
    plain = cosine(vectors, full)[read]
    common = full.mean(axis=0)
    centred = cosine(vectors - common, full - common)  # [shots]
    worst = int(np.where(read, centred, 1).argmin())
    seams = plan.seams(int(read.sum()))
    ordinary = jumps(full).mean()
    extra = jumps(vectors - full)[: read.sum() - 1] / ordinary  # from each shot to the next
    at_seam = np.zeros(len(extra), dtype=bool)
    at_seam[seams - 1] = True
    return {
        "unread": int((~read).sum()),
        **spread("cosine", plain),
        **spread("centred", centred[read]),
        "worst_shot": worst,
        "worst_seam": int(seams[np.abs(seams - worst).argmin()]) if len(seams) else None,
        "seams": len(seams),
        "extra_jump_at_seams": float(extra[at_seam].mean()) if len(seams) else None,
        "extra_jump_elsewhere": float(extra[~at_seam].mean()),
    }


def spread(name: str, cosines: np.ndarray) -> dict[str, float]:
    """Summarise cosines: mean, first percentile and minimum."""
    return {
        name: float(cosines.mean()),
        f"{name}_percentile_1": float(np.percentile(cosines, 1)),
        f"{name}_worst": float(cosines.min()),
    }


def by_distance(network: MediaFM, fused: np.ndarray, plan: Plan, full: np.ndarray) -> list[dict]:
    """Compare single readings of shots near a window's inner edge and far from it."""
    readings, rows = read_windows(network, fused, plan), plan.rows()
    length = rows.shape[1]
    place = np.arange(length)
    distance = np.minimum(np.tile(place, (len(rows), 1)), length - 1 - place)  # [windows, length]
    distance[0] = length - 1 - place
    distance[-1] = place if len(rows) > 1 else length
    middle = np.empty_like(full)
    chosen = cut(plan).weights > 0
    middle[rows[chosen]] = readings[chosen]
    common = full.mean(axis=0)
    bands = []
    for low, high in pairwise((*(d for d in DISTANCES if d < length // 2), length + 1)):
        band = (distance >= low) & (distance < high)
        shot = rows[band]
        to_full, to_middle = (
            cosine(readings[band] - common, other[shot] - common) for other in (full, middle)
        )
        bands.append(
            {
                "from": low,
                "below": high,
                "readings": int(band.sum()),
                "weight": float(plan.weights[band].mean()),
                "mean": float(to_full.mean()),
                "worst": float(to_full.min()),
                "to_middle_mean": float(to_middle.mean()),
                "to_middle_worst": float(to_middle.min()),
            }
        )
    return bands


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the cosine of each row with the other's, `[n]`."""
    return np.einsum("ij,ij->i", unit_length(one), unit_length(other), dtype=np.float64)


def jumps(vectors: np.ndarray) -> np.ndarray:
    """Return the distance of each row to the next, `[n - 1]`."""
    return np.linalg.norm(np.diff(vectors, axis=0), axis=1)


def show(result: dict) -> None:
    """Print the two tables."""
    console = Console()
    if console.width < WIDEST_TABLE:  # in a pipe: rather long lines than cut figures
        console = Console(width=WIDEST_TABLE)
    console.print(
        f"{result['source']}; windows of {result['max_shots']}; the full pass takes "
        f"{result['full_pass_s']:.2f} s."
    )
    ways = Table(title="Against one pass over the whole title")
    for column in (
        *("", "cosine", "1 % below", "worst", "centred", "1 % below", "worst", "worst shot"),
        *("extra jump at seams", "elsewhere", "unread", "s"),
    ):
        ways.add_column(column)
    for name, way in result["ways"].items():
        seam = way["worst_seam"]
        place = "" if seam is None else f", {abs(way['worst_shot'] - seam)} from seam {seam}"
        ways.add_row(
            name,
            *(
                f"{way[kind + part]:.5f}"
                for kind in ("cosine", "centred")
                for part in ("", "_percentile_1", "_worst")
            ),
            f"{way['worst_shot']}{place}",
            *(
                "" if way[key] is None else f"{way[key]:.4f}"
                for key in ("extra_jump_at_seams", "extra_jump_elsewhere")
            ),
            str(way["unread"]),
            f"{way['seconds']:.2f}",
        )
    console.print(ways)
    single = Table(title="Centred cosine of one reading, by distance from the window's inner edge")
    for column in (
        *("shots", "readings", "weight", "to the full pass", "worst"),
        *("to the same shot mid-window", "worst"),
    ):
        single.add_column(column)
    for band in result["one_reading"]:
        single.add_row(
            f"{band['from']} to {band['below'] - 1}",
            str(band["readings"]),
            f"{band['weight']:.3f}",
            *(f"{band[key]:.5f}" for key in ("mean", "worst", "to_middle_mean", "to_middle_worst")),
        )
    console.print(single)
    bare_s, read_s = result["bare_forward_s"], result["contextualise_s"]
    console.print(
        f"The forward pass alone takes {bare_s:.3f} s, reading the title in windows {read_s:.3f} s "
        f"({result['shots'] / read_s:.0f} shots per second): {bare_s / read_s:.2f} of its rate."
    )


if __name__ == "__main__":
    main()
