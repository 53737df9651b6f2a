"""End `mediafm run` at random moments; plain reruns must give the store of an undisturbed run.

    python -m benchmarks.killed_runs INBOX [--kills 20] [--signals KILL,INT,TERM] [--per-store 3]
                                     [--seed 0] [--undisturbed STORE --seconds 60] [--json FILE]

A trial begins with an empty store. Its runs are ended by a signal one after the other, each at a
moment drawn uniformly from the time that is left to do, and each is followed by a plain rerun. The
last rerun ends by itself, and its store is compared with the undisturbed one, which is made first
unless `--undisturbed` names one and `--seconds` how long it took. A run that ended before its
moment came is no kill and is not counted.

For each kill: seconds from the signal to the end of the process, its exit code, the last line that
it printed, and how many titles were quarantined by then. An interrupt (INT, TERM) should end a run
within ten seconds with code 130 or 143, and no signal should quarantine a title.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from benchmarks.options import parse, write_json
from benchmarks.processes import mediafm
from benchmarks.small_inputs import SmallInputs
from mediafm_core.pipeline.quarantine import Quarantine
from mediafm_core.store.equality import differences
from mediafm_core.store.store import Store

# A process that Python reports with a negative number was ended by the signal itself: before it
# could install a handler, while the interpreter was starting.
EXIT_CODES = {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143}


def main() -> None:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", default="KILL", help="names without SIG, taken in turn")
    parser.add_argument("--per-store", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--undisturbed", type=Path, help="a finished store of the inbox")
    parser.add_argument("--seconds", type=float, default=60.0, help="with --undisturbed")
    arguments = parse(parser, small)
    # Shells let commands in the background ignore SIGINT, and those started here would as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    moments = random.Random(arguments.seed)
    signals = cycle(signal.Signals[f"SIG{name}"] for name in arguments.signals.split(","))
    with tempfile.TemporaryDirectory() as folder:
        whole = Store(arguments.undisturbed or Path(folder) / "undisturbed")
        length = arguments.seconds if arguments.undisturbed else finish(arguments.inbox, whole)
        print(f"undisturbed: {length:.1f} s", flush=True)
        tables = count_tables(whole)
        trials: list[dict] = []
        while (left := arguments.kills - sum(len(each["kills"]) for each in trials)) > 0:
            store = Store(Path(folder) / f"killed_{len(trials)}")
            most = min(left, arguments.per_store)
            kills = kill_some(arguments.inbox, store, most, length, tables, moments, signals)
            seconds = finish(arguments.inbox, store)
            found = differences(whole, store)
            trials.append(
                {"kills": kills, "last_rerun_seconds": round(seconds, 1), "differences": found}
            )
            print(json.dumps(trials[-1]), flush=True)
    kills = [kill for trial in trials for kill in trial["kills"]]
    different = sum(bool(trial["differences"]) for trial in trials)
    quarantined = sum(kill["quarantined"] for kill in kills)
    asked = [kill for kill in kills if kill["signal"] != "SIGKILL"]
    wrong = sum(kill["exit_code"] != EXIT_CODES[kill["signal"]] for kill in kills)
    slowest = max((kill["seconds_to_end"] for kill in asked), default=0.0)
    print(
        f"{len(kills)} kills, {different} of {len(trials)} stores differ from the undisturbed one, "
        f"{quarantined} titles quarantined, {wrong} other exit codes; the slowest of {len(asked)} "
        f"interrupted runs ended after {slowest:.1f} s"
    )
    write_json(arguments.json, {"seconds": length, "trials": trials})
    sys.exit(bool(different or quarantined or wrong))


def small(inputs: SmallInputs) -> list[str]:
    """Return the command line of the small setting."""
    undisturbed = ["--undisturbed", str(inputs.store), "--seconds", "10"]
    return [str(inputs.inbox), "--kills", "1", *undisturbed]


def kill_some(
    inbox: Path,
    store: Store,
    most: int,
    length: float,
    tables: int,
    moments: random.Random,
    signals: Iterator[signal.Signals],
) -> list[dict]:
    """Kill runs on one store; return for each its moment, its end and the store's state then."""
    kills: list[dict] = []
    while len(kills) < most:
        done = count_tables(store)
        moment = moments.uniform(0.0, length * max(0.1, 1.0 - done / tables))
        number = next(signals)
        ended = kill(inbox, store, moment, number)
        if ended is None:
            break
        kills.append(
            {
                "signal": number.name,
                "after_seconds": round(moment, 1),
                **ended,
                "tables": count_tables(store),
                "quarantined": len(list(Quarantine(store))),
            }
        )
        print(json.dumps(kills[-1]), flush=True)
    return kills


def count_tables(store: Store) -> int:
    """Count the Parquet files of a store."""
    return len(list(store.root.glob("[a-z]*/**/*.parquet")))


def command(inbox: Path, store: Store) -> list[str]:
    """Return the command line of a plain `mediafm run`."""
    return mediafm("run", inbox=inbox, store=store.root)


def finish(inbox: Path, store: Store) -> float:
    """Run to the end and return the seconds it took."""
    started = time.perf_counter()
    subprocess.run(command(inbox, store), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def kill(inbox: Path, store: Store, moment: float, number: signal.Signals) -> dict | None:
    """Start a run and send it a signal after some seconds; return None if it ended before."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command(inbox, store), stdout=log, stderr=log)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            sent = time.perf_counter()
            process.wait()
            seconds = time.perf_counter() - sent
            log.seek(0)
            lines = log.read().split("\n")
            return {
                "seconds_to_end": round(seconds, 2),
                "exit_code": process.returncode,
                "line": next((line for line in reversed(lines) if line.strip()), ""),
            }
    return None


if __name__ == "__main__":
    main()
