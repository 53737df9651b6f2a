"""Cost of adding one title as a catalogue grows, in the layouts that DuckDB offers.

    python -m benchmarks.growing_catalogue FOLDER [--titles 10,100,1000,10000] [--adds 24]
        [--layouts one_file,parquet_shards,duckdb_shards,ducklake,published] [--json FILE]

Each layout gets the same random titles (50 shots, 10 clips, vectors of 256 float32) and the same
queries. Every query opens a connection of its own, as in a fresh process.

    one_file        a copy is changed and moved over the old file: readers never wait
    parquet_shards  immutable Parquet files under the views of a small DuckDB file, moved likewise
    duckdb_shards   immutable DuckDB files under views by `read_duckdb`
    ducklake        DuckDB's lakehouse format, where its extension is installed and loads

    published       MediaFM's own: parquet_shards from a title's artefacts, with merging

In the sharded layouts a catalogue is laid out as merging leaves it: shards of 512 titles and, for
the remaining titles, up to seven each of 64, 8 and 1. An addition writes one more shard; in
`published` every eighth also merges the small ones. For additions, `add` is the median by the
clock, `cpu` and `cpu_mean` are CPU time and `most` is the slowest one.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.catalogue_layouts import CLIPS, LAYOUTS, SHOTS, WIDTH, Layout, random_titles
from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs

QUESTIONS = {
    "count": "SELECT count(*) FROM shots",
    "title": "SELECT clip_id, embedding FROM {vectors} WHERE title_id = 'title-000003'",
    "nearest": "SELECT title_id, clip_id FROM {vectors} "
    "ORDER BY array_cosine_similarity(embedding::FLOAT[{width}], $query::FLOAT[{width}]) DESC "
    "LIMIT 10",
    "scan": "SELECT sum(embedding[1]) FROM shots",
}


COLUMNS = ("add", "cpu", "cpu_mean", "most", *QUESTIONS)


def measure(
    kind: type[Layout], folder: Path, sizes: Sequence[int], additions: Sequence[dict[str, pa.Table]]
) -> list[dict[str, float]]:
    """Measure milliseconds of additions and queries, and mebibytes, for each size.

    The sizes take turns, so that other work on the machine slows all of them alike.
    """
    layouts = {titles: kind(folder / str(titles)) for titles in sizes}
    rows: dict[int, dict[str, float]] = {}
    for titles, layout in layouts.items():
        layout.build(titles)
        rows[titles] = {"titles": titles, "MiB": layout.bytes() / (1 << 20)}
        for tables in additions:
            layout.prepare(tables)
    wall: dict[int, list[float]] = {titles: [] for titles in sizes}
    processor: dict[int, list[float]] = {titles: [] for titles in sizes}
    for tables in additions:
        for titles, layout in layouts.items():
            started = time.perf_counter(), time.process_time()
            layout.add(tables)
            wall[titles].append(1000 * (time.perf_counter() - started[0]))
            processor[titles].append(1000 * (time.process_time() - started[1]))
    for titles, layout in layouts.items():
        rows[titles] |= {
            "add": statistics.median(wall[titles]),
            "cpu": statistics.median(processor[titles]),
            "cpu_mean": statistics.mean(processor[titles]),
            "most": max(wall[titles]),
            **ask(layout),
        }
    return list(rows.values())


def ask(layout: Layout) -> dict[str, float]:
    """Return the median milliseconds of each query."""
    query = np.ones(WIDTH, np.float32).tolist()
    found = {}
    for name, template in QUESTIONS.items():
        question = template.format(vectors=layout.vectors, width=WIDTH)
        parameters = {"query": query} if "$query" in question else {}
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            with closing(layout.connect()) as connection:
                connection.execute(question, parameters).fetchall()
            seconds.append(time.perf_counter() - started)
        found[name] = 1000 * statistics.median(seconds)
    return found


def main() -> None:
    """Measure each layout at each size and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder on the disk to measure")
    parser.add_argument("--titles", default="10,100,1000,10000")
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--adds", type=int, default=24)
    arguments = parse(parser, small)
    additions = [random_titles(1_000_000 + number, 1) for number in range(arguments.adds)]
    found: list[dict[str, object]] = []
    print(f"DuckDB {duckdb.__version__}; medians in ms; {SHOTS} shots and {CLIPS} clips a title")
    print(f"{'layout':15} {'titles':>7} {'MiB':>7} " + _header(COLUMNS), flush=True)
    sizes = [int(titles) for titles in arguments.titles.split(",")]
    for layout in arguments.layouts.split(","):
        folder = arguments.folder.absolute() / layout
        try:
            rows = measure(LAYOUTS[layout], folder, sizes, additions)
        except (ModuleNotFoundError, duckdb.Error) as error:
            reason = " ".join(str(error).split())
            print(f"{layout:15} cannot be measured: {reason}", flush=True)
            found.append({"layout": layout, "error": reason})
            rows = []
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for row in rows:
            numbers = " ".join(f"{row[name]:8.1f}" for name in COLUMNS)
            print(f"{layout:15} {row['titles']:7} {row['MiB']:7.1f} {numbers}", flush=True)
            found.append({"layout": layout, **row})
    write_json(arguments.json, found)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.new("growing_catalogue")), "--titles", "2,5", "--adds", "2"]


def _header(names: Sequence[str]) -> str:
    return " ".join(f"{name:>8}" for name in names)


if __name__ == "__main__":
    main()
