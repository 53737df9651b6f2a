"""Scaling curve: what training adds, against the number of titles and the size of the network.

    python -m benchmarks.scaling_curve --table SHOTS.parquet --vectors A,B --labels COLUMN,COLUMN
        [--titles 12,24,48,96,all] [--sizes 3x192,4x256] [--tested N] [--seeds 3] [--steps N]
        [--work FOLDER] [--picture FILE.svg]

Some titles are held out, the same for all points. Probes are trained and tested on these alone, so
no network has seen a title of a probe. Of the other titles, the pool, `k` are drawn at random, each
draw within the next larger one, and a network is trained on them without labels (from ten titles
on, a part of them validates). Seeds differ in draws, initial weights and folds of the probes.

A point has two figures: "trained - untrained" is `in_context` less `untrained`, the network before
its first step; "both - compact" is `both`, the compact inputs beside `in_context`, less the compact
inputs alone. What a baseline fits without labels (scales, components) it fits to the whole pool, so
that all points of a size have the same baselines. Intervals are over tested titles and seeds, as
those of `mediafm evaluate`. Other settings of networks are those of the environment, such as
`MEDIAFM_MODEL__ATTENTION=two_directions`.

`--work` keeps networks, vectors and scores of probes: the same command continues where it stopped.
Use a new folder after a change of the code.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.options import parse, write_json
from benchmarks.scaling_figures import BASELINES, Found, draw, named, show
from benchmarks.small_inputs import SmallInputs
from mediafm_core.cli.progress_display import Display, progress_display
from mediafm_core.config.settings import Settings, load_settings
from mediafm_core.disk.atomic import atomic_file
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.evaluation.bootstrap import FEWEST_TITLES, measure
from mediafm_core.evaluation.cpu_clock import CpuClock
from mediafm_core.evaluation.evaluation_sources import Table
from mediafm_core.evaluation.evaluation_task import Representation, TaskLabels
from mediafm_core.evaluation.folds import folds_of
from mediafm_core.evaluation.metrics import metric_names
from mediafm_core.evaluation.probe_splits import by_folds
from mediafm_core.evaluation.probes import out_of_fold_scores
from mediafm_core.evaluation.representations import (
    BOTH,
    COMPACT,
    IN_CONTEXT,
    UNTRAINED,
    ComposedRepresentation,
)
from mediafm_core.evaluation.seed_representations import SeedRepresentations
from mediafm_core.evaluation.units import Units
from mediafm_core.identity import digest_of, digest_of_settings
from mediafm_core.model.model_files import MODEL_VERSION
from mediafm_core.runtime.progress import WorkProgress, percent

PROBE_FOLDS = 5
DRAW_OF_TESTED = 0  # seed of the held-out titles, the same for all seeds


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="Parquet or CSV of shots")
    parser.add_argument("--vectors", metavar="A,B", required=True, help="columns of the table")
    parser.add_argument("--labels", metavar="A,B", required=True, help="columns, each by itself")
    parser.add_argument(
        "--titles", metavar="N,N,all", default="12,24,48,96,all", help="to train on"
    )
    parser.add_argument("--sizes", metavar="LxH,LxH", default="3x192,4x256", help="layers x width")
    parser.add_argument("--tested", type=int, help="held-out titles, a quarter by default")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of a training")
    parser.add_argument("--work", type=Path, help="folder that keeps networks and scores")
    parser.add_argument("--picture", type=Path, help="SVG or PNG to draw")
    arguments = parse(parser, small)
    if arguments.seeds < 1:
        parser.error(f"{arguments.seeds} seeds measure nothing: name 1 or more")
    try:
        settings, sizes = load_settings(), parse_sizes(arguments.sizes)
        if arguments.steps:
            training = settings.training.model_copy(update={"steps": arguments.steps})
            settings = settings.model_copy(update={"training": training})
        with (
            tempfile.TemporaryDirectory() as folder,
            progress_display(sys.stderr) as display,
        ):
            work = arguments.work or Path(folder)
            curve = Curve(arguments, settings, sizes, work, display)
            found = curve.measure()
    except MediaFMError as error:
        parser.error(str(error))
    show(found)
    write_json(arguments.json, asdict(found))
    if arguments.picture:
        with atomic_file(arguments.picture) as prepared:
            draw(found.points, prepared)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    table = ["--table", str(inputs.table), "--vectors", "vector", "--labels", "starts_scene"]
    size = ["--titles", "1,all,9", "--sizes", "1x8", "--tested", "3", "--steps", "2"]
    return [*table, *size, "--picture", str(inputs.folder / "scaling_curve.svg")]


class Size(NamedTuple):
    """Size of a network."""

    layers: int
    hidden: int

    def __str__(self) -> str:
        return f"{self.layers} x {self.hidden}"

    def settings(self, of: Settings) -> Settings:
        """Return settings with a network of this size, its feed-forward layers 4 times as wide.

        Raises:
            ConfigurationError: The width cannot be divided among the heads.
        """
        if self.hidden % of.model.heads:
            raise ConfigurationError(
                f"The width {self.hidden} is no multiple of the {of.model.heads} heads: name "
                "another size, or set model.heads."
            )
        size = {"layers": self.layers, "hidden": self.hidden, "feed_forward": 4 * self.hidden}
        return of.model_copy(update={"model": of.model.model_copy(update=size)})


def parse_sizes(text: str) -> list[Size]:
    """Parse sizes such as `3x192,4x256`.

    Raises:
        ConfigurationError: A size is written otherwise.
    """
    sizes = []
    for each in text.split(","):
        layers, _, hidden = each.strip().partition("x")
        if not (layers.isdecimal() and hidden.isdecimal() and int(layers) and int(hidden)):
            raise ConfigurationError(
                f"The size {each.strip()!r} is not layers x width: write it like 3x192."
            )
        sizes.append(Size(int(layers), int(hidden)))
    return list(dict.fromkeys(sizes))


def parse_counts(text: str, pool: int) -> tuple[list[int], list[int]]:
    """Parse numbers of titles such as `12,24,all`.

    Returns:
        Numbers up to that of the pool, which is `all`, in rising order, and those above it.

    Raises:
        ConfigurationError: An entry is neither a number above zero nor `all`, or all are above the
            pool.
    """
    counts = []
    for each in map(str.strip, text.split(",")):
        if each != "all" and not (each.isdecimal() and int(each)):
            raise ConfigurationError(
                f"{each!r} is no number of titles: write numbers above 0, or all, like 12,24,all."
            )
        counts.append(pool if each == "all" else int(each))
    counts = sorted(set(counts))
    if counts[0] > pool:
        raise ConfigurationError(
            f"{pool} titles are not held out, fewer than {counts[0]}: name a smaller number, or "
            "all."
        )
    return [each for each in counts if each <= pool], [each for each in counts if each > pool]


def held_out(titles: int, tested: int | None) -> np.ndarray:
    """Return which titles are held out, `[titles]` bool; a quarter, at least six, for None.

    Raises:
        ConfigurationError: Too few titles are left for probes, or for training.
    """
    count = max(titles // 4, FEWEST_TITLES) if tested is None else tested
    if not 3 <= count < titles:
        raise ConfigurationError(
            f"{count} of {titles} titles cannot be held out: probes need 3, and one must be left "
            "to train on; use --tested, or a table of more titles."
        )
    chosen = np.random.default_rng(DRAW_OF_TESTED).permutation(titles)[:count]
    return np.isin(np.arange(titles), chosen)


class Curve:
    """Measurement of all points.

    Args:
        arguments: of the command line.
        settings: of networks; their sizes replace its own.
        sizes: of the networks.
        work: folder of networks, vectors and scores.
        display: shows the progress.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: Settings,
        sizes: Sequence[Size],
        work: Path,
        display: Display,
    ) -> None:
        self.source = Table(arguments.table, tuple(arguments.vectors.split(",")))
        self.labels = list(dict.fromkeys(arguments.labels.split(",")))
        self.settings = settings
        self.sizes = {str(size): size.settings(settings) for size in sizes}
        self.seeds = range(arguments.seeds)
        self.titles, self.tested = arguments.titles, arguments.tested
        self.work = work
        self.display = display
        self.clock = CpuClock()
        self._done, self._total = 0, 1

    def measure(self) -> Found:
        """Return the points of all labels."""
        found = Found(seeds=len(self.seeds))
        for label in self.labels:
            units = self.source.units(self.settings, [label], None)
            tested = held_out(len(units.titles), self.tested)
            pool = np.flatnonzero(~tested)
            counts, above = parse_counts(self.titles, len(pool))
            if above and label == self.labels[0]:
                names = ", ".join(map(str, above))
                self.display.write(f"left out: {names} titles; {len(pool)} are not held out")
            found.held_out = int(tested.sum())
            runs = len(self.labels) * len(self.sizes) * len(self.seeds)
            self._total = runs * (len(BASELINES) + 2 * len(counts))
            known = units.labels.known & tested[units.title_of]
            labels = replace(units.labels, known=known)
            titles = np.array(units.titles)[units.title_of]
            for network, settings in self.sizes.items():
                scores: dict[str, list[np.ndarray]] = defaultdict(list)
                for seed in self.seeds:
                    probes = Probes(self, units, labels, pool, seed)
                    for name, of_seed in probes.scores(f"{label}, {network}", settings, counts):
                        scores[name].append(of_seed)
                with self.clock.working("intervals"):
                    evaluation = measure(
                        scores,
                        labels,
                        titles,
                        baselines=(UNTRAINED, COMPACT),
                        metrics=metric_names(labels.task)[:1],
                        draws=self.settings.evaluation.bootstrap_samples,
                    )
                found.add(label, network, counts, evaluation)
        found.cpu_seconds = self.clock.seconds()
        return found

    def show(self, doing: str, share: float = 0.0) -> None:
        """Show the current work, and count the share of the current probes."""
        done = self._done + share
        self.display.show(
            WorkProgress(doing, done / self._total, self._done, self._total, "representations")
        )

    def end(self) -> None:
        """Count the current probes as done."""
        self._done += 1


