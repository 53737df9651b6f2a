"""Cost of exporting 100,000 labelled clips, and of training a probe on them.

    python -m benchmarks.export FOLDER [--titles 1000] [--clips 100] [--width 768]
        [--parts "export,export spans,straightforward,train,train 2 workers,stream"] [--json FILE]

A catalogue of titles with random shots is made in FOLDER, a clip to each shot, with labels in its
`clips` table: a class that follows from the vector, a number and a boolean. Then, each in a
process of its own, whose memory is watched:

    export            the catalogue's labels, with splits, into one file
    export spans      labels of as many spans that cut across shots, from a Parquet file
    straightforward   the same join by DuckDB, fetched as Python rows into a pandas data frame, and
                      written with `to_parquet`
    train             `examples/train_probe.py` over the first one, for some epochs
    train 2 workers   the same with two processes that read ahead
    stream            one pass over the batches of `TrainingSet.torch_stream`, in a drawn order

`peak` is the resident memory of the process, or of a worker if that is larger; pages of the mapped
file of vectors are in it, which the system takes back when it needs them.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.options import parse, write_json
from benchmarks.processes import timed
from benchmarks.small_inputs import SmallInputs

REPOSITORY = Path(__file__).parent.parent
MODEL = "model-1@0"
CLASSES = tuple(f"genre-{number}" for number in range(12))
SHOT_S = 6.0
EPOCHS = 5
COLUMNS = ("seconds", "cpu_seconds", "rows_per_s", "peak_memory_mb")
_TITLES_TOGETHER = 64

SPLIT = {"train": 0.8, "test": 0.2}


def main() -> None:
    """Make the catalogue, measure each part and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder on the disk to measure")
    parser.add_argument("--titles", type=int, default=1000)
    parser.add_argument("--clips", type=int, default=100, help="of each title")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--parts", default=",".join(PARTS), help="which, in this order")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parse(parser, small)
    if arguments.part:
        PARTS[arguments.part](arguments.folder)
        return
    rows = arguments.titles * arguments.clips
    started = time.perf_counter()
    make_catalogue(arguments.folder, arguments.titles, arguments.clips, arguments.width)
    print(f"{rows} clips of {arguments.titles} titles, {arguments.width} wide, made in ", end="")
    print(f"{time.perf_counter() - started:.1f} s", flush=True)
    print(f"{'':17} {'seconds':>9} {'CPU s':>9} {'rows/s':>9} {'peak MB':>9}", flush=True)
    found = []
    for part in arguments.parts.split(","):
        command = [sys.executable, "-m", "benchmarks.export", str(arguments.folder)]
        row = timed([*command, "--part", part])
        row["rows_per_s"] = rows * (EPOCHS if part.startswith("train") else 1) / row["seconds"]
        print(f"{part:17} " + " ".join(f"{row[name]:9.1f}" for name in COLUMNS), flush=True)
        found.append({"part": part, **row})
    write_json(arguments.json, found)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    sizes = ["--titles", "12", "--clips", "5", "--width", "8"]
    parts = ",".join(part for part in PARTS if part != "train 2 workers")  # two more torch imports
    return [str(inputs.new("export")), *sizes, "--parts", parts]


def make_catalogue(folder: Path, titles: int, clips: int, width: int) -> None:
    """Write shards of random shots and the snapshot over them, as if they had been published."""
    from mediafm_core.store.features.shards import FULL_BYTES, FULL_TITLES, ShardWriter
    from mediafm_core.store.features.snapshot import Snapshot
    from mediafm_core.store.features.snapshot_writer import SnapshotWriter, writing
    from mediafm_core.store.store import Store

    store, shards, first = Store(folder / "store"), [], 0
    centres = np.random.default_rng(0).standard_normal((len(CLASSES), width), dtype=np.float32)
    spans = []
    while first < titles:
        with ShardWriter(store, MODEL) as writer:
            while first < titles and writer.titles < FULL_TITLES and writer.bytes < FULL_BYTES:
                count = min(_TITLES_TOGETHER, titles - first, FULL_TITLES - writer.titles)
                tables = random_titles(first, count, clips, centres)
                for name, table in tables.items():
                    writer.write(name, table)
                spans.append(span_labels(tables["clips"]))
                writer.titles += count
                first += count
            shards.append(writer.finish())
    with writing(store) as connection:
        SnapshotWriter(store, connection, Snapshot(MODEL, width, tuple(shards))).cut_over(None)
    pq.write_table(pa.concat_tables(spans), folder / "spans.parquet")


