"""Cost of search: exact, through the index, and by DuckDB, over clips of made-up vectors.

    python -m benchmarks.search FOLDER [--clips 100000,1000000] [--width 2304]
        [--data random,clustered] [--cases float32,float16,streamed,index,duckdb] [--json FILE]

FOLDER gets a catalogue per size and kind of data, which is removed afterwards: shards as `publish`
writes them, 20 clips a title. Each case runs in a process of its own, so that its peak memory is
its own.

    random     directions drawn evenly: the worst case for any index, since in so many dimensions
               all clips are almost equally far from a query
    clustered  each clip near one of many centres, as the vectors of films are

    float32    exact, vectors held in memory
    float16    the same in half the memory
    streamed   exact, vectors read from the shards for the search, as `mediafm similar` does
    index      built by `mediafm index`, then searched; recall at 10 against exact search
    duckdb     `ORDER BY array_cosine_similarity(...) LIMIT 10` over the same views

`bare` is one float32 matrix product of the same vectors and queries, without selecting the best;
beside float16, of as many of them as fit into 4 GiB of float32, scaled up. It runs in turn with the
search, and `share` is the median of bare time over search time: 1 is as fast; `cpu_share` likewise,
of CPU time. Queries per second are by the clock, which other work on the machine lowers.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.store.features.shards import ShardWriter
from mediafm_core.store.features.snapshot import Snapshot
from mediafm_core.store.features.snapshot_writer import SnapshotWriter, writing
from mediafm_core.store.store import Store
from mediafm_core.vectors import to_arrow, unit_length

MODEL = "model-1@0"
CLIPS_OF_A_TITLE = 20
CLIPS_OF_A_SHARD = 7000  # of 2,304 numbers: 64 MiB
CLIPS_OF_A_CENTRE = 200
SPREAD = 1.0  # length of a clip's own part beside its centre's of length one
K, BATCH, ROUNDS = 10, 64, 5
FITS_BYTES = 4 << 30
CASES = ("float32", "float16", "streamed", "index", "duckdb")


def vectors(kind: str, first: int, count: int, clips: int, width: int) -> np.ndarray:
    """Draw unit vectors of some clips; `first` is the seed."""
    draw = np.random.default_rng([first, 1])
    own = draw.standard_normal((count, width), dtype=np.float32)
    if kind == "clustered":
        centres = _centres(clips, width)
        own *= SPREAD / np.sqrt(width)
        own += centres[draw.integers(len(centres), size=count)]
    return unit_length(own)


def _centres(clips: int, width: int) -> np.ndarray:
    count = max(2, clips // CLIPS_OF_A_CENTRE)
    return unit_length(np.random.default_rng(0).standard_normal((count, width), dtype=np.float32))


def queries(kind: str, clips: int, width: int) -> np.ndarray:
    """Draw queries as the clips are drawn; none is a clip."""
    return vectors(kind, 2**40, BATCH, clips, width)


def write_catalogue(folder: Path, kind: str, clips: int, width: int) -> None:
    """Write shards and the snapshot of them, in bounded memory."""
    store, shards = Store(folder), []
    for first in range(0, clips, CLIPS_OF_A_SHARD):
        count = min(CLIPS_OF_A_SHARD, clips - first)
        with ShardWriter(store, MODEL) as writer:
            for name, table in _tables(first, vectors(kind, first, count, clips, width)).items():
                writer.write(name, table)
            writer.titles = -(-count // CLIPS_OF_A_TITLE)
            shards.append(writer.finish())
    with writing(store) as connection:
        SnapshotWriter(store, connection, Snapshot(MODEL, width, tuple(shards))).cut_over(None)


def _tables(first: int, embedding: np.ndarray) -> dict[str, pa.Table]:
    number = first + np.arange(len(embedding))
    place = number % CLIPS_OF_A_TITLE
    title = pa.array([f"title-{each:06d}" for each in number // CLIPS_OF_A_TITLE])
    labels = pa.array([[]] * len(number), pa.map_(pa.string(), pa.string()))
    clips = pa.table(
        {
            "title_id": title,
            "clip_id": pa.array([f"clip-{each:03d}" for each in place]),
            "start_s": place * 30.0,
            "end_s": place * 30.0 + 30.0,
            "proposed": np.ones(len(number), bool),
            "first_shot": place.astype(np.int32),
            "last_shot": place.astype(np.int32),
            "labels": labels,
            "embedding": to_arrow(embedding),
        }
    )
    ids = title.unique()
    texts = ("name", "kind", "language", "synopsis", "data_version", "title_version")
    titles = pa.table(
        {
            "title_id": ids,
            **dict.fromkeys(texts, ids),
            "tags": pa.array([["a tag"]] * len(ids)),
            "duration_s": np.full(len(ids), 600.0),
            "shots": np.full(len(ids), CLIPS_OF_A_TITLE, np.int32),
            "clips": np.full(len(ids), CLIPS_OF_A_TITLE, np.int32),
            "embedding": to_arrow(embedding[: len(ids)]),
        }
    )
    shots = pa.schema(
        [
            *(("title_id", pa.string()), ("shot_index", pa.int32())),
            *(("start_s", pa.float64()), ("end_s", pa.float64())),
            *(("start_frame", pa.int64()), ("end_frame", pa.int64()), ("text", pa.string())),
            *((f"has_{name}", pa.bool_()) for name in ("video", "audio", "text")),
            ("scene_index", pa.int32()),
            ("scene_probability", pa.float32()),
            ("embedding", to_arrow(embedding[:1]).type),
        ]
    )
    return {"titles": titles, "shots": shots.empty_table(), "clips": clips}


class Stopwatch:
    """Seconds by the clock and of CPU, of the last `with`."""

    def __enter__(self) -> "Stopwatch":
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_error: object) -> None:
        wall, cpu = self._start
        self.seconds, self.cpu = time.perf_counter() - wall, time.process_time() - cpu


def measure_held(folder: Path, asked: np.ndarray, precision: str) -> dict[str, Any]:
    """Measure exact search of vectors in memory and the bare product, in turn."""
    import mediafm_core

    with Stopwatch() as loading, mediafm_core.Searcher(folder, precision=precision) as searcher:
        held = searcher._search._vectors.matrix
        scale = max(1.0, held.size * 4 / FITS_BYTES) if precision != "float32" else 1.0
        some = held[: int(len(held) / scale)]
        bare_vectors = some if precision == "float32" else some.astype(np.float32)
        scale = len(held) / len(some)
        found: dict[str, Any] = {"open_s": loading_so_far(loading)}
        for name, batch in (("1", asked[:1]), (str(BATCH), asked)):
            searches, bares = [], []
            out = np.empty((len(some), len(batch)), dtype=np.float32)
            columns = np.ascontiguousarray(batch.T)
            searcher.nearest(batch, k=K, exact=True)  # memory that is touched first is slower
            np.matmul(bare_vectors, columns, out=out)
            for _ in range(ROUNDS):
                with Stopwatch() as bare:
                    np.matmul(bare_vectors, columns, out=out)
                with Stopwatch() as search:
                    searcher.nearest(batch, k=K, exact=True)
                bares.append((bare.seconds * scale, bare.cpu * scale))
                searches.append((search.seconds, search.cpu))
            found |= _summary(name, searches, len(batch))
            found[f"bare_cpu_ms_{name}"] = 1e3 * statistics.median(cpu for _, cpu in bares)
            for kind, column in (("share", 0), ("cpu_share", 1)):
                ratios = [b[column] / s[column] for b, s in zip(bares, searches, strict=True)]
                found[f"{kind}_{name}"] = statistics.median(ratios)
        return found


def loading_so_far(watch: Stopwatch) -> float:
    """Return the seconds since a running stopwatch was started."""
    return time.perf_counter() - watch._start[0]


def measure_streamed(folder: Path, asked: np.ndarray) -> dict[str, Any]:
    """Measure one call that reads all vectors."""
    import mediafm_core

    found: dict[str, Any] = {}
    for name, batch in (("1", asked[:1]), (str(BATCH), asked)):
        with Stopwatch() as search, mediafm_core.Searcher(folder, precision=None) as searcher:
            searcher.nearest(batch, k=K, exact=True)
        found |= _summary(name, [(search.seconds, search.cpu)], len(batch))
    return found


def measure_index(
    folder: Path, asked: np.ndarray, connectivity: int, expansion: int, threads: int
) -> dict[str, Any]:
    """Build and search the index, without vectors in memory."""
    import mediafm_core
    from mediafm_core.search import clip_index

    store = Store(folder)
    with Stopwatch() as exact_watch, mediafm_core.Searcher(folder, precision=None) as searcher:
        exact = searcher.nearest(asked, k=K, exact=True)
        clips = searcher._search.clips
        options = {"connectivity": connectivity, "expansion_add": expansion}
        with Stopwatch() as build:
            built = clip_index.build_index(store, clips, threads, _progress(), **options)
    del exact_watch
    found: dict[str, Any] = {
        "connectivity": connectivity,
        "expansion_add": expansion,
        "build_s": build.seconds,
        "build_cpu_s": build.cpu,
        "index_gib": built.bytes / (1 << 30),
    }
    with Stopwatch() as opening, mediafm_core.Searcher(folder, precision=None) as searcher:
        first = searcher.nearest(asked, k=K)
        found["open_s"] = loading_so_far(opening)
        found["recall_at_10"] = _shared(exact, first) / exact.num_rows
        for name, batch in (("1", asked[:1]), (str(BATCH), asked)):
            times = []
            for _ in range(ROUNDS):
                with Stopwatch() as search:
                    searcher.nearest(batch, k=K)
                times.append((search.seconds, search.cpu))
            found |= _summary(name, times, len(batch))
    return found


def measure_duckdb(folder: Path, asked: np.ndarray) -> dict[str, Any]:
    """Find the nearest clips of one query in plain SQL."""
    import mediafm_core

    with Stopwatch() as search:
        mediafm_core.sql(
            "SELECT title_id, clip_id FROM clip_features ORDER BY "
            f"array_cosine_similarity(embedding, $query::FLOAT[{asked.shape[1]}]) DESC LIMIT {K}",
            {"query": asked[0].tolist()},
            store=folder,
        )
    return _summary("1", [(search.seconds, search.cpu)], 1)


def _summary(name: str, times: list[tuple[float, float]], batch: int) -> dict[str, float]:
    return {
        f"per_s_{name}": batch / statistics.median(seconds for seconds, _ in times),
        f"cpu_ms_{name}": 1e3 * statistics.median(cpu for _, cpu in times),
    }


def _shared(one: pa.Table, other: pa.Table) -> int:
    columns = ["query", "title_id", "clip_id"]
    return one.select(columns).join(other.select(columns), columns, join_type="inner").num_rows


def _progress() -> Callable[[float], None]:
    printed = [0.0]

    def progress(done: float) -> None:
        if done - printed[0] >= 0.1:
            printed[0] = done
            print(f"  index {done:.0%}", file=sys.stderr, flush=True)

    return progress


@contextmanager
def catalogue(folder: Path, kind: str, clips: int, width: int) -> Iterator[Path]:
    """Make a catalogue, and remove it when it has been measured."""
    place = folder.absolute() / f"{kind}-{clips}"
    try:
        if not (place / "features.duckdb").exists():
            write_catalogue(place, kind, clips, width)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(case: str, folder: Path, asked: np.ndarray, arguments: argparse.Namespace) -> dict:
    """Measure one case, in this process."""
    match case:
        case "float32" | "float16":
            found = measure_held(folder, asked, case)
        case "streamed":
            found = measure_streamed(folder, asked)
        case "index":
            found = measure_index(
                folder, asked, arguments.connectivity, arguments.expansion, arguments.threads
            )
        case "duckdb":
            found = measure_duckdb(folder, asked)
        case _:
            raise SystemExit(f"There is no case {case!r}: take of {', '.join(CASES)}.")
    found["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return found


COLUMNS = (
    *(
        f"{name}_{batch}"
        for batch in (1, BATCH)
        for name in ("per_s", "cpu_ms", "share", "cpu_share")
    ),
    *("recall_at_10", "build_s", "build_cpu_s", "index_gib", "open_s", "peak_gib"),
)


def main() -> None:
    """Measure each case at each size and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--clips", default="100000,1000000")
    parser.add_argument("--width", type=int, default=2304)
    parser.add_argument("--data", default="random,clustered")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--connectivity", type=int, default=16, help="of the index")
    parser.add_argument("--expansion", type=int, default=128, help="of the index, when it is built")
    parser.add_argument("--threads", type=int, default=0, help="for building the index")
    parser.add_argument("--measure", nargs=3, metavar=("CASE", "DATA", "CLIPS"), help="internal")
    arguments = parse(parser, small)
    if arguments.measure:
        case, kind, clips = arguments.measure
        asked = queries(kind, int(clips), arguments.width)
        print(json.dumps(measure(case, arguments.folder, asked, arguments)))
        return
    rows: list[dict[str, Any]] = []
    options = [
        f"--{name}={getattr(arguments, name)}"
        for name in ("width", "connectivity", "expansion", "threads")
    ]
    print(f"{'data':10} {'clips':>8} {'case':9} " + " ".join(f"{name:>12}" for name in COLUMNS))
    for kind in arguments.data.split(","):
        for clips in map(int, arguments.clips.split(",")):
            with catalogue(arguments.folder, kind, clips, arguments.width) as place:
                for case in arguments.cases.split(","):
                    row = {"data": kind, "clips": clips, "case": case}
                    row |= _in_its_own_process(place, row, options)
                    rows.append(row)
                    numbers = " ".join(_cell(row.get(name)) for name in COLUMNS)
                    print(f"{kind:10} {clips:8} {case:9} {numbers}", flush=True)
    write_json(arguments.json, rows)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.new("search")), "--clips", "400", "--width", "16", "--data", "clustered"]


def _in_its_own_process(place: Path, row: dict[str, Any], options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.search", str(place), *options]
    command += ["--measure", row["case"], row["data"], str(row["clips"])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _cell(value: float | None) -> str:
    return f"{'':>12}" if value is None else f"{value:12.4g}"


if __name__ == "__main__":
    main()
