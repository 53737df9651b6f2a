"""First model of a catalogue: trained on its own titles, or a network that others have trained.

    python -m benchmarks.first_model --inbox INBOX [--model FOLDER]
    python -m benchmarks.first_model --table SHOTS.parquet --vectors A,B --label COLUMN
        [--titles 2,5,10,all,own] [--steps 50,200,800] [--folds 2] [--seeds 3]

With `--inbox`: CPU seconds of a first `mediafm run` that trains a model, and of one that serves the
model in a folder (by default the one that the first run has trained).

With `--table`: how useful networks are that were trained on few titles. The titles are divided into
folds. For each fold, networks are trained without labels on `k` titles outside it, drawn at random,
and contextualise the titles inside it; linear probes on these vectors are trained and tested on
titles inside the fold only, so that no network has seen a title of a probe. "all" are all titles
outside, the network of others; "own" are the titles inside the fold themselves, as the first run of
a catalogue trains on them. "flat" is the fused vector without a network, "untrained" the network
of all titles before its first step. Figures are the task's primary metric with 95 % intervals over
titles and seeds, its differences from these two, and CPU seconds of one training.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm, timed
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.evaluation.bootstrap import measure
from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.evaluation.fixed_representations import fixed_representation
from mediafm_core.evaluation.folds import folds_of
from mediafm_core.evaluation.metrics import metric_names
from mediafm_core.evaluation.network_vectors import VectorRequest, compute_vectors
from mediafm_core.evaluation.networks import FoldNetworks
from mediafm_core.evaluation.probe_splits import by_folds
from mediafm_core.evaluation.probes import out_of_fold_scores
from mediafm_core.evaluation.table_units import read_table
from mediafm_core.evaluation.units import Units
from mediafm_core.pipeline.serving import serving_model
from mediafm_core.store.store import Store

FLAT, UNTRAINED = "flat", "untrained"
PROBE_FOLDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inbox", type=Path, help="title folders of a new catalogue")
    parser.add_argument("--model", type=Path, help="folder of a model, to serve in a first run")
    parser.add_argument("--table", type=Path, help="Parquet: title, shot_index, vectors, label")
    parser.add_argument("--vectors", metavar="A,B", default="", help="columns of the table")
    parser.add_argument("--label", help="column of the table")
    parser.add_argument("--titles", metavar="K,K", default="2,5,10,all,own", help="to train on")
    parser.add_argument("--steps", metavar="N,N", default="50,200,800", help="of a training")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parse(parser, small)
    if not arguments.inbox and not arguments.table:
        parser.error("name an inbox, a table or both")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.inbox:
            figures["runs"] = first_runs(arguments.inbox, arguments.model, Path(folder))
            show_runs(figures["runs"])
        if arguments.table:
            units = read_table(arguments.table, arguments.vectors.split(","), [arguments.label])
            figures |= Trainings(units, arguments, Path(folder)).measure()
            show_usefulness(figures)
    write_json(arguments.json, figures)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    table = ["--table", str(inputs.table), "--vectors", "vector", "--label", "starts_scene"]
    return ["--inbox", str(inputs.inbox), *table, "--titles", "2,own", "--steps", "2"]


def first_runs(inbox: Path, model: Path | None, folder: Path) -> list[dict[str, Any]]:
    """Measure a first run with a training, and one that serves the model of others."""
    own, others = folder / "own", folder / "others"
    trained = timed(mediafm("run", inbox=inbox, store=own))
    if model is None:
        store = Store(own)
        model = store.models / (serving_model(store) or "")
    served = timed(mediafm("run", "--model", str(model), inbox=inbox, store=others))
    return [{"first model": "trained", **trained}, {"first model": "of others", **served}]


@dataclass
class Vectors:
    """Vectors of all units, the same for every fold of a probe."""

    name: str
    vectors: np.ndarray

    def parts(self, fold: int) -> list[np.ndarray]:  # noqa: ARG002
        """Return the vectors `[n, h]`."""
        return [self.vectors]


@dataclass(frozen=True)
class Fold:
    """Titles that probes are trained and tested on, and those that networks are trained on.

    Attributes:
        seed: of the division, of the draws of titles and of trainings.
        labels: known inside the fold only.
        probe_fold_of: `[n]`, fold of the probes.
        inside: positions of the titles inside the fold.
        outside: positions of the titles outside the fold, in random order.
    """

    seed: int
    labels: TaskLabels
    probe_fold_of: np.ndarray
    inside: np.ndarray
    outside: np.ndarray

    def chosen(self, titles: str) -> np.ndarray | None:
        """Return titles to train on, by their number, `all` or `own`; None if there are fewer."""
        if titles == "own":
            return self.inside
        if titles == "all":
            return self.outside
        count = int(titles)
        return self.outside[:count] if count < len(self.outside) else None


class Trainings:
    """Trainings on few titles, and probes on other titles.

    Args:
        units: shots with labels.
        arguments: of the command line.
        work: folder of networks and vectors.
    """

    def __init__(self, units: Units, arguments: argparse.Namespace, work: Path) -> None:
        self.units = units
        self.titles = np.array(units.titles)[units.title_of]
        self.folds = arguments.folds
        self.seeds = arguments.seeds
        self.steps = [int(each) for each in arguments.steps.split(",")]
        self.choices = arguments.titles.split(",")
        self.work = work
        self.settings = load_settings()

    def measure(self) -> dict[str, Any]:
        """Return the metric of each training and its differences from what is not trained."""
        scores: dict[str, list[np.ndarray]] = {}
        cpu: dict[str, list[float]] = defaultdict(list)
        by_name: dict[str, dict[str, Any]] = {}
        for seed in range(self.seeds):
            of_seed: dict[str, np.ndarray] = {}
            for fold in self._folds(seed):
                for name, facts, vectors, seconds in self._vectors(fold):
                    by_name[name] = facts
                    cpu[name].append(seconds)
                    found = out_of_fold_scores(
                        Vectors(name, vectors),
                        fold.labels,
                        self.titles,
                        by_folds(fold.probe_fold_of),
                        seed,
                    )
                    so_far = of_seed.setdefault(name, np.full_like(found, np.nan))
                    so_far[fold.labels.known] = found[fold.labels.known]
            for name, array in of_seed.items():
                scores.setdefault(name, []).append(array)
        metric = metric_names(self.units.labels.task)[0]
        evaluation = measure(scores, self.units.labels, self.titles, baselines=(FLAT, UNTRAINED))
        rows: dict[str, dict[str, Any]] = {
            each.representation: _figure("value", each)
            for each in evaluation.results
            if each.metric == metric
        }
        for each in evaluation.differences:
            if each.metric == metric:
                rows[each.representation] |= _figure(f"minus {each.baseline}", each)
        return {
            "metric": metric,
            "usefulness": [
                {"network": name, **by_name[name], **row, "cpu_seconds": float(np.mean(cpu[name]))}
                for name, row in rows.items()
            ],
        }

    def _folds(self, seed: int) -> Iterator[Fold]:
        labels = self.units.labels
        fold_of = folds_of(self.titles, labels, self.folds, seed)
        for fold in range(self.folds):
            inside = fold_of == fold
            known = replace(labels, known=labels.known & inside)
            outside = np.unique(self.units.title_of[~inside])
            yield Fold(
                seed,
                known,
                folds_of(self.titles, known, PROBE_FOLDS, seed),
                np.unique(self.units.title_of[inside]),
                np.random.default_rng([seed, fold]).permutation(outside),
            )

    def _vectors(self, fold: Fold) -> Iterator[tuple[str, dict[str, Any], np.ndarray, float]]:
        """Yield names, titles and steps of trainings, vectors of all shots, and CPU seconds."""
        flat = fixed_representation(FLAT, self.units)
        assert flat is not None
        yield FLAT, {}, flat.parts(0)[0], 0.0
        untrained = self._networks(fold, fold.outside, self.steps[0], trained=False)
        yield UNTRAINED, {}, self._in_context(untrained), 0.0
        for titles in self.choices:
            chosen = fold.chosen(titles)
            if chosen is None:
                continue
            for steps in self.steps:
                networks = self._networks(fold, chosen, steps)
                started = time.process_time()
                networks.identity(0)
                seconds = time.process_time() - started
                facts = {"titles": titles, "steps": steps}
                vectors = self._in_context(networks)
                yield f"{titles} titles, {steps} steps", facts, vectors, seconds

    def _networks(
        self, fold: Fold, chosen: np.ndarray, steps: int, trained: bool = True
    ) -> FoldNetworks:
        """Return a network that is trained on the chosen titles: those outside its fold 0."""
        training = self.settings.training.model_copy(update={"steps": steps})
        settings: Settings = self.settings.model_copy(update={"training": training})
        fold_of = np.isin(self.units.title_of, chosen).astype(np.int64)
        return FoldNetworks(
            self.units, fold_of, settings, fold.seed, self.work, print, trained=trained
        )

    def _in_context(self, networks: FoldNetworks) -> np.ndarray:
        network = networks.network(0)
        return compute_vectors(network, self.units, VectorRequest("in_context"), "float32")


def _figure(name: str, found: Any) -> dict[str, float]:
    """Return a figure and the ends of its interval by names; without what is not measurable."""
    values = {name: found.value, f"{name}, low": found.low, f"{name}, high": found.high}
    return {key: value for key, value in values.items() if value is not None}


def show_runs(rows: Sequence[dict[str, Any]]) -> None:
    """Print the cost of the first runs."""
    table = Table("first model", "CPU s", "s", "peak MB")
    for row in rows:
        numbers = [f"{row['cpu_seconds']:.1f}", f"{row['seconds']:.1f}", str(row["peak_memory_mb"])]
        table.add_row(row["first model"], *numbers)
    console = Console()
    console.print(table)
    trained, served = (row["cpu_seconds"] for row in rows)
    console.print(f"Training takes {1 - served / trained:.0%} of the CPU time of the first run.")


def show_usefulness(figures: dict[str, Any]) -> None:
    """Print the metric by titles and steps."""
    metric = figures["metric"].replace("_", " ")
    differences = [f"minus {name}" for name in (FLAT, UNTRAINED)]
    table = Table("network trained on", metric, *differences, "CPU s of training")
    for row in figures["usefulness"]:
        texts = [_text(row, name, "+.3f") for name in differences]
        cpu = f"{row['cpu_seconds']:.1f}" if "steps" in row else ""
        table.add_row(row["network"], _text(row, "value", ".3f"), *texts, cpu)
    Console().print(table)


def _text(row: dict[str, Any], name: str, form: str) -> str:
    if name not in row:
        return ""
    ends = [f"{row[end]:{form}}" for end in (f"{name}, low", f"{name}, high") if end in row]
    return f"{row[name]:{form}}" + (f" ({' to '.join(ends)})" if ends else "")


if __name__ == "__main__":
    main()