def random_titles(first: int, count: int, clips: int, centres: np.ndarray) -> dict[str, pa.Table]:
    """Draw the tables of some titles, with the columns of the store's shards."""
    from mediafm_core.vectors import to_arrow

    random = np.random.default_rng(first + 1)
    names = np.array([f"title-{number:06d}" for number in range(first, first + count)])
    index = np.tile(np.arange(clips, dtype=np.int32), count)
    genres = random.integers(len(CLASSES), size=len(index))
    noise = random.standard_normal((len(index), centres.shape[1]), dtype=np.float32)
    embedding = to_arrow(centres[genres] + 6 * noise)
    keys = {"title_id": np.repeat(names, clips)}
    times = {"start_s": index * SHOT_S, "end_s": (index + 1) * SHOT_S}
    labels = [
        [("genre", CLASSES[genre]), ("rating", f"{rating:.3f}"), ("explicit", str(rating > 0.9))]
        for genre, rating in zip(genres, random.random(len(index)), strict=True)
    ]
    titles = {
        "title_id": names,
        **dict.fromkeys(("name", "kind", "language", "synopsis"), names),
        "tags": pa.array([["a tag"]] * count, pa.list_(pa.string())),
        "duration_s": np.full(count, clips * SHOT_S),
        "shots": np.full(count, clips, np.int32),
        "clips": np.full(count, clips, np.int32),
        "data_version": names,
        "title_version": names,
        "embedding": to_arrow(centres[np.zeros(count, int)]),
    }
    shots = {
        **keys,
        "shot_index": index,
        **times,
        "start_frame": index * np.int64(144),
        "end_frame": index * np.int64(144) + 143,
        "text": pa.array(["what is said"] * len(index)),
        **{f"has_{name}": np.ones(len(index), bool) for name in ("video", "audio", "text")},
        "scene_index": index // 9,
        "scene_probability": np.where(index % 9 == 0, np.float32(0.8), np.float32(0.05)),
        "embedding": embedding,
    }
    clips_of_titles = {
        **keys,
        "clip_id": pa.array([f"clip-{number:05d}" for number in index]),
        **times,
        "proposed": np.zeros(len(index), bool),
        "first_shot": index,
        "last_shot": index,
        "labels": pa.array(labels, pa.map_(pa.string(), pa.string())),
        "embedding": embedding,
    }
    return {
        "titles": pa.table(titles),
        "shots": pa.table(shots),
        "clips": pa.table(clips_of_titles),
    }


def span_labels(clips: pa.Table) -> pa.Table:
    """Make labels of spans that end in the middle of the next shot, except at a title's end."""
    start, end = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
    later = np.append(np.diff(start) > 0, False) * SHOT_S / 2
    genres = np.array(CLASSES)[np.arange(len(start)) % len(CLASSES)]
    return pa.table(
        {"title_id": clips["title_id"], "start_s": start, "end_s": end + later, "genre": genres}
    )


def log(text: str) -> None:
    """Print a line to standard error, apart from the figures."""
    print(f"  {text}", file=sys.stderr, flush=True)


def export_clips(folder: Path) -> None:
    """Export the catalogue's own labels."""
    import mediafm_core as mediafm

    store, out = folder / "store", folder / "clips.parquet"
    exported = mediafm.export(out, split=SPLIT, store=store, replace=True)
    log(f"{out.stat().st_size >> 20} MiB, {exported.splits}")


def export_spans(folder: Path) -> None:
    """Export labels of spans, from a file."""
    import mediafm_core as mediafm

    out = folder / "of_spans"
    labels = folder / "spans.parquet"
    exported = mediafm.export(out, labels=labels, store=folder / "store", replace=True)
    log(f"{exported.record.rows} rows in {exported.files} files")


def straightforward(folder: Path) -> None:
    """Export by DuckDB and pandas, with rows as Python objects."""
    import duckdb
    import pandas as pd

    with duckdb.connect(str(folder / "store" / "features.duckdb"), read_only=True) as connection:
        cursor = connection.execute(
            "SELECT title_id, clip_id, start_s, end_s, labels['genre'] AS genre, "
            "labels['rating']::DOUBLE AS rating, labels['explicit']::BOOLEAN AS explicit, "
            "embedding FROM clips JOIN clip_features USING (title_id, clip_id)"
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    out = folder / "straightforward.parquet"
    pd.DataFrame(rows).to_parquet(out)
    log(f"{out.stat().st_size >> 20} MiB")


def train(folder: Path, workers: int = 0) -> None:
    """Run the example script."""
    script = REPOSITORY / "examples" / "train_probe.py"
    options = ["--epochs", str(EPOCHS), "--workers", str(workers)]
    command = [sys.executable, script, folder / "clips.parquet", "genre", *options]
    subprocess.run(command, check=True, stdout=sys.stderr)


def train_with_workers(folder: Path) -> None:
    """Run the example script with two workers."""
    train(folder, workers=2)


def stream(folder: Path) -> None:
    """Read all batches once."""
    from torch.utils.data import DataLoader

    import mediafm_core as mediafm

    batches = mediafm.TrainingSet.open(folder / "clips.parquet").torch_stream("genre")
    rows = sum(len(targets) for _, targets in DataLoader(batches, batch_size=None))
    log(f"{rows} rows")


PARTS: dict[str, Callable[[Path], None]] = {
    "export": export_clips,
    "export spans": export_spans,
    "straightforward": straightforward,
    "train": train,
    "train 2 workers": train_with_workers,
    "stream": stream,
}


if __name__ == "__main__":
    main()
