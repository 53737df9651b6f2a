"""Kill `mediafm run` at random moments; plain reruns must give the store of an undisturbed run.

    python -m benchmarks.killed_runs INBOX [--kills 20] [--per-store 4] [--seed 0] [--json FILE]

A trial begins with an empty store. Its runs are killed with SIGKILL one after the other, each at a
moment drawn uniformly from the length of the undisturbed run (the later ones, which have less left
to do, from an accordingly shorter time), and each is followed by a plain rerun. The last rerun ends
by itself; its store is compared with the undisturbed one.
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

from mediafm_core.store.artefacts import Store
from mediafm_core.store.comparison import differences


def main() -> None:
    """Run the trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inbox", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--per-store", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    random_moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Store(Path(folder) / "undisturbed")
        length = finish(arguments.inbox, whole)
        print(f"undisturbed: {length:.1f} s", flush=True)
        trials = []
        for number in range(arguments.kills // arguments.per_store):
            store = Store(Path(folder) / f"killed_{number}")
            trials.append(
                trial(arguments.inbox, store, whole, arguments.per_store, length, random_moments)
            )
            print(json.dumps(trials[-1]), flush=True)
    different = [each for each in trials if each["differences"]]
    kills = sum(len(each["kills"]) for each in trials)
    print(
        f"{kills} kills, {len(different)} of {len(trials)} stores differ from the undisturbed one"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"seconds": length, "trials": trials}, indent=2))
    sys.exit(bool(different))


def trial(
    inbox: Path, store: Store, whole: Store, kills: int, length: float, moments: random.Random
) -> dict:
    """Kill some runs on one store, finish, compare."""
    done = []
    left = length
    for _ in range(kills):
        moment = moments.uniform(0.0, left)
        finished = kill(inbox, store, moment)
        files = len(list(store.root.rglob("*.parquet")))
        done.append({"after_seconds": round(moment, 1), "finished": finished, "tables": files})
        left = max(left - moment / 2, length / 4)
    seconds = finish(inbox, store)
    found = differences(whole, store)
    return {"kills": done, "last_rerun_seconds": round(seconds, 1), "differences": found}


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
