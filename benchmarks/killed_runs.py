"""Kill `mediafm run` at random moments; plain reruns must give the store of an undisturbed run.

    python -m benchmarks.killed_runs INBOX [--kills 20] [--per-store 3] [--seed 0] [--json FILE]
                                     [--undisturbed STORE --seconds 60]

A trial begins with an empty store. Its runs are ended by SIGKILL one after the other, each at a
moment drawn uniformly from the time that is left to do, and each is followed by a plain rerun. The
last rerun ends by itself, and its store is compared with the undisturbed one, which is made first
unless `--undisturbed` names one and `--seconds` how long it took. A run that ended
before its moment came is no kill and is not counted.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.options import parse, write_json
from benchmarks.small_inputs import SmallInputs
from mediafm_core.store.artefacts import Store
from mediafm_core.store.comparison import differences


def main() -> None:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--per-store", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--undisturbed", type=Path, help="a finished store of the inbox")
    parser.add_argument("--seconds", type=float, default=60.0, help="with --undisturbed")
    arguments = parse(parser, small)
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Store(arguments.undisturbed or Path(folder) / "undisturbed")
        length = arguments.seconds if arguments.undisturbed else finish(arguments.inbox, whole)
        print(f"undisturbed: {length:.1f} s", flush=True)
        tables = count_tables(whole)
        trials: list[dict] = []
        while (left := arguments.kills - sum(len(each["kills"]) for each in trials)) > 0:
            store = Store(Path(folder) / f"killed_{len(trials)}")
            kills = kill_some(
                arguments.inbox, store, min(left, arguments.per_store), length, tables, moments
            )
            seconds = finish(arguments.inbox, store)
            found = differences(whole, store)
            trials.append(
                {"kills": kills, "last_rerun_seconds": round(seconds, 1), "differences": found}
            )
            print(json.dumps(trials[-1]), flush=True)
    different = [each for each in trials if each["differences"]]
    kills = sum(len(each["kills"]) for each in trials)
    print(
        f"{kills} kills, {len(different)} of {len(trials)} stores differ from the undisturbed one"
    )
    write_json(arguments.json, {"seconds": length, "trials": trials})
    sys.exit(bool(different))


def small(inputs: SmallInputs) -> list[str]:
    """The command line of the small setting."""
    undisturbed = ["--undisturbed", str(inputs.store), "--seconds", "10"]
    return [str(inputs.inbox), "--kills", "1", *undisturbed]


def kill_some(
    inbox: Path, store: Store, most: int, length: float, tables: int, moments: random.Random
) -> list[dict]:
    """Kill runs on one store; when each was killed, and how many tables there were then."""
    kills: list[dict] = []
    while len(kills) < most:
        done = count_tables(store)
        moment = moments.uniform(0.0, length * max(0.1, 1.0 - done / tables))
        if kill(inbox, store, moment):
            break
        kills.append({"after_seconds": round(moment, 1), "tables": count_tables(store)})
    return kills


def count_tables(store: Store) -> int:
    """Parquet files that are in place."""
    return len(list(store.root.glob("[a-z]*/**/*.parquet")))


def command(inbox: Path, store: Store) -> list[str]:
    """A plain `mediafm run`."""
    mediafm = [sys.executable, "-m", "mediafm_core", "run"]
    return [*mediafm, "--inbox", str(inbox), "--store", str(store.root)]


def finish(inbox: Path, store: Store) -> float:
    """Run to the end; the seconds it took."""
    started = time.perf_counter()
    subprocess.run(command(inbox, store), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def kill(inbox: Path, store: Store, moment: float) -> bool:
    """Start a run and kill it after some seconds; whether it had finished by then."""
    process = subprocess.Popen(command(inbox, store), stdout=subprocess.DEVNULL)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    return True


if __name__ == "__main__":
    main()
