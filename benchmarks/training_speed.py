"""Speed of training and contextualisation relative to bare passes of the same network.

    python -m benchmarks.training_speed [--device cuda] [--precision bfloat16] [--hidden 768 ...]
                                        [--titles 100] [--crop 512] [--batch 64] [--json FILE]

Titles of 20 to 600 shots with random fused vectors are written to Parquet files, and the measured
code reads them. Training is the real loop (reading, masks, losses, updates) without its
validation; beside it the forward and backward pass of the same network over the same batches, ready
on the device, and the same with the optimiser's step. Contextualisation reads every title from its
file; beside it the forward pass over the same batches. Real and bare passes take turns in one
process; the shares are medians over the turns. A share of 1 means that only the network takes time.
Seconds are by the clock on a GPU, and CPU seconds of the process on a CPU, prefetch included,
because other work on the machine does not change them; `--wall` takes the clock there too, for an
idle machine with a free core for prefetch.

On a GPU the second table has the share of the rate of a large bfloat16 matrix product, measured
before, that the passes reach.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.bare_passes import (
    CLOCKS,
    WARM_UP,
    BareReading,
    BareTraining,
    clock_of,
    timed,
)
from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.training.progress_events import Event, Phase
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TitleSource, TrainingData
from mediafm_core.runtime.precision import fast_precision
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_arrow, unit_length

RANGES = {"video": (0, 1280), "audio": (1280, 1792), "text": (1792, 2176)}
WIDTH, METADATA_WIDTH = 2176, 384
MATRIX = 8192  # side of the matrices whose product is the measure of a GPU


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--optimiser", default="muon", choices=["muon", "adamw"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--feed-forward", type=int, default=1024)
    parser.add_argument("--titles", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8, help="titles in one step")
    parser.add_argument("--crop", type=int, default=96, help="longest training sequence")
    parser.add_argument("--steps", type=int, default=30, help="of each turn, a multiple of ten")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--wall", action="store_true", help="the clock's seconds on a CPU too")
    arguments = parse(parser, small)
    if arguments.wall:
        CLOCKS["cpu"] = time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments, Path(folder))
    show(result)
    write_json(arguments.json, result)


def small(_: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    network = ["--hidden", "32", "--layers", "2", "--heads", "2", "--feed-forward", "64"]
    return [*network, "--titles", "4", "--batch", "2", "--steps", "10", "--turns", "1"]


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write titles, and measure real and bare passes over them in turn."""
    device = torch.device(arguments.device)
    model = ModelSettings(
        hidden=arguments.hidden,
        layers=arguments.layers,
        heads=arguments.heads,
        feed_forward=arguments.feed_forward,
    )
    last = WARM_UP + arguments.steps
    training = TrainingSettings(
        steps=last + 1,  # validation comes after the last step
        titles_per_batch=arguments.batch,
        crop_shots=arguments.crop,
        validate_every=last + 1,
        validation_fraction=0,
        optimiser=arguments.optimiser,
        precision=arguments.precision,
        compile=arguments.compile,
    )
    arithmetic = fast_precision(training.precision, device)
    data = write_titles(folder, arguments.titles)
    boundary_head = ObjectiveSettings().boundary_weight > 0  # as `train` makes it
    config = MediaFMConfig.from_settings(
        model, WIDTH, METADATA_WIDTH, FusedSpace(ranges=RANGES), boundary_head=boundary_head
    )
    network = MediaFM(config)
    network.to(device)  # type: ignore[arg-type]  # transformers wraps its signature
    bare = BareTraining(data, model, training, network, arithmetic)
    reading = BareReading(network, arithmetic)
    turns = [
        {
            "train": real_training(data, model, training, folder, device, bare.shots),
            "forward_backward": bare.shots_per_second(with_update=False),
            "with_update": bare.shots_per_second(with_update=True),
            "contextualise": reading.real(data),
            "forward": reading.bare(data),
        }
        for _ in range(arguments.turns)
    ]
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "seconds": "of the processor" if clock_of(device) is time.process_time else "of the clock",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "arithmetic": arithmetic,
        "model": model.model_dump(),
        "training": training.model_dump(mode="json"),
        "shots_stored": int(data.shots.sum()),
        "padding_share": bare.padding_share,
        "shots_per_second": {name: median(turn[name] for turn in turns) for name in turns[0]},
        "shares": {
            "training of forward and backward": share(turns, "train", "forward_backward"),
            "training of forward, backward and update": share(turns, "train", "with_update"),
            "contextualisation of forward": share(turns, "contextualise", "forward"),
        },
        "turns": turns,
    }
    seconds = 1_000_000 / result["shots_per_second"]["contextualise"]
    result["seconds_per_million_shots"] = seconds
    result["million_shots_extrapolated"] = int(data.shots.sum()) < 1_000_000
    if device.type == "cuda":
        result["rates"] = rates(device, bare, reading, result["shots_per_second"])
    return result


