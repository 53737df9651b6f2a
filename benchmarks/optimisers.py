"""Muon for the hidden matrices against AdamW for everything, at equal steps and at equal seconds.

    python -m benchmarks.optimisers --table SHOTS.parquet --vectors COLUMN
    python -m benchmarks.optimisers --store STORE

A fifth of the titles is held out; both optimisers see the same batches with the same masks. AdamW
is tried at several learning rates and its best one counts. Its step is cheaper, so at equal seconds
it takes more of them; seconds are CPU seconds of the process, because other work on the machine
does not change them. Figures are the validation loss on the held-out titles after the last step,
mean and spread over seeds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.folded_catalogue import Catalogue, from_store, from_table
from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.config.training_settings import TrainingSettings
from mediafm_core.model.training.training import train
from mediafm_core.model.training.training_data import TrainingData


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--store", type=Path)
    source.add_argument("--table", type=Path, help="Parquet: title, shot_index, vectors")
    parser.add_argument("--vectors", help="column of the table")
    parser.add_argument("--preset", help="such as published")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", default="0.0003,0.001,0.003", help="of AdamW alone")
    arguments = parse(parser, small)
    rates = [float(rate) for rate in arguments.rates.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        catalogue = (
            from_store(arguments.store)
            if arguments.store
            else from_table(arguments.table, arguments.vectors, Path(folder))
        )
        rows = compare(arguments, catalogue, rates, Path(folder))
    show(rows)
    write_json(arguments.json, rows)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    table = ["--table", str(inputs.table), "--vectors", "vector", "--steps", "4"]
    return [*table, "--seeds", "2", "--rates", "0.001"]


def compare(
    arguments: argparse.Namespace, catalogue: Catalogue, rates: list[float], folder: Path
) -> list[dict]:
    """Return a row for Muon, and two for each rate of AdamW."""
    data = catalogue.data(catalogue.titles)
    settings = load_settings(preset=arguments.preset)

    def run(name: str, steps: int, **changes: object) -> dict:
        losses, seconds = [], []
        for seed in range(arguments.seeds):
            training = settings.training.model_copy(
                update={
                    "steps": steps,
                    "validate_every": steps,
                    "validation_fraction": 0.2,
                    "patience": 0,
                    "seed": seed,
                    **changes,
                }
            )
            loss, took = validation_loss(data, settings, training, folder)
            losses.append(loss)
            seconds.append(took)
        return {
            "optimiser": name,
            "steps": steps,
            "losses": losses,
            "loss": float(np.mean(losses)),
            "spread": float(np.std(losses)),
            "cpu_s": float(np.mean(seconds)),
        }

    muon = run("Muon and AdamW", arguments.steps, optimiser="muon")
    rows = [muon]
    for rate in rates:
        changes = {"optimiser": "adamw", "adamw_learning_rate": rate}
        equal_steps = run(f"AdamW at {rate:g}, equal steps", arguments.steps, **changes)
        more = round(arguments.steps * muon["cpu_s"] / equal_steps["cpu_s"])
        rows += [equal_steps, run(f"AdamW at {rate:g}, equal seconds", more, **changes)]
    return rows


def validation_loss(
    data: TrainingData, settings: Settings, training: TrainingSettings, folder: Path
) -> tuple[float, float]:
    """Return the loss on held-out titles after training, and the CPU seconds that it took."""
    began = time.process_time()
    result = train(data, settings.model, training, folder / "models", objective=settings.objective)
    return result.curve[-1].validation_loss, time.process_time() - began


def show(rows: list[dict]) -> None:
    """Print the table."""
    table = Table("", "steps", "CPU s", "validation loss", "over seeds", "each seed")
    for row in rows:
        table.add_row(
            row["optimiser"],
            str(row["steps"]),
            f"{row['cpu_s']:.0f}",
            f"{row['loss']:.4f}",
            f"{row['spread']:.4f}",
            ", ".join(f"{loss:.4f}" for loss in row["losses"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
