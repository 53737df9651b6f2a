"""Mutated inputs of every kind: each is served, or refused with one sentence that names it.

    python -m benchmarks.fuzz [--inputs 5000] [--seed 1] [--kinds mp4,srt] [--json FILE]
    python -m benchmarks.fuzz --only mp4/17 --seed 1

Kinds: media in eight containers, captions in three formats, manifests, clips, settings (file,
environment, command line), models, artefacts, shards, `features.duckdb`, `serving.json`, Dagster's
`dagster.yaml` and run configuration. Each input is drawn from the seed, its kind and its number
alone, so that `--only KIND/NUMBER` repeats it.

It needs Linux: inotify, /proc, and the program of the package imageio-ffmpeg.

An input fails where it ends its process (`crash`), takes more than its CPU time, time or memory
(`hang`, `memory`), raises an error that is not of the project's classes (`traceback`) or one that
names no input (`unexplained`), is refused in more than 300 characters (`long`) or without a name
(`unnamed`), or opens a file outside (`foreign`): canaries beside the inbox are watched by inotify,
and what Python opens, connects to and starts by an audit hook. Failing inputs are kept. A kind
whose sound input is not served is `unsound`, a fault of this command or of the platform.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from benchmarks.fuzzing.corpus import Corpus
from benchmarks.fuzzing.kinds import kinds
from benchmarks.fuzzing.pool import Limits, Worker
from benchmarks.fuzzing.worker import draw
from benchmarks.fuzzing.worker_folder import prepare
from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs

FAILURES = (
    *("crash", "hang", "memory", "traceback", "unexplained", "long", "unnamed", "foreign"),
    "unsound",
)
_SHOWN = 1500
_PROGRESS_INPUTS = 50


def main() -> None:
    """Run all inputs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=5000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="", help="only these, separated by commas")
    parser.add_argument("--only", metavar="KIND/NUMBER", help="repeat one input")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"), metavar="FOLDER")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cpu-seconds", type=float, default=40.0, help="limit of an input")
    parser.add_argument("--wall-seconds", type=float, default=300.0, help="limit of an input")
    parser.add_argument("--memory-mib", type=float, default=3072.0, help="limit of an input")
    arguments = parse(parser, small)
    chosen = [name for name in kinds() if not arguments.kinds or name in arguments.kinds.split(",")]
    inputs = [
        (kind, number) for number in range(-(-arguments.inputs // len(chosen))) for kind in chosen
    ][: arguments.inputs]
    if arguments.only:
        kind, _, number = arguments.only.rpartition("/")
        inputs = [(kind, int(number))]
    with tempfile.TemporaryDirectory(prefix="mediafm_fuzz_") as temporary:
        found = run_all(inputs, arguments, Path(temporary))
    rows = [row_of(kind, found[kind]) for kind in chosen if kind in found]
    print_table(rows)
    write_json(arguments.json, rows)
    sys.exit(any(row["failures"] for row in rows))


def small(_: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return ["--inputs", str(len(kinds())), "--processes", "1"]


def run_all(
    inputs: Sequence[tuple[str, int]], arguments: argparse.Namespace, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Run all inputs in worker processes; a worker that an input ended is replaced.

    Returns:
    The outcome of each, by kind.
    """
    limits = Limits(arguments.cpu_seconds, arguments.wall_seconds, arguments.memory_mib)
    corpus = Corpus(folder / "corpus")
    corpus.folder.mkdir()
    corpus.make()
    workers: SimpleQueue[Worker] = SimpleQueue()
    for number in range(arguments.processes):
        workers.put(Worker(corpus, folder / f"worker-{number}", limits))
    reporting = Lock()
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def take(kind: str, number: int) -> None:
        worker = workers.get()
        try:
            came = worker.run(kind, number, arguments.seed)
        finally:
            workers.put(worker)
        with reporting:
            found[kind].append(came)
            done = sum(map(len, found.values()))
            if done % _PROGRESS_INPUTS == 0:
                print(f"{done} of {len(inputs)} inputs", file=sys.stderr, flush=True)
            if came["came"] in FAILURES or arguments.only:
                _report(kind, number, arguments, corpus, came)

    try:
        with ThreadPoolExecutor(arguments.processes) as pool:
            list(pool.map(lambda each: take(*each), inputs))
    finally:
        for _ in range(arguments.processes):
            workers.get().close()
    return found


def row_of(kind: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the line of a kind in the table."""
    counts = Counter(each["came"] for each in found)
    return {
        "kind": kind,
        "inputs": len(found),
        "served": counts["served"],
        "refused": counts["refused"],
        "failures": sum(counts[name] for name in FAILURES),
        **{name: counts[name] for name in FAILURES},
        "seconds": round(sum(each["seconds"] for each in found), 1),
        "slowest_s": round(max(each["seconds"] for each in found), 2),
        "peak_mib": max(each.get("peak_mib", 0) for each in found),
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a line for each kind and one for all."""
    columns = ("inputs", "served", "refused", *FAILURES, "seconds", "slowest_s", "peak_mib")
    print(f"{'kind':18}" + "".join(f"{name:>{max(9, len(name) + 1)}}" for name in columns))
    whole = {name: round(sum(row[name] for row in rows), 1) for name in columns}
    whole |= {name: max(row[name] for row in rows) for name in ("slowest_s", "peak_mib")}
    for row in (*rows, {"kind": "all", **whole}):
        print(
            f"{row['kind']:18}"
            + "".join(f"{row[name]:>{max(9, len(name) + 1)}}" for name in columns)
        )


def _report(
    kind: str,
    number: int,
    arguments: argparse.Namespace,
    corpus: Corpus,
    found: dict[str, Any],
) -> None:
    """Print the outcome of an input, and keep the input."""
    root = corpus.folder.parent / "kept"
    prepare(root, corpus)
    made = draw(kinds()[kind], arguments.seed, number, corpus, root)
    kept = ""
    if isinstance(made.content, bytes):
        suffix = "".join(Path(made.file).suffixes[-1:])
        path = arguments.keep / f"{kind.replace(' ', '_')}-{arguments.seed}-{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made.write(root), path)
        kept = f", kept as {path}"
    print(
        f"{kind}/{number} of seed {arguments.seed} ({made.mutation}): {found['came']}{kept}\n"
        f"{found['text'][-_SHOWN:]}\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