def share(turns: list[dict[str, float]], real: str, bare: str) -> float:
    """Return the median over the turns of a real rate in units of a bare one."""
    return median(turn[real] / turn[bare] for turn in turns)


def write_titles(folder: Path, count: int) -> TrainingData:
    """Write titles of 20 to 600 shots in Parquet files as the store does."""
    generator = np.random.default_rng(0)
    store = Store(folder)
    titles = []
    for number, shots in enumerate(generator.integers(20, 600, size=count).tolist()):
        fused = unit_length(generator.standard_normal((shots, WIDTH), dtype=np.float32))
        name = f"title{number:05}"
        record = ArtefactRecord(asset="fused_embeddings", title_id=name, data_version=name)
        store.write(record, pa.table({"embedding": to_arrow(fused)}))
        path = store.path(record.asset, name)
        metadata = generator.standard_normal(METADATA_WIDTH, dtype=np.float32)
        titles.append(TitleSource(name, path, name, metadata, (shots, WIDTH)))
    return TrainingData(titles, METADATA_WIDTH, FusedSpace(ranges=RANGES))


def real_training(
    data: TrainingData,
    model: ModelSettings,
    training: TrainingSettings,
    folder: Path,
    device: torch.device,
    shots: int,
) -> float:
    """Return shots per second of the training loop between warm-up and the last step."""
    marks: dict[int, float] = {}
    clock = clock_of(device)

    def mark(event: Event) -> None:
        if not isinstance(event, Phase):
            marks[event.step] = clock()

    # A fresh cache: files are opened and decoded as in the first epoch.
    fresh = TrainingData(data.titles, METADATA_WIDTH, FusedSpace(ranges=RANGES))
    train(fresh, model, training, folder / "models", mark, str(device))
    return shots / (marks[training.steps - 1] - marks[WARM_UP])


def rates(
    device: torch.device, bare: BareTraining, reading: BareReading, rate: dict[str, float]
) -> dict[str, float]:
    """Return operations per second of a large matrix product, and the passes' shares of it."""
    left, right = torch.randn(2, MATRIX, MATRIX, device=device, dtype=torch.bfloat16)
    timed(device, lambda: left @ right)
    repetitions = 50
    seconds = timed(device, lambda: [left @ right for _ in range(repetitions)])
    highest = 2 * MATRIX**3 * repetitions / seconds
    training = bare.operations_per_shot() / highest
    forward = reading.operations_per_shot() / highest
    return {
        "matrix_product_per_second": highest,
        "train": training * rate["train"],
        "forward_backward": training * rate["forward_backward"],
        "contextualise": forward * rate["contextualise"],
        "forward": forward * rate["forward"],
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    console = Console()
    rate, shares = result["shots_per_second"], result["shares"]
    title = (
        f"{result['device']}, {result['arithmetic']}, {result['threads']} threads, "
        f"seconds {result['seconds']}"
    )
    table = Table("", "shots per second", "share of the bare pass", title=title)
    table.add_row(
        "training",
        f"{rate['train']:,.0f}",
        f"{shares['training of forward and backward']:.2f}; "
        f"{shares['training of forward, backward and update']:.2f} of it with the update",
    )
    table.add_row("forward and backward, ready batches", f"{rate['forward_backward']:,.0f}", "1")
    table.add_row("the same with the update", f"{rate['with_update']:,.0f}", "")
    contextualisation = f"{shares['contextualisation of forward']:.2f}"
    table.add_row("contextualisation", f"{rate['contextualise']:,.0f}", contextualisation)
    table.add_row("forward, ready batches", f"{rate['forward']:,.0f}", "1")
    console.print(table)
    if "rates" in result:
        reached = Table("", "share of a matrix product's rate")
        for name in ("train", "forward_backward", "contextualise", "forward"):
            reached.add_row(name.replace("_", " and "), f"{result['rates'][name]:.3f}")
        console.print(reached)
    marked = " (extrapolated)" if result["million_shots_extrapolated"] else ""
    console.print(
        f"A million stored shots in context: {result['seconds_per_million_shots']:,.0f} s{marked}. "
        f"Padding in training: {result['padding_share']:.1%}."
    )


if __name__ == "__main__":
    main()
