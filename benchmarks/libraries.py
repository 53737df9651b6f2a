"""Own code against the libraries that do the same: metrics, bootstrap, probes, locks, JSON.

    python -m benchmarks.libraries

The table has titles of 200 units, 15 % of them positive. Times are CPU time on one thread, except
for the longest wait for a lock. The difference is the largest one between the two results; of
scores it is in standard deviations.
"""

import argparse
import fcntl
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import bootstrap
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.disk.locks import locked
from mediafm_core.disk.strict_json import parse_json
from mediafm_core.evaluation.evaluation_task import TaskLabels
from mediafm_core.evaluation.linear import PrincipalAxes, fit
from mediafm_core.evaluation.metrics import average_precision, roc_auc, statistic
from mediafm_core.store.records import ArtefactRecord, RecordedVersion

Lock = Callable[[Path], AbstractContextManager[None]]

STRENGTHS = 10.0 ** np.arange(0, -6, -1)
TARGETS = 12
PROCESSES = 4
UNITS = 200


@dataclass
class Compared:
    """Cost of the same work in own code and in a library, and the difference of the results."""

    work: str
    library: str
    own_s: float
    library_s: float
    difference: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--titles", type=int, default=15)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--width", type=int, default=512, help="of the vectors that probes read")
    parser.add_argument("--turns", type=int, default=20, help="of each process at a lock")
    arguments = parse(parser, small)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = [
            *metrics(arguments.titles, arguments.draws),
            intervals(arguments.titles, arguments.draws),
            probes(arguments.titles * UNITS, arguments.width),
            *locks(arguments.turns),
            records(),
        ]
    show(rows)
    write_json(arguments.json, [asdict(row) for row in rows])


def small(inputs: SmallInputs) -> list[str]:  # noqa: ARG001 - nothing of it is needed
    """Return the command line of the small setting."""
    return ["--titles", "6", "--draws", "10", "--width", "16", "--turns", "2"]


def metrics(titles: int, draws: int) -> Iterator[Compared]:
    """Compare metrics with scikit-learn's: of one title, and pooled over draws of titles."""
    random = np.random.default_rng(0)
    positives = random.random(titles * UNITS) < 0.15
    scores = random.normal(size=len(positives)) + positives
    title_of = np.repeat(np.arange(titles), UNITS)
    drawn = random.multinomial(titles, np.full(titles, 1 / titles), size=draws)
    for metric, own, library in (
        ("average_precision", average_precision, average_precision_score),
        ("roc_auc", roc_auc, roc_auc_score),
    ):
        own_s, ours = cpu_s(partial(own, scores[:UNITS], positives[:UNITS]), 100)
        library_s, theirs = cpu_s(partial(library, positives[:UNITS], scores[:UNITS]), 100)
        difference = float(abs(ours - theirs))
        yield Compared(f"{metric} of a title", "scikit-learn", own_s, library_s, difference)
        all_ = positives, scores
        own_s, ours = cpu_s(partial(pooled, metric, *all_, title_of, drawn))
        library_s, theirs = cpu_s(partial(pooled_by_library, library, *all_, title_of, drawn))
        difference = float(np.nanmax(np.abs(ours - theirs)))
        work = f"{metric}, pooled, {draws:,} draws of {titles} titles"
        yield Compared(work, "scikit-learn", own_s, library_s, difference)


