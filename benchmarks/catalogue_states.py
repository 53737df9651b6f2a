"""Cost of finding missing and stale artefacts in a large catalogue.

    python -m benchmarks.catalogue_states INBOX STORE [--json FILE]

Compared are opening every title's files, and the index of recorded versions: in a new process
without and with its files, in a lasting process (as a sensor's), and there after a hundred titles
were written again. Each line is a process or call of its own: seconds by the clock, CPU seconds,
peak memory. `benchmarks.large_catalogue` makes a catalogue to measure on. Artefacts are touched,
nothing else is changed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm
from benchmarks.processes import timed as run_timed
from benchmarks.small_inputs import SmallInputs
from mediafm_core.config.settings import load_settings
from mediafm_core.pipeline.planning.asset_states import CatalogueComparison, VersionComparison
from mediafm_core.pipeline.platform import Platform
from mediafm_core.store.version_index import FOLDER

WAYS = ("each title's files", "index, new", "index, read from its files")
TOUCHED = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # of a child process
    arguments = parse(parser, small)
    if arguments.way:
        rows = list(measure(arguments.way, arguments.inbox, arguments.store))
        print(json.dumps(rows))
        return
    results = []
    for way in WAYS:
        if way == "index, new":
            shutil.rmtree(arguments.store / FOLDER, ignore_errors=True)
        results += child("--way", way, str(arguments.inbox), str(arguments.store))
    results.append(command_line(arguments.inbox, arguments.store))
    for row in results:
        print(
            f"{row['way']:52} {row['seconds']:6.2f} s {row['cpu_seconds']:6.2f} CPU s"
            f" {row['peak_mib']:5.0f} MiB  {row['states']}"
        )
    write_json(arguments.json, results)


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    return [str(inputs.inbox), str(inputs.store)]


def measure(way: str, inbox: Path, store: Path) -> Any:
    """Measure the states of the whole catalogue in this process."""
    platform = Platform(load_settings(inbox=inbox, store=store))
    if way == WAYS[0]:
        comparison = VersionComparison(platform)
        yield timed(way, lambda: map(comparison.title_state, platform.inbox.scan()))
        return

    def states() -> Any:
        return CatalogueComparison(platform).states()

    yield timed(way, states)
    if way == WAYS[2]:
        yield timed("index, in a lasting process", states)
        for path in sorted((store / "shots").glob("*.parquet"))[:TOUCHED]:
            os.utime(path)
        yield timed(f"index, in a lasting process, {TOUCHED} files touched", states)


def timed(way: str, states: Any) -> dict[str, Any]:
    """Compute a catalogue's states and time it."""
    wall, cpu = time.perf_counter(), time.process_time()
    counts = Counter(state.state for state in states())
    return {
        "way": way,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "states": dict(counts),
    }


def child(*arguments: str) -> list[dict[str, Any]]:
    """Return the rows of a measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.catalogue_states", *arguments]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def command_line(inbox: Path, store: Path) -> dict[str, Any]:
    """Return the command line of `mediafm status`."""
    took = run_timed(mediafm("status", inbox=inbox, store=store))
    return {
        "way": "mediafm status",
        "seconds": took["seconds"],
        "cpu_seconds": took["cpu_seconds"],
        "peak_mib": took["peak_memory_mb"] * 1e6 / 2**20,
        "states": {},
    }


if __name__ == "__main__":
    main()
