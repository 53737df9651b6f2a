"""Accuracy of shot boundaries, and the cost of the one decode.

    python -m benchmarks.shot_boundaries FILM SHOTS.csv [--tolerance 2] [--json FILE]

`SHOTS.csv` has `start_frame,end_frame` per shot, zero-based, as the Open Video Scene Detection data
set lists them. A listed start counts as found if a found one lies within the tolerance, in frames;
the start of the film counts on neither side. Beside it stands what TransNetV2 as it comes reaches
on Big Buck Bunny, which this project must not fall below.

The second table is the CPU time of the pass by part and the resident memory as it goes by: it stays
level however long the film is.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow.csv as csv
from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import load_settings
from mediafm_core.media.probe import probe
from mediafm_core.shots.decode import decode_title
from mediafm_core.shots.transnetv2 import TransNetV2Detector
from mediafm_core.titles.title_file import TitleFile

REFERENCE = {"found": 0.962, "listed": 0.947}
MEMORY_SAMPLES = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("shots", type=Path)
    parser.add_argument("--tolerance", type=int, default=2)
    arguments = parse(parser, small)
    listed = csv.read_csv(arguments.shots)["start_frame"].to_numpy()[1:]
    result = measure(arguments.film, listed, arguments.tolerance)
    show(result)
    write_json(arguments.json, result)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(next(inputs.sample.glob("*.mp4"))), str(inputs.sample / "shots.csv")]


def measure(film: Path, listed: np.ndarray, tolerance: int) -> dict:
    """Detect shots in one pass, and compare them with the listed starts of inner shots."""
    settings = load_settings()
    process = psutil.Process()
    memory: list[tuple[float, float]] = []
    described = probe(TitleFile.at(film))
    step_s = (described.duration_s or 600.0) / MEMORY_SAMPLES

    def note_memory(seconds: float) -> None:
        if seconds >= step_s * (len(memory) + 1):
            memory.append((seconds, process.memory_info().rss / 2**20))

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        summary = decode_title(
            TitleFile.at(film),
            film.stem,
            described,
            TransNetV2Detector(settings),
            settings.keyframes,
            lambda _batch: None,
            Path(folder) / "soundtrack.flac",
            note_memory,
        )
    wall_s = time.perf_counter() - began
    found = summary.shots["start_frame"].to_numpy()[1:]
    near = np.abs(found[:, None] - listed[None, :]) <= tolerance  # [found, listed]
    return {
        "shots": summary.shots.num_rows,
        "found": float(near.any(axis=0).mean()),
        "listed": float(near.any(axis=1).mean()),
        "frames": summary.frames,
        "video_s": summary.duration_s,
        "wall_s": wall_s,
        "cpu_s": summary.cpu_seconds,
        "memory_mib": memory,
    }


def show(result: dict) -> None:
    """Print the two tables."""
    console = Console()
    quality = Table("", "measured", "TransNetV2 as it comes", title=f"{result['shots']} shots")
    quality.add_row("listed starts found", f"{result['found']:.3f}", f"{REFERENCE['found']:.3f}")
    quality.add_row("found starts listed", f"{result['listed']:.3f}", f"{REFERENCE['listed']:.3f}")
    console.print(quality)

    hours = result["video_s"] / 3600
    cost = Table("part", "CPU s", "CPU s per hour of video", "frames per CPU s")
    for part, seconds in (*result["cpu_s"].items(), ("all", sum(result["cpu_s"].values()))):
        cost.add_row(
            part, f"{seconds:.1f}", f"{seconds / hours:.0f}", f"{result['frames'] / seconds:.0f}"
        )
    console.print(cost)
    level = ", ".join(f"{mib:.0f} at {seconds:.0f} s" for seconds, mib in result["memory_mib"])
    console.print(f"Wall time {result['wall_s']:.1f} s; resident MiB: {level}")


if __name__ == "__main__":
    main()