def pooled(
    metric: str, positives: np.ndarray, scores: np.ndarray, title_of: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """Return a pooled metric `[draws]` by own code."""
    labels = TaskLabels("made", "binary", positives, [], np.ones(len(positives), bool))
    found = statistic(f"{metric}_pooled", scores, labels, title_of, drawn.shape[1])
    return found(drawn.astype(float))


def pooled_by_library(
    metric: Callable[..., float],
    positives: np.ndarray,
    scores: np.ndarray,
    title_of: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """Return a pooled metric `[draws]` by scikit-learn, with a weight for each unit."""
    return np.array([metric(positives, scores, sample_weight=each[title_of]) for each in drawn])


def intervals(titles: int, draws: int) -> Compared:
    """Compare the percentiles of draws of a mean over titles with `scipy.stats.bootstrap`."""
    values = np.random.default_rng(1).random(titles)

    def own() -> np.ndarray:
        random = np.random.default_rng(0)
        drawn = random.multinomial(titles, np.full(titles, 1 / titles), size=draws)
        return np.percentile(drawn @ values / titles, [2.5, 97.5])

    def library() -> np.ndarray:
        random = np.random.default_rng(0)
        options: dict[str, Any] = {"n_resamples": draws, "method": "percentile", "rng": random}
        return np.array(bootstrap((values,), np.mean, **options).confidence_interval)

    (own_s, ours), (library_s, theirs) = cpu_s(own, 20), cpu_s(library, 20)
    difference = float(np.abs(ours - theirs).max())
    return Compared(f"interval of {draws:,} draws", "SciPy", own_s, library_s, difference)


def probes(units: int, width: int) -> Compared:
    """Compare logistic probes of several targets and penalties with `LogisticRegression`."""
    random = np.random.default_rng(0)
    causes = random.normal(size=(units, 40)).astype(np.float32)
    features = causes @ random.normal(size=(40, width)).astype(np.float32)
    features += 0.5 * random.normal(size=features.shape).astype(np.float32)
    targets = (causes[:, :TARGETS] + random.normal(size=(units, TARGETS)) > 1.2).astype(np.float32)
    axes = PrincipalAxes.of(features)
    coordinates = axes.coordinates(features)

    def own() -> np.ndarray:
        return fit(coordinates, axes.variances, targets, STRENGTHS, "logistic")(coordinates)

    def library() -> np.ndarray:
        precise = coordinates.astype(np.float64)
        scores = np.empty((units, TARGETS, len(STRENGTHS)))
        for target in range(TARGETS):
            for place, strength in enumerate(STRENGTHS):
                # Its scores then are as close to those of the best weights as the own ones.
                model = LogisticRegression(C=1 / (strength * units), tol=1e-8, max_iter=5000)
                model.fit(precise, targets[:, target])
                scores[:, target, place] = model.decision_function(precise)
        return scores

    own()  # torch imports its optimisers
    (own_s, ours), (library_s, theirs) = cpu_s(own), cpu_s(library)
    difference = float((np.abs(ours - theirs).max(axis=0) / theirs.std(axis=0)).max())
    work = f"probes of {units:,} units, {TARGETS} targets, {len(STRENGTHS)} penalties"
    return Compared(work, "scikit-learn", own_s, library_s, difference)


def locks(turns: int) -> Iterator[Compared]:
    """Compare flock(2) itself, which queues, with filelock, which tries again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lock"
        both = [one_use_s(flocked, path), one_use_s(locked, path)]
        yield Compared("a lock that is free", "filelock", *both, 0)
        both = [longest_wait_s(flocked, path, turns), longest_wait_s(locked, path, turns)]
        work = f"longest wait of {PROCESSES} processes, {turns} turns of 10 ms each"
        yield Compared(work, "filelock", *both, 0)


@contextmanager
def flocked(path: Path) -> Iterator[None]:
    """Hold a lock as the system gives it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def one_use_s(lock: Lock, path: Path) -> float:
    """Measure taking and releasing a lock."""

    def use() -> None:
        with lock(path):
            pass

    return cpu_s(use, 500)[0]


def longest_wait_s(lock: Lock, path: Path, turns: int) -> float:
    """Measure the longest wait of processes that take turns at a lock."""
    context = multiprocessing.get_context("fork")
    waits: Any = context.Queue()

    def take_turns() -> None:
        longest = 0.0
        for _ in range(turns):
            began = time.monotonic()
            with lock(path):
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.01)
        waits.put(longest)

    processes = [context.Process(target=take_turns) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    longest = max(waits.get() for _ in processes)
    for process in processes:
        process.join()
    return longest


def records() -> Compared:
    """Compare how a sweep reads a record of an artefact: the own parser, and pydantic."""
    record = ArtefactRecord(
        asset="clip_features",
        title_id="a_title",
        data_version="0" * 16,
        inputs={"contextual_embeddings": "1" * 16, "clips": "2" * 16},
        identity="mediafm-4@" + "3" * 16,
        details={"clips": 100, "dimension": 256, "counts": list(range(20))},
    )
    data = record.model_dump_json().encode()
    own_s, ours = cpu_s(lambda: RecordedVersion.of(parse_json(data, finite=False)), 2000)
    library_s, theirs = cpu_s(
        lambda: RecordedVersion.of(vars(ArtefactRecord.model_validate_json(data))), 2000
    )
    work = f"a record of {len(json.dumps(json.loads(data)))} bytes"
    return Compared(work, "pydantic", own_s, library_s, float(ours != theirs))


def cpu_s(work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Return the CPU seconds of one call, as the mean over several, and its result."""
    began = time.process_time()
    for _ in range(times):
        result = work()
    return (time.process_time() - began) / times, result


def show(rows: list[Compared]) -> None:
    """Print the table."""
    table = Table("work", "library", "own, ms", "library, ms", "difference")
    for row in rows:
        table.add_row(
            row.work,
            row.library,
            f"{row.own_s * 1e3:,.3f}",
            f"{row.library_s * 1e3:,.3f}",
            f"{row.difference:.1e}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