class Probes:
    """Probes of a label and seed on the held-out titles. Their scores are kept in files.

    Args:
        curve: of which they are a part.
        units: all titles.
        labels: known in held-out titles only.
        pool: positions of the titles to train networks on.
        seed: of the draws of titles, of trainings and of folds.
    """

    def __init__(
        self, curve: Curve, units: Units, labels: TaskLabels, pool: np.ndarray, seed: int
    ) -> None:
        self.curve = curve
        self.units = units
        self.labels = labels
        self.order = np.random.default_rng(seed).permutation(pool)
        self.seed = seed
        self.titles = np.array(units.titles)[units.title_of]
        probe_fold_of = folds_of(self.titles, labels, PROBE_FOLDS, seed)
        # The network is the same in all folds of the probes.
        self.splits = [replace(split, fold=0) for split in by_folds(probe_fold_of)]

    def scores(
        self, what: str, settings: Settings, counts: Sequence[int]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield names and scores of the baselines, and of both representations at each number.

        Args:
            what: label and network, for the progress.
            settings: of the network.
            counts: numbers of titles to train on.
        """
        whole = self._representations(settings, self.order, BASELINES, what)
        for name in BASELINES:
            of_network = settings if name == UNTRAINED else None
            make = partial(whole.make, name)
            yield name, self._score(name, make, of_network, len(self.order), what)
        for count in counts:
            trained = self._representations(settings, self.order[:count], [IN_CONTEXT], what)
            for name in (IN_CONTEXT, BOTH):
                parts = [COMPACT, IN_CONTEXT] if name == BOTH else [IN_CONTEXT]
                makers = {COMPACT: whole, IN_CONTEXT: trained}
                make = partial(_side_by_side, name, [(makers[part], part) for part in parts])
                found = self._score(name, make, settings, count, f"{what}, {count} titles")
                yield named(name, count), found

    def _representations(
        self, settings: Settings, chosen: np.ndarray, names: Sequence[str], what: str
    ) -> SeedRepresentations:
        """Return representations whose networks are trained on the chosen titles."""
        curve = self.curve
        # Networks of fold 0 are trained on the titles outside it.
        fold_of = np.isin(self.units.title_of, chosen).astype(np.int64)
        return SeedRepresentations(
            settings,
            curve.source,
            self.units,
            fold_of,
            self.seed,
            names,
            curve.work,
            curve.display.write,
            lambda state: curve.show(f"{what}: {state}"),
            curve.clock,
        )

    def _score(
        self,
        name: str,
        make: Callable[[], Representation],
        settings: Settings | None,
        count: int,
        what: str,
    ) -> np.ndarray:
        """Return scores of a representation, from a file if there is one."""
        curve = self.curve
        path = curve.work / "scores" / f"{self._key(name, settings, count)}.npy"
        curve.show(f"{what}, seed {self.seed}: {name}")
        if path.exists():
            found: np.ndarray = np.load(path)
        else:
            with curve.clock.working("probes", name):
                found = out_of_fold_scores(
                    make(),
                    self.labels,
                    self.titles,
                    self.splits,
                    self.seed,
                    lambda share: curve.show(
                        f"{what}, seed {self.seed}: {name} {percent(share)}", share
                    ),
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as prepared:
                np.save(prepared, found)
        curve.end()
        return found

    def _key(self, name: str, settings: Settings | None, count: int) -> str:
        """Return a digest of all that decides the scores of a representation, but the code."""
        facts = {} if settings is None else self.curve.source.facts(settings)
        return digest_of(
            self.units.digest,
            name,
            digest_of_settings({**facts, "version": MODEL_VERSION, "seed": self.seed}),
            self.order.tobytes(),
            str(count),
            self.labels.values.tobytes(),
            self.labels.known.tobytes(),
        )


def _side_by_side(
    name: str, parts: Sequence[tuple[SeedRepresentations, str]]
) -> ComposedRepresentation:
    return ComposedRepresentation(name, [made_by.make(part) for made_by, part in parts])


if __name__ == "__main__":
    main()
